//! Where a time partition begins and ends.
//!
//! A partition is as long as its data is dense: a day where a day has enough bytes, else as many days as it takes.
//! Rows far from all others (a stray time, daily bars of twenty years) get one long partition for the whole gap that
//! they lie in, so that strays cannot make many. A long one that turns out to be dense is divided later.

use std::collections::BTreeMap;

use super::CompactionOptions;
use crate::key::TimeRange;

const DAY_NANOS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Bytes by day, counted from the epoch.
pub(super) type Days = BTreeMap<i64, u64>;

/// Adds up bytes by day.
pub(super) fn days(weights: impl IntoIterator<Item = (i64, u64)>) -> Days {
    let mut days = Days::new();
    for (ts, bytes) in weights {
        *days.entry(day_of(ts)).or_default() += bytes;
    }
    days
}

fn day_of(ts: i64) -> i64 {
    ts.div_euclid(DAY_NANOS)
}

/// The first and the last day that can be told are cut short by the range of `i64`.
fn first_of(day: i64) -> i64 {
    day.saturating_mul(DAY_NANOS)
}

fn last_of(day: i64) -> i64 {
    (day + 1).checked_mul(DAY_NANOS).map_or(if day < 0 { i64::MIN } else { i64::MAX }, |next| next - 1)
}

/// The partitions that must begin so that every moment of `times` lies in one. `existing` are all partitions so far,
/// by time.
pub(super) fn begin(
    existing: &[TimeRange],
    times: TimeRange,
    days: &Days,
    options: &CompactionOptions,
) -> Vec<TimeRange> {
    let mut begun = Vec::new();
    for (gap, newest) in gaps(existing) {
        let wanted = TimeRange { first: times.first.max(gap.first), last: times.last.min(gap.last) };
        if !wanted.is_empty() {
            fill(gap, newest, wanted, days, options, &mut begun);
        }
    }
    begun
}

/// The stretches of time without a partition, and whether they lie behind all of them.
fn gaps(existing: &[TimeRange]) -> Vec<(TimeRange, bool)> {
    let mut gaps = Vec::new();
    let mut from = Some(i64::MIN);
    for range in existing {
        if let Some(first) = from
            && first < range.first
        {
            gaps.push((TimeRange { first, last: range.first - 1 }, false));
        }
        from = range.last.checked_add(1);
    }
    if let Some(first) = from {
        gaps.push((TimeRange { first, last: i64::MAX }, true));
    }
    gaps
}

fn fill(
    gap: TimeRange,
    newest: bool,
    wanted: TimeRange,
    days: &Days,
    options: &CompactionOptions,
    begun: &mut Vec<TimeRange>,
) {
    let (first_day, last_day) = (day_of(wanted.first), day_of(wanted.last));
    let within = |first: i64, last: i64| TimeRange { first: first.max(gap.first), last: last.min(gap.last) };
    if newest && last_day - first_day < 2 {
        begun.extend((first_day..=last_day).map(|day| within(first_of(day), last_of(day))));
        return;
    }
    let dense = cuts(days.range(first_day..=last_day), options.partition_bytes_min);
    let mut from = first_day;
    for end in dense {
        begun.push(within(first_of(from), last_of(end)));
        from = end + 1;
    }
    if from > last_day {
        return;
    }
    // What is left is sparse.
    if newest {
        begun.push(within(first_of(from), last_of(last_day)));
    } else {
        let first = if from == first_day { gap.first } else { first_of(from) };
        begun.push(within(first, gap.last));
    }
}

/// The days after which to cut, so that each part but the rest behind the last cut has at least that many bytes.
fn cuts<'a>(days: impl Iterator<Item = (&'a i64, &'a u64)>, bytes_min: u64) -> Vec<i64> {
    let mut cuts = Vec::new();
    let mut bytes = 0;
    for (day, more) in days {
        bytes += more;
        if bytes >= bytes_min {
            cuts.push(*day);
            bytes = 0;
        }
    }
    cuts
}

/// The shorter partitions that a partition is divided into; `None` where it cannot be. Each has some of the bytes.
pub(super) fn divide(times: TimeRange, days: &Days, options: &CompactionOptions) -> Option<Vec<TimeRange>> {
    let (&last_day, _) = days.last_key_value()?;
    let mut cuts = cuts(days.iter(), (options.partition_bytes_max / 4).max(1));
    cuts.retain(|day| *day < last_day);
    if cuts.is_empty() {
        // One long day behind sparse ones, or the other way round: at least it gets a partition of its own.
        let (&first_day, _) = days.first_key_value()?;
        let before_last = days.range(..last_day).next_back().map(|(day, _)| *day)?;
        cuts.push(if days[&first_day] > days[&last_day] { first_day } else { before_last });
    }
    let mut parts = Vec::new();
    let mut first = times.first;
    for day in cuts {
        let last = last_of(day);
        if first <= last && last < times.last {
            parts.push(TimeRange { first, last });
            first = last + 1;
        }
    }
    parts.push(TimeRange { first, last: times.last });
    (parts.len() > 1).then_some(parts)
}
