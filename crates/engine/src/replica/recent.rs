//! The newest entries of the log, in memory: what the disk may not have yet, what is not applied yet, and what other nodes are
//! likely to ask for.

use std::collections::VecDeque;

use tapebook_wal::LogId;

use super::JournalEntry;

/// What an entry takes beside its payload, about.
const ENTRY_BYTES: usize = 160;

/// Entries in log order, without a gap, up to the last one that was logged.
#[derive(Debug)]
pub(crate) struct Recent {
    entries: VecDeque<(LogId, JournalEntry)>,
    bytes: usize,
    /// Entries are given up beyond this, as long as they are applied.
    bytes_max: usize,
}

impl Recent {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(crate) fn push(&mut self, log_id: LogId, entry: JournalEntry) {
        debug_assert!(
            self.entries.back().is_none_or(|(before, _)| before.index + 1 == log_id.index),
            "entries come in order"
        );
        self.bytes += bytes(&entry);
        self.entries.push_back((log_id, entry));
    }

    /// The first index in it; `None` where there is nothing.
    pub(crate) fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|(log_id, _)| log_id.index)
    }

    /// The last entry in it.
    pub(crate) fn last(&self) -> Option<&(LogId, JournalEntry)> {
        self.entries.back()
    }

    /// The entry with this index, where it is here.
    pub(crate) fn get(&self, index: u64) -> Option<&(LogId, JournalEntry)> {
        let first = self.first_index()?;
        self.entries.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// Entries from the index on; empty where the first of them is not here.
    pub(crate) fn beginning_at(&self, index: u64) -> impl Iterator<Item = &(LogId, JournalEntry)> {
        let first = self.first_index().unwrap_or(u64::MAX);
        let skip = index.checked_sub(first).and_then(|skip| usize::try_from(skip).ok());
        self.entries.iter().skip(skip.unwrap_or(usize::MAX))
    }

    /// Drops what comes after the index.
    pub(crate) fn truncate_after(&mut self, index: u64) {
        while let Some((_, entry)) = self.entries.pop_back_if(|(log_id, _)| log_id.index > index) {
            self.bytes -= bytes(&entry);
        }
    }

    /// Gives up the oldest entries beyond the bound, up to this index.
    pub(crate) fn trim(&mut self, through: u64) {
        while self.bytes > self.bytes_max
            && let Some((_, entry)) = self.entries.pop_front_if(|(log_id, _)| log_id.index <= through)
        {
            self.bytes -= bytes(&entry);
        }
    }

    /// Gives up everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

fn bytes(entry: &JournalEntry) -> usize {
    entry.payload().len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(indexes: std::ops::RangeInclusive<u64>, bytes_max: usize) -> Recent {
        let mut recent = Recent::new(bytes_max);
        for index in indexes {
            recent.push(LogId { term: 1, leader_node: 1, index }, JournalEntry::blank());
        }
        recent
    }

    fn indexes(recent: &Recent, from: u64) -> Vec<u64> {
        recent.beginning_at(from).map(|(log_id, _)| log_id.index).collect()
    }

    #[test]
    fn entries_are_found_by_index() {
        let recent = recent(5..=9, 1 << 20);
        assert_eq!(indexes(&recent, 5), [5, 6, 7, 8, 9]);
        assert_eq!(indexes(&recent, 9), [9]);
        assert_eq!(indexes(&recent, 4), [0; 0], "the first that is wanted is not here");
        assert_eq!(indexes(&recent, 10), [0; 0]);
        assert_eq!(recent.get(7).unwrap().0.index, 7);
        assert!(recent.get(4).is_none() && recent.get(10).is_none());
    }

    #[test]
    fn only_what_is_not_needed_goes() {
        let mut recent = recent(1..=8, 3 * ENTRY_BYTES);
        recent.trim(2);
        assert_eq!(recent.first_index(), Some(3));
        recent.trim(8);
        assert_eq!(recent.first_index(), Some(6), "the bound is met");
        recent.truncate_after(6);
        assert_eq!(indexes(&recent, 6), [6]);
        recent.truncate_after(0);
        assert_eq!((recent.first_index(), recent.bytes), (None, 0));
    }
}
