//! Which rows are wanted.

use std::ops::RangeInclusive;

/// Which rows of a file are wanted: all of them by default.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selection {
    /// Only these symbols, in any order; `None` for all.
    pub symbols: Option<Vec<String>>,
    /// Only event times in this range.
    pub times: RangeInclusive<i64>,
    /// Only sequence numbers in this range.
    pub seqs: RangeInclusive<u64>,
}

impl Default for Selection {
    fn default() -> Self {
        Self { symbols: None, times: i64::MIN..=i64::MAX, seqs: 0..=u64::MAX }
    }
}
