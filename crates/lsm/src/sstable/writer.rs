//! Writes a table: rows in key order in, one finished file out.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use tapebook_record::symbol::check_symbol;
use tapebook_record::{RawRecord, Schemas, TableId, TableSchema};
use tapebook_vfs::{OpenMode, Vfs};

use super::block_builder::BlockBuilder;
use super::directory::SeriesEntry;
use super::entry::ROW_LENGTH_MAX;
use super::error::WriteError;
use super::footer::Footer;
use super::header::FileHeader;
use super::id_builder::IdBuilder;
use super::identity::TableIdentity;
use super::meta::{Properties, TableMeta, TableStats, Totals};
use super::output::Output;
use crate::key::TimeRange;

const BLOCK_BYTES_MIN: usize = 64;
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// How a table is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableWriterOptions {
    /// A block ends before it would have more bytes; a longer row has a block of its own. 64 bytes to 64 MiB.
    pub block_bytes: usize,
    /// Bits of a Bloom filter for each different id.
    pub bloom_bits_per_key: u32,
    /// Bytes that are gathered for one write.
    pub write_bytes: usize,
}

impl Default for TableWriterOptions {
    fn default() -> Self {
        Self { block_bytes: 64 * 1024, bloom_bits_per_key: 10, write_bytes: 1 << 20 }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableSummary {
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Series of all tables.
    pub series: u64,
    /// Blocks of rows.
    pub blocks: u64,
    /// Event times of all rows; empty where there are none.
    pub time_range: TimeRange,
    /// The lowest sequence number; above `seq_max` where there are no rows.
    pub seq_min: u64,
    /// The highest sequence number.
    pub seq_max: u64,
}

/// Writes one file from front to back. Memory: one block, one write buffer, 80 bytes for each block, 64 bytes and the
/// name for each series, 16 bytes for each id.
///
/// A writer that is dropped before [`TableWriter::finish`] leaves an unfinished file, which [`Table`](super::Table)
/// refuses; removing it is the caller's.
#[derive(Debug)]
pub struct TableWriter {
    path: Arc<Path>,
    identity: TableIdentity,
    schemas: Schemas,
    options: TableWriterOptions,
    out: Output,
    block: BlockBuilder,
    block_index: Vec<u8>,
    blocks: u32,
    series: Vec<SeriesEntry>,
    names: Vec<u8>,
    last: (i64, u64),
    rows: u32,
    tables: Vec<TableStats>,
    schema: Option<Arc<TableSchema>>,
    ids: Vec<IdBuilder>,
    /// Where the ids of the current table begin in `ids`.
    ids_from: usize,
    totals: Totals,
}

impl TableWriter {
    /// Creates the file, which must not exist yet.
    pub fn create(
        vfs: &dyn Vfs,
        path: &Path,
        identity: TableIdentity,
        schemas: &Schemas,
        options: TableWriterOptions,
    ) -> Result<Self, WriteError> {
        let path: Arc<Path> = path.into();
        let file = vfs.open(&path, OpenMode::CreateNew).map_err(|source| io_failed(&path, source))?;
        let mut out = Output::new(file, identity, options.write_bytes.clamp(4096, 64 << 20));
        out.append(|buffer| buffer.extend_from_slice(&FileHeader { identity }.to_bytes()))
            .map_err(|source| io_failed(&path, source))?;
        let options = TableWriterOptions {
            block_bytes: options.block_bytes.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX),
            bloom_bits_per_key: options.bloom_bits_per_key.clamp(1, 64),
            ..options
        };
        Ok(Self {
            path,
            identity,
            schemas: schemas.clone(),
            options,
            out,
            block: BlockBuilder::new(),
            block_index: Vec::new(),
            blocks: 0,
            series: Vec::new(),
            names: Vec::new(),
            last: (0, 0),
            rows: 0,
            tables: Vec::new(),
            schema: None,
            ids: Vec::new(),
            ids_from: 0,
            totals: Totals::NONE,
        })
    }

    /// Adds a record, which must come after the one before it: by table, the symbol's bytes, `ts`, `seq`.
    pub fn add(&mut self, table: TableId, record: &RawRecord<'_>) -> Result<(), WriteError> {
        let schema = match &self.schema {
            Some(schema) if schema.id == table => Arc::clone(schema),
            _ => Arc::clone(self.schemas.get(table).ok_or(WriteError::UnknownTable(table))?),
        };
        let same_series = self.check_order(table, record)?;
        check_row(&schema, record)?;
        if self.rows == u32::MAX {
            return Err(WriteError::Full("rows"));
        }
        if !same_series {
            check_symbol(record.symbol)?;
            if self.names.len() + record.symbol.len() > u32::MAX as usize {
                return Err(WriteError::Full("bytes of symbols"));
            }
        }
        // From here on only the disk can refuse.
        if !self.block.takes(table, record.layout, record.row.len(), self.options.block_bytes) {
            self.end_block()?;
            self.block.begin(table, record.layout, schema.row_align, u64::from(self.rows));
        }
        if self.tables.last().is_none_or(|last| last.table != table) {
            self.begin_table(&schema);
        }
        if !same_series {
            self.begin_series(table, record.symbol);
        }
        self.block.push(record);
        for column in &mut self.ids[self.ids_from..] {
            column.add(&schema, record, self.rows);
        }
        self.schema = Some(schema);
        self.count(record);
        Ok(())
    }

    /// True where the record continues the last series.
    fn check_order(&self, table: TableId, record: &RawRecord<'_>) -> Result<bool, WriteError> {
        let Some(series) = self.series.last() else {
            return Ok(false);
        };
        let name = &self.names[series.name_range()];
        let same_series = table == series.table && record.symbol.as_bytes() == name;
        let in_order = if same_series {
            (record.ts, record.seq) > self.last
        } else {
            (table, record.symbol.as_bytes()) > (series.table, name)
        };
        if in_order {
            return Ok(same_series);
        }
        Err(WriteError::OutOfOrder {
            table,
            symbol: record.symbol.to_owned(),
            ts: record.ts,
            seq: record.seq,
            last_table: series.table,
            last_symbol: String::from_utf8_lossy(name).into_owned(),
            last_ts: self.last.0,
            last_seq: self.last.1,
        })
    }

    fn begin_table(&mut self, schema: &TableSchema) {
        self.tables.push(TableStats {
            table: schema.id,
            layout_first: u16::MAX,
            layout_last: 0,
            row_align: schema.row_align as u16,
            rows: 0,
            series: 0,
            blocks: 0,
        });
        self.ids_from = self.ids.len();
        self.ids.extend(schema.id_columns().map(|(column, _)| IdBuilder::new(schema, column)));
    }

    fn begin_series(&mut self, table: TableId, name: &str) {
        self.series.push(SeriesEntry {
            table,
            name_length: name.len() as u16,
            name_offset: self.names.len() as u32,
            first_row: u64::from(self.rows),
            rows: 0,
            ts_first: i64::MAX,
            ts_last: i64::MIN,
            seq_min: u64::MAX,
            seq_max: 0,
            first_block: self.blocks,
            first_entry: self.block.len() as u32,
        });
        self.names.extend_from_slice(name.as_bytes());
        if let Some(stats) = self.tables.last_mut() {
            stats.series += 1;
        }
    }

    fn count(&mut self, record: &RawRecord<'_>) {
        if let Some(series) = self.series.last_mut() {
            series.rows += 1;
            series.ts_first = series.ts_first.min(record.ts);
            series.ts_last = record.ts;
            series.seq_min = series.seq_min.min(record.seq);
            series.seq_max = series.seq_max.max(record.seq);
        }
        if let Some(stats) = self.tables.last_mut() {
            stats.rows += 1;
            stats.layout_first = stats.layout_first.min(record.layout);
            stats.layout_last = stats.layout_last.max(record.layout);
        }
        self.rows += 1;
        self.last = (record.ts, record.seq);
    }

    fn end_block(&mut self) -> Result<(), WriteError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let (offset, crc) = (self.out.position(), self.out.block_checksum(self.blocks));
        let (block, out) = (&mut self.block, &mut self.out);
        let written = out
            .append(|buffer| block.write(buffer, crc, offset))
            .map_err(|source| io_failed(&self.path, source))?;
        self.block_index.extend_from_slice(&written.to_bytes());
        self.totals.add(
            u64::from(written.entries),
            TimeRange { first: written.ts_min, last: written.ts_max },
            RangeInclusive::new(written.seq_min, written.seq_max),
        );
        self.blocks += 1;
        if let Some(stats) = self.tables.last_mut()
            && stats.table == self.block.table()
        {
            stats.blocks += 1;
        }
        Ok(())
    }

    /// Which file it writes.
    pub fn identity(&self) -> TableIdentity {
        self.identity
    }

    /// Bytes of rows so far, written or gathered to be.
    pub fn written_bytes(&self) -> u64 {
        self.out.position() + self.block.bytes() as u64
    }

    /// Writes what is left and makes the file durable. Syncing the directory and giving the file its final name are
    /// the caller's.
    pub fn finish(mut self, meta: TableMeta) -> Result<TableSummary, WriteError> {
        self.end_block()?;
        let path = Arc::clone(&self.path);
        self.write_sections(meta).map_err(|source| io_failed(&path, source))
    }

    fn write_sections(mut self, meta: TableMeta) -> io::Result<TableSummary> {
        let mut id_columns = Vec::new();
        for column in self.ids {
            if let Some(written) = column.write(&mut self.out, self.options.bloom_bits_per_key)? {
                id_columns.extend_from_slice(&written.to_bytes());
            }
        }
        let directory: Vec<u8> = self.series.iter().flat_map(|series| series.to_bytes()).collect();
        let page_checksums = self.out.page_checksum_bytes();
        let properties = Properties { tables: self.tables, totals: self.totals, meta }.encode();
        let mut footer = Footer::default();
        let sections = [self.block_index, directory, self.names, id_columns, page_checksums, properties];
        for (number, bytes) in sections.iter().enumerate() {
            footer.sections[number] = self.out.section(number as u32, bytes)?;
        }
        let file_length = self.out.position() + super::footer::FOOTER_BYTES as u64;
        let footer = footer.to_bytes(self.identity, file_length);
        self.out.append(|buffer| buffer.extend_from_slice(&footer))?;
        let file_bytes = self.out.finish()?;
        Ok(TableSummary {
            file_bytes,
            rows: u64::from(self.rows),
            series: self.series.len() as u64,
            blocks: u64::from(self.blocks),
            time_range: self.totals.ts,
            seq_min: self.totals.seq_min,
            seq_max: self.totals.seq_max,
        })
    }
}

fn check_row(schema: &TableSchema, record: &RawRecord<'_>) -> Result<(), WriteError> {
    let length = record.row.len();
    let reason = if record.layout == 0 || record.layout > schema.layout {
        "its layout version is not known"
    } else if length == 0 || !length.is_multiple_of(schema.row_align) {
        "its length is not a multiple of the table's row alignment"
    } else if record.layout == schema.layout && length < schema.fixed_bytes {
        "it is shorter than the table's fixed part"
    } else if length > ROW_LENGTH_MAX {
        "it is too long"
    } else {
        return Ok(());
    };
    Err(WriteError::Row { table: schema.name.to_string(), layout: record.layout, row_bytes: length, reason })
}

#[cold]
fn io_failed(path: &Arc<Path>, source: io::Error) -> WriteError {
    WriteError::Io { path: path.to_path_buf(), source }
}
