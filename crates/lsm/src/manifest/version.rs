//! One immutable set of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::layout::is_history_path;
use super::{HistoryFile, Partition, SeqRange, StateRef, TableFile, VersionEdit, VersionError};
use crate::key::TimeRange;

/// Levels of table files that the format has room for; leveled compaction uses 0 and 1.
pub const LEVELS: usize = 8;

/// What a table file of level 0 has in place of a partition: its rows are of any time, as they were flushed.
pub const PARTITION_AS_FLUSHED: u64 = 0;

/// The files, partitions and counters of one moment. Equal edits make equal versions.
///
/// Invariants, which [`Version::apply`] keeps:
///
/// * a file number belongs to one file and is below `next_file_id`;
/// * every file has rows, and its partition is there and covers its times; a file of level 0 may have none
///   ([`PARTITION_AS_FLUSHED`]);
/// * partitions are not empty and do not overlap;
/// * `table.seqs.last ≤ last_seq`, and so for history and state;
/// * `table.log_indexes.last ≤ state.applied.index`, and `log_start ≤ state.applied.index + 1`: whatever the log no
///   longer replays is in the state file;
/// * `next_file_id`, `last_seq`, `epoch`, `log_start` and the state's index never go back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Version {
    levels: [Vec<Arc<TableFile>>; LEVELS],
    history: BTreeMap<u64, Arc<HistoryFile>>,
    partitions: BTreeMap<u64, Partition>,
    state: Option<StateRef>,
    log_start: u64,
    next_file_id: u64,
    last_seq: u64,
    epoch: u64,
}

impl Default for Version {
    /// The version of an empty database: no files, file numbers and the log from 1.
    fn default() -> Self {
        Self {
            levels: Default::default(),
            history: BTreeMap::new(),
            partitions: BTreeMap::new(),
            state: None,
            log_start: 1,
            next_file_id: 1,
            last_seq: 0,
            epoch: 0,
        }
    }
}

impl Version {
    /// The version that follows by `edit`, or the first invariant that it would break. Removals come first.
    ///
    /// Costs time in proportion to the number of files; the files themselves are shared.
    pub fn apply(&self, edit: &VersionEdit) -> Result<Self, VersionError> {
        let mut next = self.clone();
        next.advance(edit)?;
        Ok(next)
    }

    /// As [`Version::apply`], in place, without touching the files that stay. After an error the version is worthless.
    pub(crate) fn advance(&mut self, edit: &VersionEdit) -> Result<(), VersionError> {
        self.advance_counters(edit)?;
        self.remove_files(edit)?;
        self.change_partitions(edit)?;
        for file in &edit.tables_added {
            self.add_table(file)?;
        }
        for file in &edit.history_added {
            self.add_history(file)?;
        }
        if !edit.history_added.is_empty() {
            self.check_paths()?;
        }
        self.check_state()
    }

    /// The edit that makes this version out of the default one.
    pub fn to_edit(&self) -> VersionEdit {
        VersionEdit {
            tables_added: self.tables().map(|file| TableFile::clone(file)).collect(),
            history_added: self.history().map(|file| HistoryFile::clone(file)).collect(),
            partitions_added: self.partitions().copied().collect(),
            state: self.state,
            log_start: Some(self.log_start),
            next_file_id: Some(self.next_file_id),
            last_seq: Some(self.last_seq),
            epoch: Some(self.epoch),
            ..VersionEdit::default()
        }
    }

    /// The table files of a level, by ascending file number; none for a level that does not exist.
    pub fn level(&self, level: usize) -> &[Arc<TableFile>] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// All table files, level by level.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableFile>> {
        self.levels.iter().flatten()
    }

    /// The table file with this number.
    pub fn table(&self, file_id: u64) -> Option<&Arc<TableFile>> {
        let (level, position) = self.find_table(file_id)?;
        Some(&self.levels[level][position])
    }

    /// All history files, by ascending file number.
    pub fn history(&self) -> impl Iterator<Item = &Arc<HistoryFile>> {
        self.history.values()
    }

    /// The history file with this number.
    pub fn history_file(&self, file_id: u64) -> Option<&Arc<HistoryFile>> {
        self.history.get(&file_id)
    }

    /// All partitions, by ascending number.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.values()
    }

    /// The partition with this number.
    pub fn partition(&self, id: u64) -> Option<&Partition> {
        self.partitions.get(&id)
    }

    /// The partition that `ts` belongs to.
    pub fn partition_at(&self, ts: i64) -> Option<&Partition> {
        self.partitions().find(|partition| partition.times.contains(ts))
    }

    /// The state file; none before the first flush.
    pub fn state(&self) -> Option<&StateRef> {
        self.state.as_ref()
    }

    /// The log index from which a restart must replay.
    pub fn log_start(&self) -> u64 {
        self.log_start
    }

    /// No file has this number or a higher one.
    pub fn next_file_id(&self) -> u64 {
        self.next_file_id
    }

    /// No row of the version's files has a higher sequence number.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The epoch of the journal.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    fn applied_index(&self) -> u64 {
        self.state.map_or(0, |state| state.applied.index)
    }

    fn find_table(&self, file_id: u64) -> Option<(usize, usize)> {
        self.levels.iter().enumerate().find_map(|(level, files)| {
            let position = files.binary_search_by_key(&file_id, |file| file.file_id).ok()?;
            Some((level, position))
        })
    }

    fn advance_counters(&mut self, edit: &VersionEdit) -> Result<(), VersionError> {
        advance("log_start", &mut self.log_start, edit.log_start)?;
        advance("next_file_id", &mut self.next_file_id, edit.next_file_id)?;
        advance("last_seq", &mut self.last_seq, edit.last_seq)?;
        advance("epoch", &mut self.epoch, edit.epoch)?;
        match edit.state {
            Some(state) => self.replace_state(state),
            None => Ok(()),
        }
    }

    fn replace_state(&mut self, state: StateRef) -> Result<(), VersionError> {
        if let Some(before) = self.state.filter(|before| *before != state) {
            not_back("the state's applied index", before.applied.index, state.applied.index)?;
            not_back("the state's last_seq", before.last_seq, state.last_seq)?;
        }
        if self.state != Some(state) {
            self.check_new_file(state.file_id)?;
        }
        self.state = Some(state);
        Ok(())
    }

    fn remove_files(&mut self, edit: &VersionEdit) -> Result<(), VersionError> {
        for &file_id in &edit.tables_removed {
            let (level, position) = self.find_table(file_id).ok_or(VersionError::NoFile { file_id })?;
            self.levels[level].remove(position);
        }
        for &file_id in &edit.history_removed {
            self.history.remove(&file_id).ok_or(VersionError::NoFile { file_id })?;
        }
        Ok(())
    }

    fn change_partitions(&mut self, edit: &VersionEdit) -> Result<(), VersionError> {
        for &id in &edit.partitions_removed {
            self.partitions.remove(&id).ok_or(VersionError::NoPartition { id })?;
        }
        for partition in &edit.partitions_added {
            let Partition { id, times } = *partition;
            if times.is_empty() || id == PARTITION_AS_FLUSHED {
                return Err(VersionError::PartitionTimes { id, times, other: id });
            }
            if self.partitions.insert(id, *partition).is_some() {
                return Err(VersionError::PartitionExists { id });
            }
        }
        if !edit.partitions_added.is_empty() {
            self.check_overlaps()?;
        }
        if edit.partitions_removed.is_empty() {
            return Ok(());
        }
        let tables = self.tables().map(|file| (file.file_id, file.partition, file.times));
        let history = self.history().map(|file| (file.file_id, file.partition, file.times));
        tables
            .chain(history)
            .try_for_each(|(file_id, partition, times)| self.check_times(file_id, partition, times))
    }

    fn check_overlaps(&self) -> Result<(), VersionError> {
        let mut by_time: Vec<&Partition> = self.partitions().collect();
        by_time.sort_unstable_by_key(|partition| partition.times.first);
        match by_time.windows(2).find(|pair| pair[0].times.overlaps(pair[1].times)) {
            Some(&[other, &Partition { id, times }]) => {
                Err(VersionError::PartitionTimes { id, times, other: other.id })
            }
            _ => Ok(()),
        }
    }

    fn add_table(&mut self, file: &TableFile) -> Result<(), VersionError> {
        let file_id = file.file_id;
        self.check_new_file(file_id)?;
        let Some(level) = self.levels.get(usize::from(file.level)) else {
            return Err(VersionError::Level { file_id, found: file.level, levels: LEVELS });
        };
        let position = level.partition_point(|other| other.file_id < file_id);
        self.check_extent("a table file", file_id, file.rows, file.bytes, file.seqs)?;
        if file.partition == PARTITION_AS_FLUSHED && file.level > 0 {
            return Err(VersionError::NoPartitionOfFile { file_id, partition: file.partition });
        }
        self.check_times(file_id, file.partition, file.times)?;
        if file.tables.is_empty() || !file.tables.is_sorted_by(|a, b| a < b) {
            return Err(VersionError::Tables { file_id });
        }
        let (found, applied) = (file.log_indexes, self.applied_index());
        if found.first > found.last || found.last > applied {
            return Err(VersionError::LogIndexes { file_id, found, applied });
        }
        self.levels[usize::from(file.level)].insert(position, Arc::new(file.clone()));
        Ok(())
    }

    fn add_history(&mut self, file: &HistoryFile) -> Result<(), VersionError> {
        let file_id = file.file_id;
        self.check_new_file(file_id)?;
        self.check_extent("a history file", file_id, file.rows, file.bytes, file.seqs)?;
        if file.partition == PARTITION_AS_FLUSHED {
            return Err(VersionError::NoPartitionOfFile { file_id, partition: file.partition });
        }
        self.check_times(file_id, file.partition, file.times)?;
        if !is_history_path(&file.path) {
            return Err(VersionError::Path { file_id, path: file.path.clone() });
        }
        self.history.insert(file_id, Arc::new(file.clone()));
        Ok(())
    }

    fn check_paths(&self) -> Result<(), VersionError> {
        let mut owners = BTreeMap::new();
        for file in self.history() {
            if let Some(other) = owners.insert(file.path.as_str(), file.file_id) {
                let (file_id, path) = (file.file_id, file.path.clone());
                return Err(VersionError::PathInUse { file_id, path, other });
            }
        }
        Ok(())
    }

    fn check_new_file(&self, file_id: u64) -> Result<(), VersionError> {
        if file_id >= self.next_file_id {
            return Err(VersionError::FileNumber { file_id, next_file_id: self.next_file_id });
        }
        let is_state = self.state.is_some_and(|state| state.file_id == file_id);
        if is_state || self.history.contains_key(&file_id) || self.find_table(file_id).is_some() {
            return Err(VersionError::FileExists { file_id });
        }
        Ok(())
    }

    fn check_extent(
        &self,
        what: &'static str,
        file_id: u64,
        rows: u64,
        bytes: u64,
        seqs: SeqRange,
    ) -> Result<(), VersionError> {
        if !seqs.is_sane() || rows == 0 || rows > seqs.len() || bytes == 0 {
            return Err(VersionError::Extent { file_id, rows, bytes, seqs });
        }
        self.check_seq(what, seqs.last)
    }

    fn check_seq(&self, what: &'static str, found: u64) -> Result<(), VersionError> {
        let last_seq = self.last_seq;
        if found <= last_seq { Ok(()) } else { Err(VersionError::Seq { what, found, last_seq }) }
    }

    fn check_times(&self, file_id: u64, partition: u64, found: TimeRange) -> Result<(), VersionError> {
        if partition == PARTITION_AS_FLUSHED {
            return if found.is_empty() {
                Err(VersionError::NoPartitionOfFile { file_id, partition })
            } else {
                Ok(())
            };
        }
        let Some(Partition { times, .. }) = self.partitions.get(&partition) else {
            return Err(VersionError::NoPartitionOfFile { file_id, partition });
        };
        if found.is_empty() || found.first < times.first || found.last > times.last {
            return Err(VersionError::Times { file_id, found, partition: *times });
        }
        Ok(())
    }

    fn check_state(&self) -> Result<(), VersionError> {
        let applied = self.applied_index();
        self.check_seq("the state", self.state.map_or(0, |state| state.last_seq))?;
        if self.log_start > applied.saturating_add(1) {
            return Err(VersionError::LogStart { log_start: self.log_start, applied });
        }
        Ok(())
    }
}

fn advance(counter: &'static str, value: &mut u64, to: Option<u64>) -> Result<(), VersionError> {
    let to = to.unwrap_or(*value);
    not_back(counter, *value, to)?;
    *value = to;
    Ok(())
}

fn not_back(counter: &'static str, from: u64, to: u64) -> Result<(), VersionError> {
    if to < from { Err(VersionError::GoesBack { counter, from, to }) } else { Ok(()) }
}
