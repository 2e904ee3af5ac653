//! Lets the simulated market run in real time and appends what it writes, in synced batches.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tapebook::{AppendError, Batch, Db, Durability, PushError};
use tapebook_market::{Market, Row};

use crate::clock::monotonic;
use crate::latency::Latency;

/// How often the market is let run up to the clock.
const TICK: Duration = Duration::from_millis(10);
/// Rows of a batch at most.
const BATCH_ROWS_MAX: usize = 1000;

/// What the feeding thread and the one that shows it share.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) rows: AtomicU64,
    pub(super) latency: Mutex<Latency>,
    stop: AtomicBool,
}

/// Why the feed ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("the market wrote a row that cannot be stored: {0}")]
    Push(#[from] PushError),
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { rows: AtomicU64::new(0), latency: Mutex::new(Latency::new()), stop: AtomicBool::new(false) }
    }

    /// Ends the feed after the event that is happening.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub(super) fn latency(&self) -> Latency {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs until it is stopped. Everything that happened is appended by then, events are never cut in two.
    pub(super) fn run(&self, db: &Db, market: &mut Market) -> Result<(), FeedError> {
        let (start_ts, begin) = (market.now(), monotonic());
        while !self.stop.load(Ordering::SeqCst) {
            let elapsed = monotonic().saturating_sub(begin);
            let now = start_ts.saturating_add(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX));
            self.catch_up(db, market, now)?;
            db.vfs().clock().sleep(TICK);
        }
        Ok(())
    }

    fn catch_up(&self, db: &Db, market: &mut Market, now: i64) -> Result<(), FeedError> {
        let mut gathered = Gathered::default();
        while market.now() <= now && !self.stop.load(Ordering::SeqCst) {
            market.step(|row| gathered.push(row));
            if gathered.batch.len() >= BATCH_ROWS_MAX || !gathered.full.is_empty() {
                self.append(db, std::mem::take(&mut gathered))?;
            }
        }
        self.append(db, gathered)
    }

    fn append(&self, db: &Db, gathered: Gathered) -> Result<(), FeedError> {
        if let Some(error) = gathered.error {
            return Err(error.into());
        }
        for batch in gathered.full.into_iter().chain([gathered.batch]).filter(|batch| !batch.is_empty()) {
            let rows = batch.len() as u64;
            let begin = monotonic();
            db.append(batch, Durability::Synced)?.wait()?;
            let took = monotonic().saturating_sub(begin);
            self.latency.lock().unwrap_or_else(PoisonError::into_inner).record(took);
            self.rows.fetch_add(rows, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The rows of some events.
#[derive(Debug, Default)]
struct Gathered {
    full: Vec<Batch>,
    batch: Batch,
    error: Option<PushError>,
}

impl Gathered {
    fn push(&mut self, row: Row<'_>) {
        let mut pushed = self.batch.push(row);
        if matches!(pushed, Err(PushError::Full)) {
            self.full.push(std::mem::take(&mut self.batch));
            pushed = self.batch.push(row);
        }
        if let Err(error) = pushed {
            self.error = Some(error);
        }
    }
}
