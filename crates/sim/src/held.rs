//! Snapshots that are held over flushes: what they must still show, and when the database may end them.

use std::collections::{BTreeMap, BTreeSet};

use tapebook::Snapshot;

use crate::dropped::Dropped;

/// Snapshots that are held at a time.
const HELD_MAX: usize = 3;

/// A snapshot that is held.
pub(crate) struct Held {
    pub snapshot: Snapshot,
    /// The entry that it was taken behind.
    pub index: u64,
    /// The rows that were gone by then.
    pub dropped: Dropped,
    /// Flushed MemTables from its first one on were more than may be held.
    pub is_over: bool,
}

/// All that are held of one open database.
#[derive(Default)]
pub(crate) struct HeldSnapshots {
    all: Vec<Held>,
}

impl HeldSnapshots {
    /// False where there are enough.
    pub(crate) fn have_room(&self) -> bool {
        self.all.len() < HELD_MAX
    }

    /// Holds another one.
    pub(crate) fn hold(&mut self, snapshot: Snapshot, index: u64, dropped: Dropped) {
        self.all.push(Held { snapshot, index, dropped, is_over: false });
    }

    /// Lets go of all.
    pub(crate) fn take(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.all)
    }

    /// Finds those that are over the bound, now that `newest` is what the database shows. To be called after everything that may
    /// flush.
    pub(crate) fn judge(&mut self, newest: &Snapshot, pinned_bytes_max: u64) {
        let unflushed: BTreeSet<u64> =
            newest.pieces().memtables.iter().map(|memtable| memtable.id()).collect();
        let held = self.all.iter().flat_map(|held| &held.snapshot.pieces().memtables);
        let sizes = held.map(|memtable| (memtable.id(), memtable.batch_bytes() + memtable.index_bytes()));
        let pinned: BTreeMap<u64, usize> = sizes.filter(|(id, _)| !unflushed.contains(id)).collect();
        for held in &mut self.all {
            let Some(first) = held.snapshot.pieces().memtables.first() else { continue };
            let bytes: usize = pinned.range(first.id()..).map(|(_, bytes)| bytes).sum();
            held.is_over |= bytes as u64 > pinned_bytes_max;
        }
    }
}
