//! What is to be sent to somebody who may be slow: a bounded queue with room for a last word.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Messages on their way to the connection.
///
/// *Invariant*: one place is kept for the status that ends the stream, so that whoever gave up on a slow reader need not wait
/// for him to say so.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    sender: mpsc::Sender<Result<T, Status>>,
    last: mpsc::OwnedPermit<Result<T, Status>>,
}

/// Why a message could not be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unsent {
    /// The other end is gone.
    Gone,
    /// It takes nothing.
    Stalled,
}

impl<T: Send + 'static> Outbox<T> {
    /// A queue of so many messages, and what the connection reads it by.
    pub(super) fn new(messages_max: usize) -> (Self, ReceiverStream<Result<T, Status>>) {
        let (sender, receiver) = mpsc::channel(messages_max + 1);
        let last = sender.clone().try_reserve_owned().expect("a new queue has room");
        (Self { sender, last }, ReceiverStream::new(receiver))
    }

    /// Room for one message, where there is some now.
    pub(super) fn try_room(&self) -> Option<mpsc::Permit<'_, Result<T, Status>>> {
        self.sender.try_reserve().ok()
    }

    /// Waits until there is room for a message, or nobody is there to take one.
    pub(super) async fn room(&self) {
        // Either is found out by whoever asks next.
        let _ = self.sender.reserve().await;
    }

    /// Sends a message, after having waited for room, but not longer than `stall_max`.
    pub(super) async fn send(&self, message: T, stall_max: Duration) -> Result<(), Unsent> {
        match tokio::time::timeout(stall_max, self.sender.send(Ok(message))).await {
            Ok(sent) => sent.map_err(|_| Unsent::Gone),
            Err(_) => Err(Unsent::Stalled),
        }
    }

    /// Waits until nobody is there any more to take a message.
    pub(super) async fn gone(&self) {
        self.sender.closed().await;
    }

    /// Ends the stream with a status, behind what was sent.
    pub(super) fn end(self, status: Status) {
        self.last.send(Err(status));
    }
}
