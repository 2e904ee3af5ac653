//! Waiting for more of the journal, in a task or in a thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Tail;

/// Ends when a follower may find more, or the database is closed: `.await` it, or [`JournalChanged::wait`] in a thread.
///
/// It refers to the place where the follower stood when it was made, so nothing that comes between is missed.
#[derive(Debug)]
#[must_use = "it does nothing unless it is awaited or waited for"]
pub struct JournalChanged {
    tail: Arc<Tail>,
    next_seq: u64,
    /// Under which number the task waits.
    task: Option<u64>,
}

impl JournalChanged {
    pub(super) fn new(tail: &Arc<Tail>, next_seq: u64) -> Self {
        Self { tail: Arc::clone(tail), next_seq, task: None }
    }

    /// Waits for so long at most; true where there may be more.
    pub fn wait(self, at_most: Duration) -> bool {
        self.tail.wait(self.next_seq, at_most)
    }
}

impl Future for JournalChanged {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { tail, next_seq, task } = &mut *self;
        tail.poll(*next_seq, task, context)
    }
}

impl Drop for JournalChanged {
    fn drop(&mut self) {
        if let Some(task) = self.task {
            self.tail.forget(task);
        }
    }
}
