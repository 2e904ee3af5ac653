//! The batch that rows are gathered in.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tapebook_record::{Batch, StandardRow};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ProducerError;
use super::receipt::{AppendedBatch, AppendedRow, Completer};

/// What the producer's handle and its task share.
#[derive(Debug)]
pub(super) struct Shared {
    open: Mutex<OpenBatch>,
    /// The open batch has got its first row, or is full.
    pub changed: Notify,
    /// Why nothing is sent any more.
    pub ended: OnceLock<ProducerError>,
}

/// A batch that takes rows.
#[derive(Debug)]
pub(super) struct OpenBatch {
    batch: Batch,
    /// Those who wait for its rows; `None` while it has none.
    waiting: Option<(Completer, AppendedBatch)>,
    since: Option<Instant>,
    /// The last batch that was closed, by whomever.
    last: Option<AppendedBatch>,
    bytes: usize,
}

/// A batch that takes no more rows and has no number yet.
#[derive(Debug)]
pub(super) struct Sealed {
    pub batch: Batch,
    pub done: Completer,
}

impl Shared {
    /// Batches are closed when they have so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let open = OpenBatch { batch: Batch::new(), waiting: None, since: None, last: None, bytes };
        Self { open: Mutex::new(open), changed: Notify::new(), ended: OnceLock::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, OpenBatch> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where the open batch has rows.
    pub(super) fn has_rows(&self) -> bool {
        self.lock().waiting.is_some()
    }

    /// Refuses where nothing is sent any more.
    pub(super) fn check(&self) -> Result<(), ProducerError> {
        self.ended.get().map_or(Ok(()), |cause| Err(cause.clone()))
    }

    /// Adds a row; the task is told of the first one and of the one that fills the batch.
    pub(super) fn push(&self, row: impl StandardRow) -> Result<AppendedRow, ProducerError> {
        let mut open = self.lock();
        // Looked at under the lock under which the task takes out what it will never send.
        self.check()?;
        open.batch.push(row)?;
        let first = open.waiting.is_none();
        let place = open.batch.len() as u64 - 1;
        let (_, batch) = open.waiting.get_or_insert_with(AppendedBatch::new);
        let row = AppendedRow { batch: batch.clone(), place };
        if first {
            open.since = Some(Instant::now());
        }
        let tell = first || open.is_full();
        drop(open);
        if tell {
            self.changed.notify_one();
        }
        Ok(row)
    }
}

impl OpenBatch {
    /// True where it is time to send it.
    pub(super) fn is_full(&self) -> bool {
        self.batch.encoded_bytes() >= self.bytes
    }

    /// Since when it has rows.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The last batch that was closed.
    pub(super) fn last(&self) -> Option<AppendedBatch> {
        self.last.clone()
    }

    /// Takes the rows out; `None` where there are none.
    pub(super) fn seal(&mut self) -> Option<Sealed> {
        let (done, appended) = self.waiting.take()?;
        self.since = None;
        self.last = Some(appended);
        Some(Sealed { batch: std::mem::take(&mut self.batch), done })
    }

    /// A batch that somebody has filled himself comes behind the rows so far.
    pub(super) fn follow_with(&mut self, batch: Batch) -> (Sealed, AppendedBatch) {
        let (done, appended) = AppendedBatch::new();
        self.last = Some(appended.clone());
        (Sealed { batch, done }, appended)
    }
}
