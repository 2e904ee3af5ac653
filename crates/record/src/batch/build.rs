//! Fills a batch and encodes it.

use std::collections::HashMap;

use super::header::{BatchHeader, HEADER_BYTES, Producer, ROW_HEADER_BYTES, RowHeader};
use super::{BATCH_BYTES_MAX, BATCH_FORMAT, EncodedBatch};
use crate::record::flags;
use crate::row_writer::{RowWriter, ValueError};
use crate::schema::TableSchema;
use crate::slot::NULL_BIGINT;
use crate::symbol::{SymbolError, check_symbol};
use crate::tables::StandardRow;
use crate::{AlignedBytes, RawRecord, TableId};

/// Why a row did not go into a batch. The batch is as it was before.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The batch has no room for this row: send it and begin the next one.
    #[error("the batch is full: with this row it would have more than {BATCH_BYTES_MAX} bytes")]
    Full,
    /// The symbol's name is not possible.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// A value is not possible.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The time of receipt stands for NULL inside.
    #[error("column recv_ts: {0} is out of range")]
    RecvTs(i64),
    /// A row that was read belongs to a table that nobody knows here.
    #[error("table number {} is not known", .0.0)]
    UnknownTable(TableId),
}

/// Rows that are written, acknowledged and replicated together; at most 256 KiB.
///
/// ```
/// use tapebook_record::{Batch, Side, Trade};
///
/// let mut batch = Batch::new();
/// batch.push(Trade {
///     symbol: "BINANCE.BTCUSDT",
///     ts: 1_723_161_600_000_000_000,
///     price: Some(61_800.2),
///     size: Some(0.006),
///     side: Some(Side::Buy),
///     ..Trade::default()
/// })?;
/// assert_eq!(batch.len(), 1);
/// let encoded = batch.encode();
/// assert_eq!(encoded.len(), 1);
/// # Ok::<(), tapebook_record::PushError>(())
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    producer: Producer,
    dictionary: Vec<u8>,
    symbols: HashMap<Box<str>, DictionaryEntry>,
    last_symbol: Option<DictionaryEntry>,
    headers: Vec<RowHeader>,
    rows: AlignedBytes,
}

impl Batch {
    /// An empty batch without a producer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch that can be recognised when it is sent again.
    pub fn from_producer(producer: Producer) -> Self {
        Self { producer, ..Self::default() }
    }

    /// Makes it recognisable when it is sent again.
    pub fn set_producer(&mut self, producer: Producer) {
        self.producer = producer;
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// True where no row was pushed.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// The length that [`Batch::encode`] would give now, in bytes.
    pub fn encoded_bytes(&self) -> usize {
        let (_, rows_offset) = self.offsets(0, 0);
        rows_offset + self.rows.len()
    }

    /// Adds a row of a standard table.
    pub fn push(&mut self, row: impl StandardRow) -> Result<(), PushError> {
        let place =
            RowPlace { symbol: row.symbol(), ts: row.ts(), recv_ts: row.recv_ts(), feed_seq: row.feed_seq() };
        self.push_row(row.schema(), place, |writer| row.write(writer).map_err(PushError::Value))
    }

    /// Adds a row of any table; `write` sets its columns.
    pub fn push_row<E: From<PushError>>(
        &mut self,
        schema: &TableSchema,
        place: RowPlace<'_>,
        write: impl FnOnce(&mut RowWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let rows_before = self.rows.len();
        let result = self.try_push(schema, place, write);
        if result.is_err() {
            self.rows.resize(rows_before);
        }
        result
    }

    fn try_push<E: From<PushError>>(
        &mut self,
        schema: &TableSchema,
        place: RowPlace<'_>,
        write: impl FnOnce(&mut RowWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if place.recv_ts == Some(NULL_BIGINT) {
            return Err(PushError::RecvTs(NULL_BIGINT).into());
        }
        let known = self.known_symbol(place.symbol);
        if known.is_none() {
            check_symbol(place.symbol).map_err(PushError::Symbol)?;
        }
        let mut writer = RowWriter::begin(&mut self.rows, schema);
        write(&mut writer)?;
        let start = writer.start;
        let (length, mut row_flags) = writer.finish().map_err(PushError::Value)?;
        if place.feed_seq.is_some() {
            row_flags |= flags::FEED_SEQ;
        }
        let header = RowHeader {
            table: schema.id,
            layout: schema.layout,
            symbol: 0,
            ts: place.ts,
            recv_ts: place.recv_ts.unwrap_or(NULL_BIGINT),
            feed_seq: place.feed_seq.unwrap_or(0),
            offset: start as u32,
            length: length as u32,
            flags: row_flags,
        };
        Ok(self.push_header(place.symbol, known, header)?)
    }

    /// Adds a row as it was read, byte for byte. `schema` must be that of the row's table.
    pub fn push_record(&mut self, schema: &TableSchema, record: &RawRecord<'_>) -> Result<(), PushError> {
        let rows_before = self.rows.len();
        let result = self.try_push_record(schema, record);
        if result.is_err() {
            self.rows.resize(rows_before);
        }
        result
    }

    fn try_push_record(&mut self, schema: &TableSchema, record: &RawRecord<'_>) -> Result<(), PushError> {
        let known = self.known_symbol(record.symbol);
        if known.is_none() {
            check_symbol(record.symbol)?;
        }
        self.rows.pad_to(schema.row_align);
        let start = self.rows.len();
        self.rows.extend_from_slice(record.row);
        self.rows.pad_to(schema.row_align);
        let header = RowHeader {
            table: schema.id,
            layout: record.layout,
            symbol: 0,
            ts: record.ts,
            recv_ts: record.recv_ts,
            feed_seq: record.feed_seq,
            offset: start as u32,
            length: (self.rows.len() - start) as u32,
            flags: record.flags,
        };
        self.push_header(record.symbol, known, header)
    }

    /// Admits the row that was written last, where there is room for it.
    fn push_header(&mut self, name: &str, known: Option<u32>, header: RowHeader) -> Result<(), PushError> {
        let name_bytes = if known.is_none() { 1 + name.len() } else { 0 };
        let (_, rows_offset) = self.offsets(1, name_bytes);
        if rows_offset + self.rows.len() > BATCH_BYTES_MAX {
            return Err(PushError::Full);
        }
        let symbol = known.unwrap_or_else(|| self.add_symbol(name));
        self.headers.push(RowHeader { symbol, ..header });
        Ok(())
    }

    fn known_symbol(&mut self, name: &str) -> Option<u32> {
        if let Some(last) = &self.last_symbol
            && self.dictionary[last.start..last.end] == *name.as_bytes()
        {
            return Some(last.symbol);
        }
        let entry = *self.symbols.get(name)?;
        self.last_symbol = Some(entry);
        Some(entry.symbol)
    }

    fn add_symbol(&mut self, name: &str) -> u32 {
        let symbol = self.symbols.len() as u32;
        self.dictionary.push(name.len() as u8);
        let start = self.dictionary.len();
        self.dictionary.extend_from_slice(name.as_bytes());
        let entry = DictionaryEntry { symbol, start, end: self.dictionary.len() };
        self.symbols.insert(name.into(), entry);
        self.last_symbol = Some(entry);
        symbol
    }

    /// Where row headers and rows begin, with so many rows and dictionary bytes more than now.
    fn offsets(&self, more_rows: usize, more_dictionary: usize) -> (usize, usize) {
        let headers = (HEADER_BYTES + self.dictionary.len() + more_dictionary).next_multiple_of(8);
        let rows = (headers + (self.headers.len() + more_rows) * ROW_HEADER_BYTES).next_multiple_of(16);
        (headers, rows)
    }

    /// Encodes the rows.
    pub fn encode(&self) -> EncodedBatch {
        let (headers_offset, rows_offset) = self.offsets(0, 0);
        let mut bytes = AlignedBytes::with_capacity(rows_offset + self.rows.len());
        bytes.resize(HEADER_BYTES);
        bytes.extend_from_slice(&self.dictionary);
        bytes.resize(headers_offset);
        for header in &self.headers {
            let header = RowHeader { offset: header.offset + rows_offset as u32, ..*header };
            bytes.extend_from_slice(&header.to_bytes());
        }
        bytes.resize(rows_offset);
        bytes.extend_from_slice(&self.rows);
        let header = BatchHeader {
            crc: 0,
            format: BATCH_FORMAT,
            flags: 0,
            length: bytes.len() as u32,
            count: self.headers.len() as u32,
            symbol_count: self.symbols.len() as u32,
            row_headers_offset: headers_offset as u32,
            rows_offset: rows_offset as u32,
            producer: self.producer,
        };
        let header = header.seal(&mut bytes);
        EncodedBatch::new(bytes.into(), header)
    }
}

/// A symbol of the batch and where its name lies in the dictionary.
#[derive(Clone, Copy, Debug)]
struct DictionaryEntry {
    symbol: u32,
    start: usize,
    end: usize,
}

/// What every row has beside its table's columns.
#[derive(Clone, Copy, Debug)]
pub struct RowPlace<'a> {
    /// What the record is about, 1 to 64 bytes.
    pub symbol: &'a str,
    /// Event time, nanoseconds since the epoch, UTC.
    pub ts: i64,
    /// Time of receipt.
    pub recv_ts: Option<i64>,
    /// The feed's own number.
    pub feed_seq: Option<u64>,
}
