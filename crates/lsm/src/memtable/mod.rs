//! The MemTable: the newest records, found by key, by time and by id, while their batches stay as they arrived.
//!
//! A row is never copied. The MemTable keeps each batch as a whole and, for each series, where its rows are:
//!
//! * one run of rows in order of time, where nearly every row belongs;
//! * up to three runs for late rows: a row goes to the first run whose last row is not later than it;
//! * what no run can take: a short tail in order of arrival, sealed into sorted runs when it is full.
//!
//! One writer inserts, any number of readers read, and a reader never waits: every part only grows at its end,
//! and what is replaced (the tail and the sealed runs) is replaced as one.
//!
//! *Invariant*: rows come in order of `seq`, so everything that grows at its end is ordered by `seq` as well. A
//! reader cuts it at the sequence number that it may see and then has a state that does not change.
//!
//! *Boundary*: what may be seen is the caller's to say; nothing here publishes a sequence number. The MemTable does
//! not intern symbols, does not decide when it is full and does not know files.

#![allow(unexpected_cfgs, reason = "`--cfg loom` is given by hand, to check every interleaving")]

mod append_vec;
mod directory;
mod held_batch;
mod id_index;
mod late;
mod released;
mod scan;
mod series;
mod series_index;
mod table;
mod writer;

pub use id_index::IdMatches;
pub use released::Released;
pub use scan::MemScan;
pub use series::MemSeries;
pub use table::MemTable;

#[cfg(all(test, not(loom)))]
mod tests;
