//! What a reader does not see of one table.

use crate::manifest::SeqRange;

/// The sequence numbers of one table that a reader does not see: what retractions hide, and what came later than he
/// looks.
#[derive(Clone, Copy, Debug)]
pub struct Hidden<'a> {
    /// Ascending, and apart from each other.
    ranges: &'a [SeqRange],
    visible_seq: u64,
}

/// What a reader sees of rows that lie together.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// All of them; none needs to be looked at.
    All,
    /// Those whose sequence number is not in there.
    Except(Hidden<'a>),
    /// None.
    Nothing,
}

impl<'a> Hidden<'a> {
    pub(super) fn new(ranges: &'a [SeqRange], visible_seq: u64) -> Self {
        Self { ranges, visible_seq }
    }

    /// What retractions hide, ascending.
    pub(crate) fn ranges(self) -> &'a [SeqRange] {
        self.ranges
    }

    /// True where no retraction stands.
    #[inline]
    pub fn without_retractions(self) -> bool {
        self.ranges.is_empty()
    }

    /// True where the reader does not see that sequence number.
    #[inline]
    pub fn contains(self, seq: u64) -> bool {
        if seq > self.visible_seq {
            return true;
        }
        let at = self.ranges.partition_point(|range| range.last < seq);
        self.ranges.get(at).is_some_and(|range| range.first <= seq)
    }

    /// What the reader sees of rows whose lowest and highest sequence number these are.
    #[inline]
    pub fn among(self, first: u64, last: u64) -> Shown<'a> {
        if self.ranges.is_empty() && last <= self.visible_seq {
            return Shown::All;
        }
        self.overlapping(first, last)
    }

    fn overlapping(self, first: u64, last: u64) -> Shown<'a> {
        if first > self.visible_seq {
            return Shown::Nothing;
        }
        let seen = last.min(self.visible_seq);
        let from = self.ranges.partition_point(|range| range.last < first);
        let until = self.ranges.partition_point(|range| range.first <= seen);
        let ranges = self.ranges.get(from..until).unwrap_or_default();
        match ranges {
            [] if seen == last => Shown::All,
            [whole] if whole.first <= first && seen <= whole.last => Shown::Nothing,
            _ => Shown::Except(Self { ranges, ..self }),
        }
    }
}
