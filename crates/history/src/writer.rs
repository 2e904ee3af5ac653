//! Writes a file: rows of one table in key order in, one finished Parquet file out.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use tapebook_record::projection::{Projection, arrow_schema};
use tapebook_record::symbol::check_symbol;
use tapebook_record::{RawRecord, TableSchema};
use tapebook_vfs::{OpenMode, Vfs};

use crate::HISTORY_FORMAT;
use crate::directory::{self, SeriesSpan};
use crate::encodings::Encodings;
use crate::error::WriteError;
use crate::grains::GRAIN_BYTES;
use crate::identity::{HistoryIdentity, HistorySeal, TAIL_BYTES_MAX};
use crate::metadata::Facts;
use crate::output::Output;
use crate::range::{NO_LAYOUTS, NO_SEQS, NO_TIMES, hull};
use crate::row_check::check_row;
use crate::row_group::RowGroup;

/// Rows that are turned into columns at a time.
const BATCH_ROWS: usize = 8192;
/// The same, where rows are long.
const BATCH_BYTES: usize = 4 << 20;

/// How a file is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WriterOptions {
    /// A row group ends with so many rows. Default 400,000: with as many different ids, a Bloom filter of 2^22 bits is
    /// just large enough.
    pub row_group_rows: usize,
    /// A row group ends when its rows, as they were given, have so many bytes. Default 64 MiB.
    pub row_group_bytes: usize,
    /// The level of zstd. Default 6.
    pub zstd_level: i32,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { row_group_rows: 400_000, row_group_bytes: 64 << 20, zstd_level: 6 }
    }
}

/// What was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HistorySummary {
    /// What [`HistoryFile::open`](crate::HistoryFile::open) wants to be told.
    pub seal: HistorySeal,
    /// The number of rows.
    pub rows: u64,
    /// The number of symbols.
    pub series: u64,
    /// The number of row groups.
    pub row_groups: u64,
    /// Event times of all rows; empty where there are none.
    pub times: RangeInclusive<i64>,
    /// Sequence numbers of all rows; empty where there are none.
    pub seqs: RangeInclusive<u64>,
}

/// Writes one file from front to back. Memory: the compressed pages of one row group, those of columns that are tried in
/// several ways once for each, their dictionaries, a batch of at most 4 MiB, and 72 bytes and the name for each series.
///
/// A writer that is dropped before [`HistoryWriter::finish`] leaves an unfinished file, which
/// [`HistoryFile`](crate::HistoryFile) refuses; removing it is the caller's.
pub struct HistoryWriter {
    path: Arc<Path>,
    identity: HistoryIdentity,
    schema: Arc<TableSchema>,
    options: WriterOptions,
    encodings: Encodings,
    factories: Vec<ArrowRowGroupWriterFactory>,
    file: SerializedFileWriter<Output>,
    group: Option<RowGroup>,
    projection: Projection,
    /// Bytes of the rows that wait in the projection.
    batch_bytes: usize,
    series: Vec<SeriesSpan>,
    last_seq: u64,
    rows: u64,
    row_layouts: RangeInclusive<u16>,
    failed: bool,
}

impl HistoryWriter {
    /// Creates the file, which must not exist yet.
    pub fn create(
        vfs: &dyn Vfs,
        path: &Path,
        identity: HistoryIdentity,
        schema: &Arc<TableSchema>,
        options: WriterOptions,
    ) -> Result<Self, WriteError> {
        let path: Arc<Path> = path.into();
        let options = WriterOptions {
            row_group_rows: options.row_group_rows.clamp(1, 1 << 24),
            row_group_bytes: options.row_group_bytes.clamp(1, 1 << 30),
            zstd_level: options.zstd_level.clamp(1, 22),
        };
        let file = vfs
            .open(&path, OpenMode::CreateNew)
            .map_err(|source| WriteError::Io { path: path.to_path_buf(), source })?;
        let columns = arrow_schema(schema);
        let all: Vec<usize> = (0..columns.fields().len()).collect();
        let encoder = |error| encoder_failed(&path, error);
        let encodings =
            Encodings::new(schema, &columns, options.zstd_level, options.row_group_rows).map_err(encoder)?;
        let mut factories = Vec::with_capacity(encodings.properties.len());
        for properties in &encodings.properties {
            // Only its schema and properties count; its bytes go nowhere.
            let root = encodings.parquet_schema.root_schema_ptr();
            let nowhere = SerializedFileWriter::new(std::io::sink(), root, Arc::clone(properties));
            factories.push(ArrowRowGroupWriterFactory::new(&nowhere.map_err(encoder)?, Arc::clone(&columns)));
        }
        let file = SerializedFileWriter::new(
            Output::new(file, identity),
            encodings.parquet_schema.root_schema_ptr(),
            Arc::clone(&encodings.properties[0]),
        )
        .map_err(encoder)?;
        Ok(Self {
            projection: Projection::new(schema, &all),
            schema: Arc::clone(schema),
            path,
            identity,
            options,
            encodings,
            factories,
            file,
            group: None,
            batch_bytes: 0,
            series: Vec::new(),
            last_seq: 0,
            rows: 0,
            row_layouts: NO_LAYOUTS,
            failed: false,
        })
    }

    /// Which file it is going to be.
    pub fn identity(&self) -> HistoryIdentity {
        self.identity
    }

    /// Adds records of the table, each of which must come after the one before it: by the symbol's bytes, `ts`, `seq`.
    pub fn add(&mut self, records: &[RawRecord<'_>]) -> Result<(), WriteError> {
        self.unless_failed()?;
        let mut waiting = 0;
        for (at, record) in records.iter().enumerate() {
            if let Err(error) = self.take(record) {
                self.projection.append(&records[waiting..at]);
                return Err(error);
            }
            let rows = self.projection.len() + at + 1 - waiting;
            let group = self.group.as_ref();
            let group_rows = rows + group.map_or(0, |group| group.rows);
            let group_bytes = self.batch_bytes + group.map_or(0, |group| group.row_bytes);
            let ends_group =
                group_rows >= self.options.row_group_rows || group_bytes >= self.options.row_group_bytes;
            if ends_group || rows >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES {
                self.projection.append(&records[waiting..=at]);
                waiting = at + 1;
                self.write_batch(ends_group)?;
            }
        }
        self.projection.append(&records[waiting..]);
        Ok(())
    }

    /// Checks a record and counts it.
    fn take(&mut self, record: &RawRecord<'_>) -> Result<(), WriteError> {
        let last = self.series.last().map(|span| (span.symbol.as_str(), span.ts_last, self.last_seq));
        if let Some((last_symbol, last_ts, last_seq)) = last
            && (record.symbol, record.ts, record.seq) <= (last_symbol, last_ts, last_seq)
        {
            return Err(WriteError::OutOfOrder {
                symbol: record.symbol.to_owned(),
                ts: record.ts,
                seq: record.seq,
                last_symbol: last_symbol.to_owned(),
                last_ts,
                last_seq,
            });
        }
        let same_series = last.is_some_and(|(symbol, _, _)| symbol == record.symbol);
        if !same_series {
            check_symbol(record.symbol)?;
        }
        check_row(&self.schema, record).map_err(|reason| WriteError::Row {
            table: self.schema.name.to_string(),
            layout: record.layout,
            row_bytes: record.row.len(),
            reason,
        })?;
        match self.series.last_mut() {
            Some(span) if same_series => {
                span.rows += 1;
                span.ts_last = record.ts;
                span.seq_min = span.seq_min.min(record.seq);
                span.seq_max = span.seq_max.max(record.seq);
            }
            _ => self.series.push(SeriesSpan {
                symbol: record.symbol.to_owned(),
                first_row: self.rows,
                rows: 1,
                ts_first: record.ts,
                ts_last: record.ts,
                seq_min: record.seq,
                seq_max: record.seq,
            }),
        }
        self.last_seq = record.seq;
        self.rows += 1;
        self.batch_bytes += record.row.len();
        self.row_layouts = hull(&self.row_layouts, &(record.layout..=record.layout));
        Ok(())
    }

    /// Bytes of the finished row groups.
    pub fn written_bytes(&self) -> u64 {
        self.file.bytes_written() as u64
    }

    /// The number of rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn unless_failed(&self) -> Result<(), WriteError> {
        if !self.failed {
            return Ok(());
        }
        let reason = "an earlier call failed".to_owned();
        Err(WriteError::Encoder { path: self.path.to_path_buf(), reason })
    }

    fn write_batch(&mut self, ends_group: bool) -> Result<(), WriteError> {
        // An encoder that failed may have taken any part of the rows.
        self.failed = true;
        self.encode_batch(ends_group).map_err(|error| encoder_failed(&self.path, error))?;
        self.failed = false;
        Ok(())
    }

    fn encode_batch(&mut self, ends_group: bool) -> Result<(), ParquetError> {
        if !self.projection.is_empty() {
            let batch = self.projection.finish();
            let group = match &mut self.group {
                Some(group) => group,
                none => none.insert(RowGroup::new(&self.factories, &self.encodings.ways)?),
            };
            group.write(&batch)?;
            group.row_bytes += std::mem::take(&mut self.batch_bytes);
        }
        if ends_group && let Some(group) = self.group.take() {
            group.finish(&mut self.file)?;
        }
        Ok(())
    }

    /// Writes what is left and makes the file durable. The rows that retractions up to `retractions_through` hide were
    /// left out by whoever gave the rows; 0 for none. Syncing the directory and giving the file its final name are the
    /// caller's.
    pub fn finish(mut self, retractions_through: u64) -> Result<HistorySummary, WriteError> {
        self.unless_failed()?;
        self.write_batch(true)?;
        let path = Arc::clone(&self.path);
        self.write_tail(retractions_through).map_err(|error| encoder_failed(&path, error))
    }

    fn write_tail(mut self, retractions_through: u64) -> Result<HistorySummary, ParquetError> {
        let spans = self.series.iter();
        let (times, seqs) = spans.fold((NO_TIMES, NO_SEQS), |(times, seqs), span| {
            let (span_times, span_seqs) = (span.ts_first..=span.ts_last, span.seq_min..=span.seq_max);
            (hull(&times, &span_times), hull(&seqs, &span_seqs))
        });
        // All bytes so far have to be through before the output is told that the tail begins.
        self.file.flush()?;
        let (tail, grains) = self.file.inner_mut().begin_tail();
        let directory = directory::encode(&self.series);
        self.file.write_all(&directory)?;
        for crc in grains {
            self.file.write_all(&crc.to_le_bytes())?;
        }
        let facts = Facts {
            format: HISTORY_FORMAT,
            identity: self.identity,
            table: self.schema.name.to_string(),
            table_id: self.schema.id.0,
            layout: self.schema.layout,
            row_layouts: self.row_layouts.clone(),
            rows: self.rows,
            times: times.clone(),
            seqs: seqs.clone(),
            retractions_through,
            tail,
            grain_bytes: GRAIN_BYTES as u64,
            directory_bytes: directory.len() as u64,
        };
        for pair in facts.to_key_values() {
            self.file.append_key_value_metadata(pair);
        }
        let metadata = self.file.finish()?;
        self.file.flush()?;
        let seal = self.file.inner_mut().finish()?;
        if seal.tail_bytes > TAIL_BYTES_MAX {
            let bytes = seal.tail_bytes;
            return Err(ParquetError::General(format!("too many series or pages: a tail of {bytes} bytes")));
        }
        Ok(HistorySummary {
            seal,
            rows: self.rows,
            series: self.series.len() as u64,
            row_groups: metadata.num_row_groups() as u64,
            times,
            seqs,
        })
    }
}

impl fmt::Debug for HistoryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryWriter")
            .field("path", &self.path)
            .field("identity", &self.identity)
            .field("rows", &self.rows)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// What the encoder says, or what the operating system said to the encoder.
#[cold]
fn encoder_failed(path: &Path, error: ParquetError) -> WriteError {
    let path = path.to_path_buf();
    match error {
        ParquetError::External(source) => match source.downcast() {
            Ok(source) => WriteError::Io { path, source: *source },
            Err(source) => WriteError::Encoder { path, reason: source.to_string() },
        },
        error => WriteError::Encoder { path, reason: error.to_string() },
    }
}
