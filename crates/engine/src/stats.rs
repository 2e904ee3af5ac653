//! What the database says about itself.

use std::sync::Arc;
use std::time::Duration;

use tapebook_lsm::compaction::Retention;
use tapebook_lsm::manifest::Version;
use tapebook_wal::{TornTail, WalStats};

/// Counters since the start, and what is in memory now.
#[derive(Clone, Debug)]
pub struct DbStats {
    /// Rows applied.
    pub rows_applied: u64,
    /// The last entry of the log that was applied.
    pub applied_index: u64,
    /// Bytes of the active MemTable, batches and index.
    pub memtable_bytes: u64,
    /// MemTables that wait to be flushed.
    pub frozen_memtables: usize,
    /// What readers keep in memory although it was flushed.
    pub pinned: PinnedStats,
    /// Appends that had to wait for a flush.
    pub stalls: u64,
    /// How long they waited, together.
    pub stall_time: Duration,
    /// Why flushing fails, while it does.
    pub flush_failing: Option<String>,
    /// Why files that are no longer needed could not be removed, while they are there.
    pub leftovers: Option<String>,
    /// The files that hold flushed rows, and their partitions.
    pub version: Arc<Version>,
    /// What is kept of each table.
    pub retention: Retention,
    /// What compaction did.
    pub compaction: CompactionStats,
    /// What the scrubber did and found.
    pub scrub: ScrubStats,
    /// The log's counters.
    pub wal: WalStats,
}

/// MemTables that were flushed and that snapshots still hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PinnedStats {
    /// How many they are.
    pub memtables: usize,
    /// Bytes of their batches and index. [`Options::pinned_bytes_max`](crate::Options::pinned_bytes_max) bounds them.
    pub bytes: u64,
    /// Reads that ended since the start because it was more. A query of SQL may count once for each of its threads.
    pub reads_ended: u64,
}

/// What the scrubber did since the start, and what is wrong now.
#[derive(Clone, Debug, Default)]
pub struct ScrubStats {
    /// Times that every file was read.
    pub passes: u64,
    /// Bytes read.
    pub bytes: u64,
    /// When the last pass ended, nanoseconds since the epoch.
    pub last_ended_at: Option<i64>,
    /// What is wrong; each names file and place.
    pub problems: Vec<String>,
}

/// What compaction did since the start.
#[derive(Clone, Debug, Default)]
pub struct CompactionStats {
    /// Files that went to another level or partition as they were.
    pub moves: u64,
    /// Merges carried out.
    pub merges: u64,
    /// Partitions that became history, or whose history was written anew.
    pub conversions: u64,
    /// Steps that dropped slices, as retention says.
    pub drops: u64,
    /// Rows of those slices.
    pub dropped_rows: u64,
    /// Bytes that went with them.
    pub dropped_bytes: u64,
    /// Bytes of the files that were merged or converted.
    pub read_bytes: u64,
    /// Bytes of the files that took their place, or that of files which a dropped slice had shared.
    pub written_bytes: u64,
    /// The newest steps, oldest first; at most a hundred.
    pub recent: Vec<CompactionStep>,
    /// Why compacting fails, while it does.
    pub failing: Option<String>,
}

/// One step of compaction.
#[derive(Clone, Debug)]
pub struct CompactionStep {
    /// When it was done, nanoseconds since the epoch.
    pub ended_at: i64,
    /// `move`, `convert`, `drop`, or why files were merged.
    pub kind: &'static str,
    /// The files that were moved, replaced or dropped.
    pub files_before: u64,
    /// Their bytes.
    pub bytes_before: u64,
    /// The files that there were afterwards.
    pub files_after: u64,
    /// Their bytes.
    pub bytes_after: u64,
    /// Rows of slices that went; 0 for all but `drop`.
    pub rows_dropped: u64,
    /// How long it took.
    pub took: Duration,
}

/// What opening a data directory found and did.
#[derive(Clone, Debug, Default)]
pub struct OpenReport {
    /// True where the directory was new.
    pub created: bool,
    /// SSTables opened.
    pub tables: usize,
    /// Log entries replayed.
    pub replayed_entries: u64,
    /// Bytes of their payloads.
    pub replayed_bytes: u64,
    /// How long it took.
    pub took: Duration,
    /// The end of the log that was cut, because nobody was ever told about it.
    pub torn: Option<TornTail>,
    /// Files left over from a crash that were removed.
    pub removed: Vec<String>,
}
