//! Queries of many callers, on threads of their own and within bounds.
//!
//! A statement is planned and authorised first ([`plan`]), which says what its columns are; running it
//! ([`ReadyQuery::run`]) gives a stream of its rows. Both happen on a Tokio runtime that serves nothing else. At most
//! `queries_max` of them are at work at a time, others wait. A query has `query_time_max`, from when it begins to wait to its
//! last row, however slowly that is fetched; it ends at once when nobody wants its rows any more, and it is authorised again
//! every second while it runs.
//!
//! *Boundary*: nothing here knows what the rows travel by.

mod error;
mod ready;
mod rows;
mod system;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tapebook_query::{SqlEngine, SqlError, SqlOptions};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

pub use error::QueryError;
pub use ready::{CancelHandle, Question, ReadyQuery, Understood, plan, understand};
pub use rows::QueryRows;
pub(crate) use system::{Following, Nodes};

use crate::{Lifecycle, Limits};

/// Bytes of a statement's text.
pub(crate) const SQL_BYTES_MAX: usize = 256 * 1024;

/// Queries that may wait for others to end, for each that may run.
const WAITING_PER_RUNNING: usize = 16;

/// Scans read in threads that may block. Each query has a few, and those of one query may wait for each other, so that too
/// few of them would leave queries waiting for ever.
const SCANS_PER_QUERY: usize = 64;

/// How many queries run, and where.
#[derive(Debug)]
pub struct Queries {
    runtime: Handle,
    permits: Arc<Semaphore>,
    running_max: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
    time_max: Duration,
    lifecycle: Arc<Lifecycle>,
}

/// An engine within the server's bounds. It writes no temporary files: what does not fit its memory is refused.
pub fn engine(limits: &Limits) -> Result<SqlEngine, SqlError> {
    SqlEngine::new(&SqlOptions {
        memory_bytes_max: limits.query_memory_max,
        query_memory_bytes_max: limits.query_memory_each_max.min(limits.query_memory_max),
        spill_bytes_max: 0,
        ..SqlOptions::default()
    })
}

/// Threads for queries within the server's bounds, and for nothing else.
pub fn runtime(limits: &Limits) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .thread_name("tapebook-query")
        .max_blocking_threads(limits.queries_max.saturating_mul(SCANS_PER_QUERY).clamp(512, 16 * 1024))
        .enable_time()
        .build()
}

impl Queries {
    /// Queries that run on `runtime`. When the server ends no new ones are taken; those that run may come to their end.
    pub fn new(limits: &Limits, runtime: Handle, lifecycle: Arc<Lifecycle>) -> Self {
        let running_max = limits.queries_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            runtime,
            permits: Arc::new(Semaphore::new(running_max)),
            running_max,
            waiting: AtomicUsize::new(0),
            waiting_max: running_max.saturating_mul(WAITING_PER_RUNNING),
            time_max: limits.query_time_max,
            lifecycle,
        }
    }

    /// Where they run. Nothing else belongs there.
    pub fn handle(&self) -> &Handle {
        &self.runtime
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.time_max
    }

    fn too_slow(&self) -> QueryError {
        QueryError::TooSlow { seconds: self.time_max.as_secs() }
    }

    /// Waits for its turn.
    async fn turn(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, QueryError> {
        if !self.lifecycle.is_serving() {
            return Err(QueryError::Stopping);
        }
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let Some(_place) = Waiting::begin(&self.waiting, self.waiting_max) else {
            return Err(QueryError::TooMany { running: self.running_max, waiting: self.waiting_max });
        };
        match timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| QueryError::Stopping),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// Does a piece of a query's work on its threads, until the deadline or until nobody waits for it.
    async fn work<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        // Ends the task when it is dropped.
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, self.handle());
        match timeout_at(deadline, tasks.join_next()).await {
            Ok(Some(Ok(done))) => done,
            Ok(Some(Err(_)) | None) => Err(QueryError::Panicked),
            Err(_) => Err(self.too_slow()),
        }
    }
}

/// A place among those who wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Phase;

    #[tokio::test]
    async fn a_server_that_ends_takes_no_more_queries() {
        let lifecycle = Arc::new(Lifecycle::default());
        let queries = Queries::new(&Limits::default(), Handle::current(), Arc::clone(&lifecycle));
        assert!(queries.turn(queries.deadline()).await.is_ok());
        lifecycle.enter(Phase::Closing);
        assert!(matches!(queries.turn(queries.deadline()).await, Err(QueryError::Stopping)));
    }
}
