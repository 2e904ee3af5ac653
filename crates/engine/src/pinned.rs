//! What readers keep in memory: MemTables that a flush has replaced by files and that snapshots still hold.
//!
//! It is metered, and bounded as far as readers go on reading: beyond the bound the oldest MemTables are *released*, and
//! a read of a snapshot that holds one of them ends with that reason ([`ReadError::Released`]). What such a snapshot
//! holds is free once it is dropped; nobody can take it from whoever neither reads it nor drops it.
//!
//! [`ReadError::Released`]: crate::ReadError::Released

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tapebook_lsm::memtable::{MemTable, Released};

use crate::stats::PinnedStats;

/// The MemTables that were flushed and are not gone.
#[derive(Debug)]
pub(crate) struct Pinned {
    bytes_max: u64,
    /// In the order in which they were filled.
    flushed: Mutex<Vec<Weak<MemTable>>>,
    reads_ended: Arc<AtomicU64>,
}

impl Pinned {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, flushed: Mutex::default(), reads_ended: Arc::default() }
    }

    /// Takes note of a MemTable whose rows are in files now, and which the caller no longer holds.
    pub(crate) fn add(&self, memtable: Weak<MemTable>) {
        self.flushed.lock().unwrap_or_else(PoisonError::into_inner).push(memtable);
        let held = self.held();
        let sizes: Vec<u64> = held.iter().map(|memtable| bytes(memtable)).collect();
        let why = Released {
            pinned_bytes: sizes.iter().sum(),
            pinned_bytes_max: self.bytes_max,
            reads_ended: Arc::clone(&self.reads_ended),
        };
        for memtable in &held[..beyond(&sizes, self.bytes_max)] {
            memtable.release(why.clone());
        }
    }

    pub(crate) fn stats(&self) -> PinnedStats {
        let held = self.held();
        PinnedStats {
            memtables: held.len(),
            bytes: held.iter().map(|memtable| bytes(memtable)).sum(),
            reads_ended: self.reads_ended.load(Ordering::Relaxed),
        }
    }

    /// Those that are not gone; the others are forgotten.
    fn held(&self) -> Vec<Arc<MemTable>> {
        let mut flushed = self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Vec::new();
        flushed.retain(|memtable| memtable.upgrade().map(|memtable| held.push(memtable)).is_some());
        held
    }
}

fn bytes(memtable: &MemTable) -> u64 {
    (memtable.batch_bytes() + memtable.index_bytes()) as u64
}

/// How many of the oldest must go so that the rest has no more than `bytes_max`.
fn beyond(sizes: &[u64], bytes_max: u64) -> usize {
    let mut rest: u64 = sizes.iter().sum();
    let goes = |size: &&u64| {
        let is_beyond = rest > bytes_max;
        rest -= **size;
        is_beyond
    };
    sizes.iter().take_while(goes).count()
}

#[cfg(test)]
mod tests {
    use super::beyond;

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        assert_eq!(beyond(&[], 0), 0);
        assert_eq!(beyond(&[5, 5, 5], 15), 0);
        assert_eq!(beyond(&[5, 5, 5], 14), 1);
        assert_eq!(beyond(&[1, 5, 5], 10), 1);
        assert_eq!(beyond(&[1, 5, 5], 9), 2);
        assert_eq!(beyond(&[5, 5, 5], 4), 3);
    }
}
