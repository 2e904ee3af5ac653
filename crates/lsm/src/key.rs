//! What records are found by.

use std::ops::{Bound, RangeBounds};

use tapebook_record::TableId;

/// One table and one symbol.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Series {
    /// The table.
    pub table: TableId,
    /// The symbol's handle.
    pub symbol: u32,
}

/// A range of event times, both ends included. `first > last` is the empty range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeRange {
    /// The earliest time in it.
    pub first: i64,
    /// The latest time in it.
    pub last: i64,
}

impl TimeRange {
    /// Every time.
    pub const ALL: Self = Self { first: i64::MIN, last: i64::MAX };
    /// No time.
    pub const EMPTY: Self = Self { first: i64::MAX, last: i64::MIN };

    /// True where no time is in it.
    pub fn is_empty(self) -> bool {
        self.first > self.last
    }

    /// True where `ts` is in it.
    #[inline]
    pub fn contains(self, ts: i64) -> bool {
        self.first <= ts && ts <= self.last
    }

    /// True where some time is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.first.max(other.first) <= self.last.min(other.last)
    }

    /// The smallest range with `ts` in it as well.
    pub fn including(self, ts: i64) -> Self {
        Self { first: self.first.min(ts), last: self.last.max(ts) }
    }

    /// The smallest range that both lie in.
    pub fn hull(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// The range of times that a Rust range describes.
    pub fn from_bounds(bounds: impl RangeBounds<i64>) -> Self {
        let first = match bounds.start_bound() {
            Bound::Included(ts) => Some(*ts),
            Bound::Excluded(ts) => ts.checked_add(1),
            Bound::Unbounded => Some(i64::MIN),
        };
        let last = match bounds.end_bound() {
            Bound::Included(ts) => Some(*ts),
            Bound::Excluded(ts) => ts.checked_sub(1),
            Bound::Unbounded => Some(i64::MAX),
        };
        match (first, last) {
            (Some(first), Some(last)) => Self { first, last },
            _ => Self::EMPTY,
        }
    }
}

/// Which way a scan goes through time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the earliest `(ts, seq)` on.
    Forward,
    /// From the latest `(ts, seq)` back.
    Backward,
}
