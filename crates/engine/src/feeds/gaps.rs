//! What is missing, and what was and has come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::numbers::{Numbers, Stream};
use super::{CLOSED_GAPS_MAX, OPEN_GAPS_MAX, OPEN_GAPS_TOTAL_MAX};

/// A moment of the journal: a row and the commit clock then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Moment {
    pub seq: u64,
    pub at: i64,
}

/// A gap of some producer's stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gap {
    pub producer: u64,
    pub stream: Stream,
    pub numbers: Numbers,
    pub seen: Moment,
    pub closed: Option<Moment>,
}

/// What is open of one gap, beside its first number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Open {
    pub last: u64,
    pub seen: Moment,
}

/// The open gaps of one producer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct OpenGaps {
    /// By stream and first number.
    pub by_first: BTreeMap<(Stream, u64), Open>,
    /// Gaps that could not be listed, because there were too many and none to join them with.
    pub unlisted: u64,
}

/// All gaps: the open ones by producer, and the newest closed ones. Cloning shares them.
///
/// *Invariant*: the open gaps of one stream do not overlap. `open_count` is how many are open.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Gaps {
    open: BTreeMap<u64, Arc<OpenGaps>>,
    open_count: usize,
    /// Oldest first.
    closed: Arc<VecDeque<Gap>>,
}

impl Gaps {
    /// Every gap that is listed: open ones by producer, stream and number, then closed ones, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Gap> {
        let open = self.open.iter().flat_map(|(producer, gaps)| {
            gaps.by_first.iter().map(move |((stream, first), open)| Gap {
                producer: *producer,
                stream: *stream,
                numbers: Numbers { first: *first, last: open.last },
                seen: open.seen,
                closed: None,
            })
        });
        open.chain(self.closed.iter().copied())
    }

    /// The open gaps of each producer that has or had any.
    pub(super) fn open(&self) -> impl ExactSizeIterator<Item = (u64, &OpenGaps)> {
        self.open.iter().map(|(producer, gaps)| (*producer, &**gaps))
    }

    pub(super) fn closed(&self) -> &VecDeque<Gap> {
        &self.closed
    }

    pub(super) fn from_parts(open: BTreeMap<u64, Arc<OpenGaps>>, closed: VecDeque<Gap>) -> Self {
        let open_count = open.values().map(|gaps| gaps.by_first.len()).sum();
        Self { open, open_count, closed: Arc::new(closed) }
    }

    /// Gaps of a producer that could not be listed.
    pub(crate) fn unlisted(&self, producer: u64) -> u64 {
        self.open.get(&producer).map_or(0, |gaps| gaps.unlisted)
    }

    /// Forgets what is open of a producer whose numbers mean something else from now on.
    pub(crate) fn forget(&mut self, producer: u64) {
        if let Some(forgotten) = self.open.remove(&producer) {
            self.open_count -= forgotten.by_first.len();
        }
    }

    /// Numbers are missing. Returns the gap as it is listed now: joined with the one before it where there are too many, and with
    /// any that it overlaps. `None` where it cannot be listed.
    pub(super) fn open_gap(
        &mut self,
        producer: u64,
        stream: Stream,
        numbers: Numbers,
        seen: Moment,
    ) -> Option<Gap> {
        let gaps = Arc::make_mut(self.open.entry(producer).or_default());
        let mut joined = Gap { producer, stream, numbers, seen, closed: None };
        let full = gaps.by_first.len() >= OPEN_GAPS_MAX || self.open_count >= OPEN_GAPS_TOTAL_MAX;
        let mut taken = overlapping(&gaps.by_first, stream, numbers);
        if full && taken.is_empty() {
            let before = gaps.by_first.range(..(stream, numbers.first)).next_back();
            taken.extend(before.filter(|((of, _), _)| *of == stream).map(|((_, first), _)| *first));
            if taken.is_empty() {
                gaps.unlisted += 1;
                return None;
            }
        }
        for first in taken {
            let Some(older) = gaps.by_first.remove(&(stream, first)) else { continue };
            self.open_count -= 1;
            joined.numbers.first = joined.numbers.first.min(first);
            joined.numbers.last = joined.numbers.last.max(older.last);
            if older.seen.seq < joined.seen.seq {
                joined.seen = older.seen;
            }
        }
        let open = Open { last: joined.numbers.last, seen: joined.seen };
        gaps.by_first.insert((stream, joined.numbers.first), open);
        self.open_count += 1;
        Some(joined)
    }

    /// Numbers have come. What of them was missing is closed; returns these parts. A part in the middle of a gap splits it; where
    /// there are too many gaps to split one, it stays as it is.
    pub(super) fn close(&mut self, producer: u64, stream: Stream, came: Numbers, moment: Moment) -> Vec<Gap> {
        let mut parts = Vec::new();
        let Some(gaps) = self.open.get_mut(&producer) else { return parts };
        let touched = overlapping(&gaps.by_first, stream, came);
        if touched.is_empty() {
            return parts;
        }
        let gaps = Arc::make_mut(gaps);
        for first in touched {
            let Some(&Open { last, seen }) = gaps.by_first.get(&(stream, first)) else { continue };
            let Some(part) = came.common(Numbers { first, last }) else { continue };
            let (before, after) = (part.first > first, part.last < last);
            let full = gaps.by_first.len() >= OPEN_GAPS_MAX || self.open_count >= OPEN_GAPS_TOTAL_MAX;
            if before && after && full {
                continue;
            }
            gaps.by_first.remove(&(stream, first));
            self.open_count -= 1;
            if before {
                gaps.by_first.insert((stream, first), Open { last: part.first - 1, seen });
            }
            if after {
                gaps.by_first.insert((stream, part.last + 1), Open { last, seen });
            }
            self.open_count += usize::from(before) + usize::from(after);
            parts.push(Gap { producer, stream, numbers: part, seen, closed: Some(moment) });
        }
        let closed = Arc::make_mut(&mut self.closed);
        for part in &parts {
            if !closed.back_mut().is_some_and(|newest| newest.extend_with(part)) {
                closed.push_back(*part);
            }
        }
        while closed.len() > CLOSED_GAPS_MAX {
            closed.pop_front();
        }
        parts
    }
}

impl Gap {
    /// Takes over the next part of the same gap, where it is closed number by number; true where it did.
    pub(super) fn extend_with(&mut self, next: &Self) -> bool {
        let same = (self.producer, self.stream, self.seen) == (next.producer, next.stream, next.seen)
            && self.closed.is_some() == next.closed.is_some();
        let follows = same && self.numbers.last.checked_add(1) == Some(next.numbers.first);
        if follows {
            self.numbers.last = next.numbers.last;
            self.closed = next.closed;
        }
        follows
    }
}

/// The first numbers of the gaps of a stream that have some of `numbers`.
fn overlapping(gaps: &BTreeMap<(Stream, u64), Open>, stream: Stream, numbers: Numbers) -> Vec<u64> {
    let up_to_end = gaps.range((stream, 0)..=(stream, numbers.last)).rev();
    let mut firsts: Vec<u64> =
        up_to_end.take_while(|(_, open)| open.last >= numbers.first).map(|((_, first), _)| *first).collect();
    firsts.reverse();
    firsts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn moment(seq: u64) -> Moment {
        Moment { seq, at: seq as i64 * 10 }
    }

    fn numbers(first: u64, last: u64) -> Numbers {
        Numbers { first, last }
    }

    fn open(gaps: &Gaps) -> Vec<(u64, u64)> {
        let open = gaps.iter().filter(|gap| gap.closed.is_none());
        open.map(|gap| (gap.numbers.first, gap.numbers.last)).collect()
    }

    #[test]
    fn past_the_bound_gaps_are_joined_so_that_none_is_lost() {
        let mut gaps = Gaps::default();
        let max = OPEN_GAPS_MAX as u64;
        for at in 1..=max {
            gaps.open_gap(7, Stream::Channel, numbers(at * 10, at * 10 + 1), moment(at)).unwrap();
        }
        let joined = gaps.open_gap(7, Stream::Channel, numbers(20_000, 20_005), moment(9_999)).unwrap();
        assert_eq!((joined.numbers, joined.seen), (numbers(max * 10, 20_005), moment(max)));
        assert_eq!(gaps.iter().count(), OPEN_GAPS_MAX);
        let other = Stream::Series { table: tapebook_record::TableId(1), symbol: 0 };
        assert_eq!(gaps.open_gap(7, other, numbers(1, 2), moment(1)), None);
        assert_eq!((gaps.unlisted(7), gaps.iter().count()), (1, OPEN_GAPS_MAX));
        assert_eq!(gaps.close(7, Stream::Channel, numbers(15_000, 15_000), moment(5)), [], "not split");
        assert_eq!(gaps.close(7, Stream::Channel, numbers(20_004, 20_009), moment(5)).len(), 1);
        assert_eq!(open(&gaps).last(), Some(&(max * 10, 20_003)), "cut at its end");
        gaps.forget(7);
        assert_eq!((gaps.iter().filter(|gap| gap.closed.is_none()).count(), gaps.open_count), (0, 0));
    }

    #[test]
    fn closed_gaps_are_bounded_and_gathered() {
        let mut gaps = Gaps::default();
        gaps.open_gap(7, Stream::Channel, numbers(1, 100), moment(3));
        for number in 1..=50 {
            gaps.close(7, Stream::Channel, Numbers::one(number), moment(100 + number));
        }
        let closed: Vec<Gap> = gaps.closed().iter().copied().collect();
        assert_eq!(closed.len(), 1);
        assert_eq!((closed[0].numbers, closed[0].closed), (numbers(1, 50), Some(moment(150))));
        for at in 0..=CLOSED_GAPS_MAX as u64 {
            gaps.open_gap(8, Stream::Channel, Numbers::one(at * 3), moment(at));
            gaps.close(8, Stream::Channel, Numbers::one(at * 3), moment(at));
        }
        assert_eq!(gaps.closed().len(), CLOSED_GAPS_MAX);
        assert_eq!(gaps.closed()[0].producer, 8, "the oldest are forgotten");
    }

    proptest! {
        /// Whatever is opened and closed, what is listed is the set of numbers that are missing.
        #[test]
        fn what_is_open_is_what_is_missing(
            steps in prop::collection::vec((any::<bool>(), 0..60_u64, 0..9_u64), 1..60),
        ) {
            let mut gaps = Gaps::default();
            let mut missing = BTreeSet::new();
            for (seq, (opens, first, length)) in (1..).zip(steps) {
                let range = numbers(first, first + length);
                if opens {
                    prop_assert!(gaps.open_gap(7, Stream::Channel, range, moment(seq)).is_some());
                    missing.extend(first..=first + length);
                } else {
                    let parts = gaps.close(7, Stream::Channel, range, moment(seq));
                    let closed: Vec<u64> =
                        parts.iter().flat_map(|part| part.numbers.first..=part.numbers.last).collect();
                    let expected: Vec<u64> = missing.range(first..=first + length).copied().collect();
                    prop_assert_eq!(closed, expected);
                    missing.retain(|number| !(first..=first + length).contains(number));
                }
                let listed: Vec<u64> = open(&gaps).into_iter().flat_map(|(first, last)| first..=last).collect();
                prop_assert!(listed.iter().eq(&missing), "{listed:?} {missing:?}");
                prop_assert_eq!(gaps.open_count, open(&gaps).len());
            }
        }
    }
}
