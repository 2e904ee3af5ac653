//! One step from a version to the next.

use super::{HistoryFile, Partition, StateRef, TableFile};

/// What changes from a version to the next. Removals take place before additions, so a file moves to another level by
/// being removed and added in one edit.
///
/// The default edit changes nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VersionEdit {
    /// Table files that join.
    pub tables_added: Vec<TableFile>,
    /// Numbers of table files that leave.
    pub tables_removed: Vec<u64>,
    /// History files that join.
    pub history_added: Vec<HistoryFile>,
    /// Numbers of history files that leave.
    pub history_removed: Vec<u64>,
    /// Partitions that begin.
    pub partitions_added: Vec<Partition>,
    /// Numbers of partitions that end; no file may be left in them.
    pub partitions_removed: Vec<u64>,
    /// The state file that replaces the one before.
    pub state: Option<StateRef>,
    /// The log index from which a restart must replay. Never goes back.
    pub log_start: Option<u64>,
    /// No file has this number or a higher one. Never goes back.
    pub next_file_id: Option<u64>,
    /// No row of the version's files has a higher sequence number. Never goes back.
    pub last_seq: Option<u64>,
    /// The epoch of the journal. Never goes back.
    pub epoch: Option<u64>,
}
