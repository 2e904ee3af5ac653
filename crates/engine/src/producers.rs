//! Exactly once: which batches of which producer were applied.

use std::collections::{BTreeMap, VecDeque};

use tapebook_record::Producer;

use crate::Receipt;

/// Receipts that are kept for each producer, so that a retry gets the one of the first time.
pub(crate) const RECEIPTS_KEPT: usize = 64;

/// What is known of one producer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProducerState {
    /// His newest epoch.
    pub epoch: u32,
    /// The number of his last applied batch in that epoch.
    pub last_number: u64,
    /// First and last sequence number of his last batches, oldest first; the newest is number `last_number`.
    pub receipts: VecDeque<(u64, u64)>,
}

/// Why a producer's batch was not applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerRefusal {
    /// A batch before this one is missing; send again from there, in order.
    #[error("producer {producer}: batch number {found}, expected {expected}; send the missing batches first")]
    Gap {
        /// The producer.
        producer: u64,
        /// The number that comes next.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A newer epoch of the same producer has written; this one is fenced off.
    #[error("producer {producer}: epoch {found} is fenced off by epoch {current}")]
    Fenced {
        /// The producer.
        producer: u64,
        /// The newest epoch.
        current: u32,
        /// The epoch that came.
        found: u32,
    },
    /// The batch was applied so long ago that its receipt is gone.
    #[error(
        "producer {producer}: batch number {found} was applied long ago, only the receipts from {oldest} on are kept"
    )]
    TooOld {
        /// The producer.
        producer: u64,
        /// The oldest number whose receipt is kept.
        oldest: u64,
        /// The number that came.
        found: u64,
    },
    /// There are too many producers.
    #[error("producer {producer} is new, and there are already {max}")]
    TooMany {
        /// The producer.
        producer: u64,
        /// The bound.
        max: usize,
    },
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    Apply,
    Duplicate(Receipt),
    Refuse(ProducerRefusal),
}

/// All producers, by id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Producers {
    pub(crate) by_id: BTreeMap<u64, ProducerState>,
}

impl Producers {
    /// Decides about a batch; the same on every node, because it depends on nothing but earlier entries.
    pub(crate) fn decide(&self, from: Producer) -> Decision {
        if from.id == 0 {
            return Decision::Apply;
        }
        let (epoch, last) = match self.by_id.get(&from.id) {
            Some(known) => (known.epoch, if from.epoch > known.epoch { 0 } else { known.last_number }),
            None => (from.epoch, 0),
        };
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

    /// Takes note of an applied batch.
    pub(crate) fn applied(&mut self, from: Producer, first_seq: u64, last_seq: u64) {
        if from.id == 0 {
            return;
        }
        let producer = self.by_id.entry(from.id).or_default();
        if producer.epoch != from.epoch {
            *producer = ProducerState { epoch: from.epoch, ..ProducerState::default() };
        }
        producer.last_number = from.batch_number;
        if producer.receipts.len() == RECEIPTS_KEPT {
            producer.receipts.pop_front();
        }
        producer.receipts.push_back((first_seq, last_seq));
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
            producers.applied(from, seq, seq);
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
}
