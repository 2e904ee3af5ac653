//! What a choice needs to know of files beyond their manifest records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapebook_history::Selection;
use tapebook_record::TableId;

use crate::key::{Direction, TimeRange};
use crate::manifest::{HistoryFile, TableFile};
use crate::retraction::{Hidden, Retractions, Shown};
use crate::snapshot::HistorySet;
use crate::sstable::Table;

/// Facts about files, which never change, and about the moment.
pub trait Facts {
    /// True where some series has overlapping times in both files.
    fn overlap(&self, a: &TableFile, b: &TableFile) -> bool;

    /// True where some series has times in `other` that lie between its first and its last in all of `group`: a file
    /// with the rows of the group would overlap it.
    fn overlap_together(&self, group: &[&Arc<TableFile>], other: &TableFile) -> bool;

    /// How a file's bytes are spread over time: pairs of an event time that it has and bytes of rows up to it.
    fn weights(&self, file: &TableFile) -> Vec<(i64, u64)>;

    /// The time of the last row that a file has of a table.
    fn last_of(&self, file: &TableFile, table: TableId) -> i64;

    /// True where retractions that stand hide rows of a history file.
    fn hides_some(&self, file: &HistoryFile) -> bool;

    /// True where a file has rows that no retraction hides.
    fn shows_some(&self, file: &TableFile) -> bool;

    /// How long nothing has come for a partition.
    fn quiet_for(&self, partition: u64) -> Duration;

    /// What time it is, nanoseconds since the epoch.
    fn now(&self) -> i64;
}

/// Facts read from open files; what was found out once is remembered.
#[derive(Debug, Default)]
pub struct OpenFiles {
    tables: HashMap<u64, Arc<Table>>,
    history: HistorySet,
    retractions: Retractions,
    quiet: HashMap<u64, Duration>,
    now: i64,
    compared: Mutex<HashMap<(u64, u64), bool>>,
    /// The time of the last row that a table file has of a table.
    last: Mutex<HashMap<(u64, TableId), i64>>,
    /// For the retractions as they are now: whether a history file has hidden rows, a table file shown ones.
    hidden: Mutex<HashMap<u64, bool>>,
}

impl OpenFiles {
    /// Takes these files and retractions in place of those from before.
    pub fn replace(
        &mut self,
        tables: impl IntoIterator<Item = Arc<Table>>,
        history: HistorySet,
        retractions: Retractions,
    ) {
        self.tables = tables.into_iter().map(|table| (table.identity().file_id, table)).collect();
        self.history = history;
        let (known, compared) = (&self.tables, &mut self.compared);
        let compared = compared.get_mut().unwrap_or_else(PoisonError::into_inner);
        compared.retain(|(a, b), _| known.contains_key(a) && known.contains_key(b));
        let last = self.last.get_mut().unwrap_or_else(PoisonError::into_inner);
        last.retain(|(file_id, _), _| known.contains_key(file_id));
        let hidden = self.hidden.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.retractions == retractions {
            let history = &self.history;
            hidden.retain(|file_id, _| known.contains_key(file_id) || history.file(*file_id).is_some());
        } else {
            hidden.clear();
            self.retractions = retractions;
        }
    }

    /// What time it is, and how long nothing has come for each partition; one that is missing was never quiet.
    pub fn set_time(&mut self, now: i64, quiet: HashMap<u64, Duration>) {
        self.now = now;
        self.quiet = quiet;
    }

    /// The table with that file number.
    pub fn get(&self, file_id: u64) -> Option<&Arc<Table>> {
        self.tables.get(&file_id)
    }

    /// The history files.
    pub fn history(&self) -> &HistorySet {
        &self.history
    }

    /// The retractions that count.
    pub fn retractions(&self) -> &Retractions {
        &self.retractions
    }

    fn remembered(&self, file_id: u64, find_out: impl FnOnce() -> bool) -> bool {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        *hidden.entry(file_id).or_insert_with(find_out)
    }
}

impl Facts for OpenFiles {
    fn overlap(&self, a: &TableFile, b: &TableFile) -> bool {
        if a.times.first > b.times.last || b.times.first > a.times.last {
            return false;
        }
        let pair = (a.file_id.min(b.file_id), a.file_id.max(b.file_id));
        let (Some(first), Some(second)) = (self.tables.get(&pair.0), self.tables.get(&pair.1)) else {
            // Of a file that is not open nothing is known; whoever merges will be told that it is missing.
            return true;
        };
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        *compared.entry(pair).or_insert_with(|| first.overlaps(second))
    }

    fn overlap_together(&self, group: &[&Arc<TableFile>], other: &TableFile) -> bool {
        let Some(other) = self.tables.get(&other.file_id) else { return true };
        let group = group.iter().map(|file| self.tables.get(&file.file_id));
        // As above for a file that is not open.
        group.collect::<Option<Vec<_>>>().is_none_or(|group| other.overlaps_together(group))
    }

    fn weights(&self, file: &TableFile) -> Vec<(i64, u64)> {
        self.tables.get(&file.file_id).map(|table| table.block_times().collect()).unwrap_or_default()
    }

    fn last_of(&self, file: &TableFile, table: TableId) -> i64 {
        // Of a file that is not open nothing is known; nothing of it is too old.
        let Some(open) = self.tables.get(&file.file_id) else { return i64::MAX };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last.entry((file.file_id, table)).or_insert_with(|| {
            open.series_of(table).map(|series| series.time_range().last).max().unwrap_or(i64::MAX)
        })
    }

    fn hides_some(&self, file: &HistoryFile) -> bool {
        let hidden = self.retractions.hidden(file.table, u64::MAX);
        match hidden.among(file.seqs.first, file.seqs.last) {
            Shown::All => false,
            Shown::Nothing => true,
            Shown::Except(hidden) => self.remembered(file.file_id, || self.has_hidden(file.file_id, hidden)),
        }
    }

    fn shows_some(&self, file: &TableFile) -> bool {
        let Some(table) = self.tables.get(&file.file_id) else { return false };
        self.remembered(file.file_id, || {
            table.all_series().any(|series| {
                let hidden = self.retractions.hidden(series.table_id(), u64::MAX);
                let (first, last) = series.seq_range();
                match hidden.among(first, last) {
                    Shown::All => true,
                    Shown::Nothing => false,
                    // A damaged row is left for whoever reads it for its own sake.
                    Shown::Except(hidden) => series
                        .scan(TimeRange::ALL, Direction::Forward)
                        .any(|record| record.is_ok_and(|record| !hidden.contains(record.seq))),
                }
            })
        })
    }

    fn quiet_for(&self, partition: u64) -> Duration {
        self.quiet.get(&partition).copied().unwrap_or_default()
    }

    fn now(&self) -> i64 {
        self.now
    }
}

impl OpenFiles {
    fn has_hidden(&self, file_id: u64, hidden: Hidden<'_>) -> bool {
        let Some(file) = self.history.file(file_id) else { return false };
        let seq = file.schema().columns.len() + 4;
        hidden.ranges().iter().any(|range| {
            let selection = Selection { seqs: range.first..=range.last, ..Selection::default() };
            let found = file.batches(&[seq], &selection, 1).map(|mut batches| batches.next());
            // Damage is left for whoever reads the file for its own sake.
            matches!(found, Ok(Some(Ok(_))))
        })
    }
}
