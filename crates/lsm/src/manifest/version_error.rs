//! Why an edit does not lead from a version to another.

use super::{LogRange, SeqRange};
use crate::key::TimeRange;

/// An invariant of [`Version`](super::Version) that an edit would break.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// A file number is in use already.
    #[error("file {file_id} is there already")]
    FileExists {
        /// The file.
        file_id: u64,
    },
    /// A file that is to leave is not there.
    #[error("file {file_id} is not there")]
    NoFile {
        /// The file.
        file_id: u64,
    },
    /// A file number that was never handed out.
    #[error("file {file_id} is not below the next file number {next_file_id}")]
    FileNumber {
        /// The file.
        file_id: u64,
        /// No file has this number or a higher one.
        next_file_id: u64,
    },
    /// A level that does not exist.
    #[error("file {file_id}: level {found}, expected less than {levels}")]
    Level {
        /// The file.
        file_id: u64,
        /// What the edit says.
        found: u8,
        /// How many levels there are.
        levels: usize,
    },
    /// A file without rows or bytes, or with more rows than sequence numbers.
    #[error("file {file_id}: {rows} rows in {bytes} bytes with sequences {seqs}")]
    Extent {
        /// The file.
        file_id: u64,
        /// Its rows.
        rows: u64,
        /// Its bytes.
        bytes: u64,
        /// Its sequence numbers.
        seqs: SeqRange,
    },
    /// A range of log indexes that is empty or beyond what was applied.
    #[error("file {file_id}: log indexes {found}, applied up to {applied}")]
    LogIndexes {
        /// The file.
        file_id: u64,
        /// What the edit says.
        found: LogRange,
        /// The last index that the state file includes.
        applied: u64,
    },
    /// The tables of a file are not an ascending list of at least one.
    #[error("file {file_id}: its tables are not an ascending list")]
    Tables {
        /// The file.
        file_id: u64,
    },
    /// A path that leads out of the history folder or is not in its plain form.
    #[error("file {file_id}: the path {path:?} is not a plain relative path below history/")]
    Path {
        /// The file.
        file_id: u64,
        /// What the edit says.
        path: String,
    },
    /// Two history files with one path.
    #[error("file {file_id}: the path {path:?} belongs to file {other}")]
    PathInUse {
        /// The file.
        file_id: u64,
        /// The path.
        path: String,
        /// The file that has it.
        other: u64,
    },
    /// A file of a partition that is not there.
    #[error("file {file_id}: partition {partition} is not there")]
    NoPartitionOfFile {
        /// The file.
        file_id: u64,
        /// Its partition.
        partition: u64,
    },
    /// A file whose times are empty or outside its partition.
    #[error("file {file_id}: times {}..{}, its partition {}..{}", found.first, found.last, partition.first, partition.last)]
    Times {
        /// The file.
        file_id: u64,
        /// Its times.
        found: TimeRange,
        /// Its partition's times.
        partition: TimeRange,
    },
    /// A partition's number is in use already.
    #[error("partition {id} is there already")]
    PartitionExists {
        /// The partition.
        id: u64,
    },
    /// A partition that is to end is not there.
    #[error("partition {id} is not there")]
    NoPartition {
        /// The partition.
        id: u64,
    },
    /// A partition without times, or two with common ones.
    #[error("partition {id}: {}..{} is empty or overlaps partition {other}", times.first, times.last)]
    PartitionTimes {
        /// The partition.
        id: u64,
        /// Its times.
        times: TimeRange,
        /// The other one, or itself where its range is empty.
        other: u64,
    },
    /// A counter that would go back.
    #[error("{counter} would go back from {from} to {to}")]
    GoesBack {
        /// Which one.
        counter: &'static str,
        /// The value now.
        from: u64,
        /// The value in the edit.
        to: u64,
    },
    /// A sequence number beyond the version's last one.
    #[error("{what} reaches sequence {found}, the version {last_seq}")]
    Seq {
        /// A file or the state.
        what: &'static str,
        /// What it says.
        found: u64,
        /// The version's last sequence number.
        last_seq: u64,
    },
    /// A restart would miss log entries that no state file includes.
    #[error("the log would start at {log_start}, the state file includes entries up to {applied}")]
    LogStart {
        /// The index from which a restart would replay.
        log_start: u64,
        /// The last index that the state file includes.
        applied: u64,
    },
}
