//! What a version consists of: the facts that are recorded about each file and partition.

use tapebook_record::TableId;

use super::{LogId, LogRange, SeqRange};
use crate::key::TimeRange;

/// A table file (SSTable).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableFile {
    /// Its number; file numbers are never used again.
    pub file_id: u64,
    /// Its level, below [`LEVELS`](super::LEVELS): 0 as flushed, 1 compacted.
    pub level: u8,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// The partition that all of its rows belong to.
    pub partition: u64,
    /// From the earliest to the latest event time.
    pub times: TimeRange,
    /// From the lowest to the highest sequence number.
    pub seqs: SeqRange,
    /// The log entries that its rows came from.
    pub log_indexes: LogRange,
    /// The checksum that the file's footer ends with, which ties the name to this very file.
    pub checksum: u32,
    /// The tables that have rows in it, ascending.
    pub tables: Vec<TableId>,
}

/// A Parquet file of the history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HistoryFile {
    /// Its number; file numbers are never used again.
    pub file_id: u64,
    /// The one table whose rows it holds.
    pub table: TableId,
    /// The partition that all of its rows belong to.
    pub partition: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// From the earliest to the latest event time.
    pub times: TimeRange,
    /// From the lowest to the highest sequence number.
    pub seqs: SeqRange,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many of its last bytes are behind the row groups.
    pub tail_bytes: u64,
    /// The checksum of those, which ties the name to this very file.
    pub tail_crc: u32,
    /// The name that other programs read it by: relative to the data directory, with `/`, below `history/`. A newer
    /// file with the rows of the same table and partition takes it over.
    pub path: String,
}

/// A range of event times whose rows are kept together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Partition {
    /// Its number.
    pub id: u64,
    /// Its event times.
    pub times: TimeRange,
}

/// Names the state file that belongs to a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StateRef {
    /// Its number.
    pub file_id: u64,
    /// The last log entry that it includes.
    pub applied: LogId,
    /// The last sequence number given by then.
    pub last_seq: u64,
    /// The rolling hash over everything applied by then.
    pub rolling_hash: [u8; 16],
}
