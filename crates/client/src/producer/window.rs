//! What was numbered and has no receipt yet.

use std::collections::VecDeque;

use bytes::Bytes;
use tapebook_record::{EncodedBatch, Producer as Number};
use tokio::time::Instant;

use super::open_batch::Sealed;
use super::receipt::Completer;

/// Numbered batches, in order; the first of them may have been sent.
///
/// *Invariant*: their numbers follow one another, and `sent` is never more than there are.
#[derive(Debug)]
pub(super) struct Window {
    producer: u64,
    epoch: u32,
    next_number: u64,
    batches: VecDeque<Numbered>,
    /// How many of them were sent on this connection.
    sent: usize,
    /// Answers that still come for copies that will be sent again.
    void: usize,
}

/// A batch with its number.
#[derive(Debug)]
pub(super) struct Numbered {
    batch: EncodedBatch,
    pub done: Completer,
    /// Since when it waits for its receipt.
    pub since: Instant,
    /// It was sent on an earlier connection, so it may have been written.
    pub sent_before: bool,
}

impl Window {
    /// Nothing yet; the next batch gets this number.
    pub(super) fn new(producer: u64, epoch: u32, next_number: u64) -> Self {
        Self { producer, epoch, next_number, batches: VecDeque::new(), sent: 0, void: 0 }
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// True where something is to be sent on this connection.
    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.batches.len()
    }

    /// Since when the oldest one waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.batches.front().map(|oldest| oldest.since)
    }

    /// Numbers a batch.
    pub(super) fn push(&mut self, sealed: Sealed) {
        let Sealed { mut batch, done } = sealed;
        batch.set_producer(self.number(self.next_number));
        self.next_number += 1;
        let since = Instant::now();
        self.batches.push_back(Numbered { batch: batch.encode(), done, since, sent_before: false });
    }

    fn number(&self, batch_number: u64) -> Number {
        Number { id: self.producer, epoch: self.epoch, batch_number }
    }

    /// The bytes of the next batch to send.
    pub(super) fn send_next(&mut self) -> Option<Bytes> {
        let next = self.batches.get(self.sent)?;
        self.sent += 1;
        Some(Bytes::from_owner(next.batch.bytes().clone()))
    }

    /// Whether the next answer is about the oldest batch; `None` where no answer can come.
    pub(super) fn answered(&mut self) -> Option<bool> {
        if self.void > 0 {
            self.void -= 1;
            return Some(false);
        }
        (self.sent > 0).then_some(true)
    }

    /// The oldest one is settled.
    pub(super) fn pop(&mut self) -> Option<Numbered> {
        self.sent = self.sent.saturating_sub(1);
        self.batches.pop_front()
    }

    /// True where the oldest one may have been written on an earlier connection.
    pub(super) fn oldest_was_sent_before(&self) -> bool {
        self.batches.front().is_some_and(|oldest| oldest.sent_before)
    }

    /// The connection is gone: all is sent again, and no answer comes any more.
    pub(super) fn rewind(&mut self) {
        self.batches.iter_mut().take(self.sent).for_each(|batch| batch.sent_before = true);
        self.sent = 0;
        self.void = 0;
    }

    /// The oldest one was not taken, so those behind it were not either: all are sent again on the same connection, behind the
    /// answers to the copies that are on their way.
    pub(super) fn send_again(&mut self) {
        self.void += self.sent.saturating_sub(1);
        self.sent = 0;
    }

    /// The oldest one was refused for good, and its number will not come: the others are numbered anew in the next epoch, which
    /// fences off the copies that are on their way, so that none of them is ever taken for the batch of its old number.
    pub(super) fn give_up_oldest(&mut self) -> Option<Numbered> {
        self.send_again();
        let refused = self.batches.pop_front();
        self.epoch += 1;
        self.next_number = 1;
        for at in 0..self.batches.len() {
            let number = self.number(self.next_number);
            self.next_number += 1;
            self.batches[at].batch = self.batches[at].batch.with_producer(number);
        }
        refused
    }

    /// Everything that is left; true with those that were sent.
    pub(super) fn drain(&mut self) -> Vec<(Completer, bool)> {
        let sent = self.sent;
        let batches = self.batches.drain(..).enumerate();
        batches.map(|(at, batch)| (batch.done, at < sent || batch.sent_before)).collect()
    }
}

#[cfg(test)]
mod tests {
    use tapebook_record::{Batch, SharedBytes, Trade};

    use super::super::receipt::AppendedBatch;
    use super::*;

    fn sealed(price: f64) -> Sealed {
        let mut batch = Batch::new();
        batch.push(Trade { symbol: "A", ts: 1, price: Some(price), ..Trade::default() }).unwrap();
        Sealed { batch, done: AppendedBatch::new().0 }
    }

    fn numbers(window: &mut Window) -> Vec<(u32, u64)> {
        let sent = std::iter::from_fn(|| window.send_next());
        let decode = |bytes: Bytes| EncodedBatch::from_log(SharedBytes::from(&*bytes)).unwrap().producer();
        sent.map(decode).map(|number| (number.epoch, number.batch_number)).collect()
    }

    fn window_of_three() -> Window {
        let mut window = Window::new(7, 2, 5);
        (0..3).for_each(|price| window.push(sealed(f64::from(price))));
        window
    }

    #[test]
    fn after_a_broken_connection_the_same_numbers_are_sent_again() {
        let mut window = window_of_three();
        assert_eq!(numbers(&mut window), [(2, 5), (2, 6), (2, 7)]);
        window.pop();
        assert!(!window.oldest_was_sent_before());
        window.rewind();
        assert!(window.oldest_was_sent_before());
        assert_eq!(numbers(&mut window), [(2, 6), (2, 7)]);
    }

    #[test]
    fn what_is_sent_again_waits_for_the_answers_to_its_first_copies() {
        let mut window = window_of_three();
        numbers(&mut window);
        assert_eq!(window.answered(), Some(true));
        window.send_again();
        assert_eq!(numbers(&mut window), [(2, 5), (2, 6), (2, 7)]);
        assert_eq!(
            [window.answered(), window.answered(), window.answered()],
            [Some(false), Some(false), Some(true)]
        );
    }

    #[test]
    fn behind_a_refused_batch_the_others_get_the_next_epoch() {
        let mut window = window_of_three();
        numbers(&mut window);
        assert_eq!(window.answered(), Some(true));
        assert!(window.give_up_oldest().is_some());
        assert_eq!(numbers(&mut window), [(3, 1), (3, 2)]);
        window.push(sealed(9.0));
        assert_eq!(numbers(&mut window), [(3, 3)]);
        assert_eq!(
            [window.answered(), window.answered(), window.answered()],
            [Some(false), Some(false), Some(true)]
        );
    }

    #[test]
    fn nothing_is_answered_that_was_not_sent() {
        assert_eq!(window_of_three().answered(), None);
    }
}
