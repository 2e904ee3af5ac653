//! Asking the readers of a MemTable to let go of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a MemTable is to be read no more: files have its rows, and what older snapshots still hold in memory has
/// grown beyond its bound.
#[derive(Clone, Debug)]
pub struct Released {
    /// What was held then.
    pub pinned_bytes: u64,
    /// What may be.
    pub pinned_bytes_max: u64,
    /// Counts the reads that end for it.
    pub reads_ended: Arc<AtomicU64>,
}

impl Released {
    /// Notes that a read has ended.
    pub(crate) fn count(&self) {
        self.reads_ended.fetch_add(1, Ordering::Relaxed);
    }
}
