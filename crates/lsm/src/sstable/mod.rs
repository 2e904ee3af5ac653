//! SSTables: immutable files of rows in key order, read in place through a map.
//!
//! [`TableWriter`] writes a file in one sequential pass; [`Table`] opens it, checks everything but the rows, and
//! reads rows in place: [`TableSeries::scan`], [`TableSeries::get`], [`TableSeries::last_at`], [`Table::by_id`]. A block's
//! checksum is verified when the block is first touched. The byte map stands in `docs/format/sstable.md`.
//!
//! ```
//! use std::path::Path;
//!
//! use tapebook_lsm::key::{Direction, TimeRange};
//! use tapebook_lsm::sstable::{Table, TableIdentity, TableMeta, TableWriter, TableWriterOptions};
//! use tapebook_record::{Batch, RawRecord, Schemas, Trade};
//! use tapebook_vfs::MemoryVfs;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut batch = Batch::new();
//! batch.push(Trade { symbol: "BINANCE.BTCUSDT", ts: 17, price: Some(61_800.2), ..Trade::default() })?;
//! let batch = batch.encode();
//! let header = batch.row_header(0);
//!
//! let (vfs, path) = (MemoryVfs::new(1), Path::new("/1.sst"));
//! let identity = TableIdentity { cluster_id: 7, file_id: 1 };
//! let options = TableWriterOptions::default();
//! let mut writer = TableWriter::create(&vfs, path, identity, &Schemas::standard(), options)?;
//! writer.add(header.table, &RawRecord {
//!     ts: header.ts,
//!     seq: 1,
//!     recv_ts: header.recv_ts,
//!     feed_seq: header.feed_seq,
//!     flags: header.flags,
//!     layout: header.layout,
//!     symbol: "BINANCE.BTCUSDT",
//!     row: batch.row(&header),
//! })?;
//! writer.finish(TableMeta::default())?;
//!
//! let table = Table::open(&vfs, path, identity)?;
//! let series = table.series(header.table, "BINANCE.BTCUSDT").ok_or("not there")?;
//! for record in series.scan(TimeRange::ALL, Direction::Forward) {
//!     assert_eq!(record?.ts, 17);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! This module does not know levels, manifests or what is hidden by a retraction, and it never decides what
//! goes into a file: it keeps what it is given, in the order in which it must come.

mod block;
mod block_builder;
mod bloom;
mod by_id;
mod directory;
mod entry;
mod error;
mod footer;
mod header;
mod id_builder;
mod id_columns;
mod identity;
mod layout;
mod meta;
mod open;
mod output;
mod overlap;
mod report;
mod row_check;
mod scan;
mod scrub;
mod search;
mod series;
mod series_names;
mod source;
mod table;
mod verified;
mod verify;
mod writer;

pub use by_id::IdMatches;
pub use error::{Part, TableError, WriteError};
pub use identity::TableIdentity;
pub use meta::{TableMeta, TableStats};
pub use report::{IdColumnReport, TableReport};
pub use scan::Scan;
pub use series::TableSeries;
pub use table::Table;
pub use writer::{TableSummary, TableWriter, TableWriterOptions};

/// The version of the file format that this code writes, and the newest that it reads.
pub const TABLE_FORMAT: u16 = 1;

#[cfg(test)]
mod tests;
