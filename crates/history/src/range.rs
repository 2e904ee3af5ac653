//! Ranges that grow.

use std::ops::RangeInclusive;

/// No sequence number.
pub(crate) const NO_SEQS: RangeInclusive<u64> = RangeInclusive::new(u64::MAX, 0);
/// No time.
pub(crate) const NO_TIMES: RangeInclusive<i64> = RangeInclusive::new(i64::MAX, i64::MIN);
/// No layout version.
pub(crate) const NO_LAYOUTS: RangeInclusive<u16> = RangeInclusive::new(u16::MAX, 0);

/// The smallest range that has both.
pub(crate) fn hull<T: Copy + Ord>(a: &RangeInclusive<T>, b: &RangeInclusive<T>) -> RangeInclusive<T> {
    (*a.start()).min(*b.start())..=(*a.end()).max(*b.end())
}
