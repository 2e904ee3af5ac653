//! An encoded batch: bytes that are known to be well formed.

use std::fmt;

use super::check::{self, BatchError};
use super::header::{BatchHeader, HEADER_BYTES, Producer, ROW_HEADER_BYTES, RowHeader};
use super::{Batch, BatchRows, PushError};
use crate::schema::Schemas;
use crate::{AlignedBytes, SharedBytes};

/// A batch as the log, the MemTable, followers and subscribers use it. Cloning shares the bytes.
///
/// *Invariant*: the bytes passed [`EncodedBatch::check`], were built by [`crate::Batch`], or come from a place
/// whose checksum vouches for bytes that did.
#[derive(Clone)]
pub struct EncodedBatch {
    bytes: SharedBytes,
    header: BatchHeader,
}

impl EncodedBatch {
    pub(super) fn new(bytes: SharedBytes, header: BatchHeader) -> Self {
        Self { bytes, header }
    }

    /// Checks a batch that comes from outside, completely: checksum, structure, every value.
    pub fn check(bytes: SharedBytes, schemas: &Schemas) -> Result<Self, BatchError> {
        let header = check::checksum(&bytes)?;
        check::structure(&bytes, &header)?;
        check::rows(&bytes, &header, schemas)?;
        Ok(Self { bytes, header })
    }

    /// Takes a batch back from our own log: checksum and structure are checked, values were when it went in.
    pub fn from_log(bytes: SharedBytes) -> Result<Self, BatchError> {
        let header = check::checksum(&bytes)?;
        check::structure(&bytes, &header)?;
        Ok(Self { bytes, header })
    }

    /// The same rows from another producer, or as another of his batches. Copies the bytes.
    #[must_use]
    pub fn with_producer(&self, producer: Producer) -> Self {
        let mut bytes = AlignedBytes::from(&*self.bytes);
        let header = BatchHeader { producer, ..self.header }.seal(&mut bytes);
        Self { bytes: bytes.into(), header }
    }

    /// Some of the rows, in their order, as a batch without a producer: it is not the one that he numbered. `places` must
    /// be below [`EncodedBatch::len`].
    pub fn select(&self, places: &[u32], schemas: &Schemas) -> Result<Self, PushError> {
        let (rows, mut batch) = (self.rows(), Batch::new());
        for (table, record) in places.iter().filter_map(|place| rows.get(*place as usize, 0)) {
            let schema = schemas.get(table).ok_or(PushError::UnknownTable(table))?;
            batch.push_record(schema, &record)?;
        }
        Ok(batch.encode())
    }

    /// Reads the rows in place.
    pub fn rows(&self) -> BatchRows<'_> {
        BatchRows::new(self)
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.header.count as usize
    }

    /// True where there are no rows.
    pub fn is_empty(&self) -> bool {
        self.header.count == 0
    }

    /// Who wrote it.
    pub fn producer(&self) -> Producer {
        self.header.producer
    }

    /// The header's fields.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The encoded bytes.
    pub fn bytes(&self) -> &SharedBytes {
        &self.bytes
    }

    /// The names of the dictionary, in order.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.encoded_symbols();
        (0..self.header.symbol_count).map_while(move |_| {
            let (length, names) = rest.split_first()?;
            let (name, after) = names.split_at_checked(usize::from(*length))?;
            rest = after;
            std::str::from_utf8(name).ok()
        })
    }

    /// The dictionary as it is encoded, padding included: two batches with as many names and the same bytes here have the
    /// same names.
    pub fn encoded_symbols(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..self.header.row_headers_offset as usize]
    }

    /// The header of a row. `row` must be below [`EncodedBatch::len`].
    #[inline]
    pub fn row_header(&self, row: usize) -> RowHeader {
        let at = self.header.row_headers_offset as usize + row * ROW_HEADER_BYTES;
        RowHeader::read(&self.bytes[at..at + ROW_HEADER_BYTES])
    }

    /// Fixed part and tail of the row that `header` describes.
    #[inline]
    pub fn row(&self, header: &RowHeader) -> &[u8] {
        let start = header.offset as usize;
        &self.bytes[start..start + header.length as usize]
    }
}

impl fmt::Debug for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedBatch({} rows, {} bytes)", self.len(), self.bytes.len())
    }
}
