//! Which batches are applied, and which producers expire.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tapebook_record::Producer;

use super::{Expiry, ProducerRefusal, ProducerState, RECEIPTS_KEPT};
use crate::{FeedNumbers, Receipt};

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    Apply,
    Duplicate(Receipt),
    Refuse(ProducerRefusal),
}

/// All producers, by id. Cloning shares what is known of each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Producers {
    by_id: BTreeMap<u64, Arc<ProducerState>>,
}

impl Producers {
    pub(crate) fn get(&self, id: u64) -> Option<&Arc<ProducerState>> {
        self.by_id.get(&id)
    }

    /// All of them, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Arc<ProducerState>)> {
        self.by_id.iter().map(|(id, state)| (*id, state))
    }

    /// How many there are, expired ones included.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Takes over what is known of a producer; for the state file.
    pub(super) fn insert(&mut self, id: u64, state: ProducerState) {
        self.by_id.insert(id, Arc::new(state));
    }

    /// Decides about a batch; the same on every node, because it depends on nothing but earlier entries.
    pub(crate) fn decide(&self, from: Producer) -> Decision {
        if from.id == 0 {
            return Decision::Apply;
        }
        let known = self.by_id.get(&from.id);
        let (epoch, last) = match known {
            Some(known) => (known.epoch, if from.epoch > known.epoch { 0 } else { known.last_number }),
            None => (from.epoch, 0),
        };
        if known.is_some_and(|known| known.expired) && from.epoch <= epoch {
            return Decision::Refuse(ProducerRefusal::Expired { producer: from.id, epoch });
        }
        if from.epoch < epoch {
            let (current, found) = (epoch, from.epoch);
            return Decision::Refuse(ProducerRefusal::Fenced { producer: from.id, current, found });
        }
        if from.batch_number == last + 1 {
            return Decision::Apply;
        }
        if from.batch_number > last + 1 {
            let (expected, found) = (last + 1, from.batch_number);
            return Decision::Refuse(ProducerRefusal::Gap { producer: from.id, expected, found });
        }
        self.receipt_of(from, last)
    }

    fn receipt_of(&self, from: Producer, last: u64) -> Decision {
        let known = self.by_id.get(&from.id).filter(|known| known.epoch == from.epoch);
        let kept = known.map(|known| &known.receipts);
        let oldest = last + 1 - kept.map_or(0, VecDeque::len) as u64;
        let receipt = kept.and_then(|kept| {
            let at = usize::try_from(from.batch_number.checked_sub(oldest)?).ok()?;
            kept.get(at)
        });
        match receipt {
            Some((first_seq, last_seq)) if from.batch_number > 0 => {
                Decision::Duplicate(Receipt { first_seq: *first_seq, last_seq: *last_seq, duplicate: true })
            }
            _ => Decision::Refuse(ProducerRefusal::TooOld {
                producer: from.id,
                oldest,
                found: from.batch_number,
            }),
        }
    }

    /// Takes note of a batch that was applied at commit clock `at`.
    pub(crate) fn applied(&mut self, from: Producer, first_seq: u64, last_seq: u64, at: i64) {
        if from.id == 0 {
            return;
        }
        let producer = Arc::make_mut(self.by_id.entry(from.id).or_default());
        if producer.epoch != from.epoch {
            producer.receipts.clear();
        }
        producer.epoch = from.epoch;
        producer.expired = false;
        producer.last_number = from.batch_number;
        if producer.receipts.len() == RECEIPTS_KEPT {
            producer.receipts.pop_front();
        }
        producer.receipts.push_back((first_seq, last_seq));
        producer.last_seq = last_seq;
        producer.seen_at = at;
    }

    /// What a producer's numbers mean, at commit clock `at`; true where they meant something else before. An expired one stays
    /// expired.
    pub(crate) fn declare(&mut self, id: u64, feed: FeedNumbers, at: i64) -> bool {
        let producer = Arc::make_mut(self.by_id.entry(id).or_default());
        producer.seen_at = producer.seen_at.max(at);
        std::mem::replace(&mut producer.feed, feed) != feed
    }

    /// Expires a producer, unless it has written since it was looked at; true where it did. What stays is small, and counts as a
    /// producer like any other.
    pub(crate) fn expire(&mut self, expiry: &Expiry) -> bool {
        let Some(producer) = self.by_id.get_mut(&expiry.producer) else { return false };
        let written_since = (producer.epoch, producer.last_number) > (expiry.epoch, expiry.through_number);
        if producer.expired || written_since {
            return false;
        }
        let producer = Arc::make_mut(producer);
        producer.expired = true;
        producer.receipts = VecDeque::new();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(epoch: u32, batch_number: u64) -> Producer {
        Producer { id: 7, epoch, batch_number }
    }

    fn send(producers: &mut Producers, from: Producer, seq: u64) -> Decision {
        let decision = producers.decide(from);
        if decision == Decision::Apply {
            producers.applied(from, seq, seq, 7);
        }
        decision
    }

    #[test]
    fn each_number_is_applied_once_and_answered_alike_again() {
        let mut producers = Producers::default();
        for number in 1..=100 {
            assert_eq!(send(&mut producers, from(1, number), number * 10), Decision::Apply);
        }
        let again = Receipt { first_seq: 370, last_seq: 370, duplicate: true };
        assert_eq!(send(&mut producers, from(1, 37), 0), Decision::Duplicate(again));
        let too_old = ProducerRefusal::TooOld { producer: 7, oldest: 37, found: 36 };
        assert_eq!(send(&mut producers, from(1, 36), 0), Decision::Refuse(too_old));
        let gap = ProducerRefusal::Gap { producer: 7, expected: 101, found: 102 };
        assert_eq!(send(&mut producers, from(1, 102), 0), Decision::Refuse(gap));
    }

    #[test]
    fn a_newer_epoch_begins_at_one_and_fences_the_older_off() {
        let mut producers = Producers::default();
        assert_eq!(send(&mut producers, from(1, 1), 1), Decision::Apply);
        assert_eq!(send(&mut producers, from(2, 1), 2), Decision::Apply);
        let fenced = ProducerRefusal::Fenced { producer: 7, current: 2, found: 1 };
        assert_eq!(send(&mut producers, from(1, 2), 3), Decision::Refuse(fenced));
        assert_eq!(send(&mut producers, from(2, 2), 3), Decision::Apply);
        let zero = ProducerRefusal::TooOld { producer: 7, oldest: 1, found: 0 };
        assert_eq!(send(&mut producers, from(2, 0), 4), Decision::Refuse(zero));
        assert_eq!(
            send(&mut producers, from(3, 0), 4),
            Decision::Refuse(zero),
            "nor is there one of a newer epoch"
        );
    }

    #[test]
    fn without_an_id_everything_is_applied() {
        let producers = Producers::default();
        assert_eq!(producers.decide(Producer::default()), Decision::Apply);
    }

    fn expiry(epoch: u32, through_number: u64) -> Expiry {
        Expiry { producer: 7, epoch, through_number }
    }

    #[test]
    fn an_expired_producer_is_refused_until_it_comes_with_a_greater_epoch() {
        let mut producers = Producers::default();
        for number in 1..=3 {
            assert_eq!(send(&mut producers, from(2, number), number), Decision::Apply);
        }
        producers.expire(&expiry(2, 3));
        let known = producers.get(7).unwrap();
        assert!(known.expired && known.receipts.is_empty());
        assert_eq!((known.epoch, known.last_number, known.last_seq), (2, 3, 3));
        let refused = Decision::Refuse(ProducerRefusal::Expired { producer: 7, epoch: 2 });
        for (epoch, number) in [(2, 1), (2, 3), (2, 4), (1, 1), (0, 0), (2, 9)] {
            assert_eq!(producers.decide(from(epoch, number)), refused, "never taken as new");
        }
        let gap = ProducerRefusal::Gap { producer: 7, expected: 1, found: 4 };
        assert_eq!(producers.decide(from(3, 4)), Decision::Refuse(gap));
        assert_eq!(send(&mut producers, from(3, 1), 4), Decision::Apply);
        assert_eq!(send(&mut producers, from(3, 2), 5), Decision::Apply);
        let fenced = ProducerRefusal::Fenced { producer: 7, current: 3, found: 2 };
        assert_eq!(producers.decide(from(2, 4)), Decision::Refuse(fenced));
    }

    /// Who proposed the expiry may have looked at an older state, so it is decided once more.
    #[test]
    fn who_has_written_since_does_not_expire() {
        let mut producers = Producers::default();
        producers.expire(&expiry(9, u64::MAX));
        assert_eq!(producers, Producers::default(), "nobody is made up");
        for number in 1..=3 {
            send(&mut producers, from(2, number), number);
        }
        for older in [expiry(2, 2), expiry(1, 5)] {
            producers.expire(&older);
            assert!(!producers.get(7).unwrap().expired, "{older:?}");
        }
        producers.expire(&expiry(2, u64::MAX));
        assert!(producers.get(7).unwrap().expired);
    }
}
