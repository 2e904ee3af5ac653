//! The queries that run now, as `sys.queries` shows them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::execution::memory_pool::MemoryPool;

use crate::memory::QueryPool;

/// Characters of a query's text that are shown.
const SQL_CHARS_MAX: usize = 4096;

/// The queries that run now and that somebody asked to be listed. As many as whoever runs them allows.
#[derive(Debug, Default)]
pub(crate) struct RunningQueries {
    last_id: AtomicU64,
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) caller: String,
    pub(crate) sql: String,
    /// Nanoseconds since the epoch.
    pub(crate) started_at: i64,
    rows: AtomicU64,
    pool: Arc<QueryPool>,
}

/// Takes its query from the list when it is dropped.
#[derive(Debug)]
pub(crate) struct Listed {
    list: Arc<RunningQueries>,
    entry: Arc<Entry>,
}

impl RunningQueries {
    pub(crate) fn add(
        self: &Arc<Self>,
        caller: &str,
        sql: &str,
        started_at: i64,
        pool: Arc<QueryPool>,
    ) -> Listed {
        let id = 1 + self.last_id.fetch_add(1, Relaxed);
        let entry = Arc::new(Entry {
            id,
            caller: caller.to_owned(),
            sql: sql.chars().take(SQL_CHARS_MAX).collect(),
            started_at,
            rows: AtomicU64::new(0),
            pool,
        });
        self.lock().insert(id, Arc::clone(&entry));
        Listed { list: Arc::clone(self), entry }
    }

    /// Those that run now, in the order in which they began.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.lock().values().cloned().collect()
    }

    /// Nothing that is done under the lock can leave the list half changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Rows of its result so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// The memory that its operators account for.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.pool.reserved() as u64
    }
}

impl Listed {
    pub(crate) fn add_rows(&self, rows: usize) {
        self.entry.rows.fetch_add(rows as u64, Relaxed);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.list.lock().remove(&self.entry.id);
    }
}
