//! How records are kept and found: MemTable, SSTable, manifest, and the snapshot that reads them as one.
//!
//! * [`memtable`]: the newest records, indexed in memory while their batches stay as they arrived;
//! * [`sstable`]: immutable files of rows in key order, read in place through a map;
//! * [`manifest`]: which files there are, as a log of version edits, and the state file beside them;
//! * [`compaction`]: which files to merge, and the merging;
//! * [`retraction`]: which rows readers no longer see;
//! * [`snapshot`]: one atomic view of all of it, up to one sequence number.
//!
//! This crate does not know the write-ahead log, and nothing in it decides when to flush or to compact.

#![deny(unsafe_code)]

pub mod compaction;
pub mod key;
pub mod manifest;
pub mod memtable;
pub mod retraction;
pub mod snapshot;
pub mod sstable;
