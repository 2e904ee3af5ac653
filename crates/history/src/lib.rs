//! History, the last level: Parquet files that any engine can read.
//!
//! A file holds rows of *one* table in the order of symbol name, `ts` and `seq`, with exactly the columns of the table's
//! Arrow schema. [`HistoryWriter`] writes one in one sequential pass with bounded memory; [`HistoryFile`] opens it, checks
//! everything but the pages, and reads Arrow batches ([`HistoryFile::batches`]) or rows ([`HistoryFile::rows_of`]) of some
//! symbols, times and sequence numbers, touching only the pages that can have them. One series is read in both directions
//! ([`HistoryFile::blocks`]), a row is found by its key ([`HistoryFile::get`]), as the last one at a time
//! ([`HistoryFile::last`]) or by an id ([`HistoryFile::by_id`]). Every byte is covered by a checksum;
//! those of a page are verified when it is read. The format stands in `docs/format/history.md`.
//!
//! ```
//! use std::path::Path;
//!
//! use tapebook_history::{HistoryFile, HistoryIdentity, HistoryWriter, Selection, WriterOptions};
//! use tapebook_record::{Batch, RawRecord, Schemas, Trade};
//! use tapebook_vfs::MemoryVfs;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut batch = Batch::new();
//! batch.push(Trade { symbol: "BINANCE.BTCUSDT", ts: 17, price: Some(61_800.2), ..Trade::default() })?;
//! let batch = batch.encode();
//! let header = batch.row_header(0);
//! let record = RawRecord {
//!     ts: header.ts,
//!     seq: 1,
//!     recv_ts: header.recv_ts,
//!     feed_seq: header.feed_seq,
//!     flags: header.flags,
//!     layout: header.layout,
//!     symbol: "BINANCE.BTCUSDT",
//!     row: batch.row(&header),
//! };
//!
//! let (vfs, path) = (MemoryVfs::new(1), Path::new("/1.parquet"));
//! let schemas = Schemas::standard();
//! let schema = schemas.by_name("trades").ok_or("no such table")?;
//! let identity = HistoryIdentity { cluster_id: 7, file_id: 1 };
//! let mut writer = HistoryWriter::create(&vfs, path, identity, schema, WriterOptions::default())?;
//! writer.add(&[record])?;
//! let summary = writer.finish(0)?;
//!
//! let file = HistoryFile::open(&vfs, path, identity, Some(summary.seal), schema)?;
//! let mut rows = file.rows_of(&Selection::default())?;
//! let found = rows.next()?.ok_or("not there")?;
//! assert_eq!((found.symbol, found.ts, found.row), ("BINANCE.BTCUSDT", 17, record.row));
//! # Ok(())
//! # }
//! ```
//!
//! *Boundary*: this crate owns one file. It does not know which files count, what a retraction hides or when rows become
//! history; and no type of the `parquet` crate appears in its interface.

#![forbid(unsafe_code)]

mod batches;
mod blocks;
mod by_id;
mod decoder;
mod directory;
mod encodings;
mod error;
mod file;
mod footer;
mod grains;
mod id_filter;
mod identity;
mod metadata;
mod open;
mod output;
mod pages;
mod prune;
mod range;
mod report;
mod row_check;
mod row_group;
mod rows;
mod scrub;
mod search;
mod selection;
mod series_rows;
mod thrift;
mod verified;
mod verify;
mod writer;

pub use batches::HistoryBatches;
pub use blocks::HistoryBlocks;
pub use directory::SeriesSpan;
pub use error::{HistoryError, Part, WriteError};
pub use file::HistoryFile;
pub use identity::{HistoryIdentity, HistorySeal};
pub use report::{ColumnReport, HistoryReport, RowGroupReport};
pub use rows::HistoryRows;
pub use selection::Selection;
pub use writer::{HistorySummary, HistoryWriter, WriterOptions};

/// The version of the file format that this code writes, and the newest that it reads.
pub const HISTORY_FORMAT: u16 = 1;
