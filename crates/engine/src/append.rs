//! What a writer gets back: now a handle, later a receipt.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::AppendError;

/// When the writer hears back. It decides nothing else: every batch is synced before anybody reads it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// The receipt comes when the batch is synced. The caller writes and syncs itself where nobody else does.
    #[default]
    Synced,
    /// The batch is accepted at once and handed to the log's thread; the receipt follows.
    Buffered,
}

/// Where a batch stands in the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The sequence number of its first row.
    pub first_seq: u64,
    /// The sequence number of its last row.
    pub last_seq: u64,
    /// True where the batch had been applied before, and this is the receipt of that time.
    pub duplicate: bool,
}

/// An appended batch whose receipt comes when it is durable: wait for it in a thread with
/// [`PendingAppend::wait`], or `.await` it. Dropping it changes nothing about the batch.
#[derive(Debug)]
#[must_use = "the batch is durable only once the receipt is there"]
pub struct PendingAppend {
    pub(crate) completion: Arc<Completion>,
}

impl PendingAppend {
    /// Waits for the receipt.
    pub fn wait(self) -> Result<Receipt, AppendError> {
        self.completion.wait()
    }

    /// The receipt, where it is there already.
    pub fn poll_receipt(&self) -> Option<Result<Receipt, AppendError>> {
        self.completion.outcome.get().cloned()
    }
}

impl Future for PendingAppend {
    type Output = Result<Receipt, AppendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.completion.poll(context)
    }
}

/// Where threads wait for a whole group: one wake-up for all of them.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Mutex<usize>,
    completed: Condvar,
}

impl Waiters {
    /// Wakes the threads, after the outcomes of a group are set.
    pub(crate) fn wake_all(&self) {
        let waiting = *self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting > 0 {
            self.completed.notify_all();
        }
    }
}

/// The commit pipeline's end of a [`Completion`]: whoever holds it owes an outcome.
///
/// Where it is dropped without one, because a panic unwound the pipeline, the writer hears that instead of waiting
/// for ever.
#[derive(Debug)]
pub(crate) struct Completer {
    completion: Arc<Completion>,
    /// What the writer hears where nobody tells him anything else.
    forgotten: fn() -> AppendError,
}

impl Completer {
    pub(crate) fn new(completion: &Arc<Completion>) -> Self {
        Self { completion: Arc::clone(completion), forgotten: || AppendError::Interrupted }
    }

    /// Of an entry that is proposed to a cluster, where another leader may drop it.
    pub(crate) fn in_cluster(completion: &Arc<Completion>) -> Self {
        Self { completion: Arc::clone(completion), forgotten: || AppendError::LeadershipLost }
    }

    /// Sets the outcome and wakes the task; threads are woken by [`Waiters::wake_all`] after the whole group.
    pub(crate) fn complete(self, outcome: Result<Receipt, AppendError>) {
        self.completion.complete(outcome);
    }

    /// Sets the outcome and wakes everybody, for an entry that is not completed with a group.
    pub(crate) fn complete_alone(self, outcome: Result<Receipt, AppendError>) {
        self.completion.complete(outcome);
        self.completion.waiters.wake_all();
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        if self.completion.outcome.get().is_none() {
            self.completion.complete(Err((self.forgotten)()));
            self.completion.waiters.wake_all();
        }
    }
}

/// The cell that the commit pipeline puts an outcome into.
#[derive(Debug)]
pub(crate) struct Completion {
    outcome: OnceLock<Result<Receipt, AppendError>>,
    task: Mutex<Option<Waker>>,
    waiters: Arc<Waiters>,
}

impl Completion {
    pub(crate) fn new(waiters: &Arc<Waiters>) -> Arc<Self> {
        Arc::new(Self { outcome: OnceLock::new(), task: Mutex::default(), waiters: Arc::clone(waiters) })
    }

    fn complete(&self, outcome: Result<Receipt, AppendError>) {
        let first = self.outcome.set(outcome).is_ok();
        debug_assert!(first, "a batch is completed once");
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.wake();
        }
    }

    fn wait(&self) -> Result<Receipt, AppendError> {
        if let Some(outcome) = self.outcome.get() {
            return outcome.clone();
        }
        let mut waiting = self.waiters.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting += 1;
        loop {
            if let Some(outcome) = self.outcome.get() {
                *waiting -= 1;
                return outcome.clone();
            }
            waiting = self.waiters.completed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Receipt, AppendError>> {
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(outcome.clone());
        }
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        // The outcome may have come between the first look and the waker.
        match self.outcome.get() {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => Poll::Pending,
        }
    }
}
