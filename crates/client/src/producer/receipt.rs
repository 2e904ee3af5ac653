//! What a writer waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::Shared;
use tokio::sync::oneshot;

use super::ProducerError;

/// How a batch ended.
pub(super) type Outcome = Result<Receipt, ProducerError>;

/// Where a batch stands in the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The sequence of its first row.
    pub first_seq: u64,
    /// The sequence of its last row.
    pub last_seq: u64,
    /// An earlier attempt had written it.
    pub duplicate: bool,
}

/// Where a row stands in the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RowReceipt {
    /// Its sequence.
    pub seq: u64,
    /// An earlier attempt had written it.
    pub duplicate: bool,
}

/// A batch on its way: await it for its receipt. Dropping it changes nothing about the batch.
#[derive(Clone, Debug)]
pub struct AppendedBatch {
    outcome: Shared<oneshot::Receiver<Outcome>>,
}

/// A row on its way, in a batch with others. Dropping it changes nothing about the row.
#[derive(Clone, Debug)]
pub struct AppendedRow {
    pub(super) batch: AppendedBatch,
    /// Its place in the batch, from 0.
    pub(super) place: u64,
}

/// The other end of an [`AppendedBatch`].
#[derive(Debug)]
pub(super) struct Completer {
    outcome: oneshot::Sender<Outcome>,
}

impl AppendedBatch {
    /// A batch that waits, and what ends that.
    pub(super) fn new() -> (Completer, Self) {
        let (sender, receiver) = oneshot::channel();
        (Completer { outcome: sender }, Self { outcome: receiver.shared() })
    }
}

impl Completer {
    pub(super) fn complete(self, outcome: Outcome) {
        // Nobody need wait for it.
        let _ = self.outcome.send(outcome);
    }
}

impl Future for AppendedBatch {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.outcome.poll_unpin(context).map(|outcome| outcome.unwrap_or(Err(ProducerError::Ended)))
    }
}

impl Future for AppendedRow {
    type Output = Result<RowReceipt, ProducerError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let place = self.place;
        self.batch.poll_unpin(context).map(|outcome| {
            outcome
                .map(|Receipt { first_seq, duplicate, .. }| RowReceipt { seq: first_seq + place, duplicate })
        })
    }
}
