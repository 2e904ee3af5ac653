//! What one file or MemTable shows of a series.

use tapebook_record::RawRecord;

use crate::key::{Direction, TimeRange};
use crate::memtable::MemSeries;
use crate::retraction::{Hidden, Shown};
use crate::sstable::{TableError, TableSeries};

/// What a reader sees of the series of a file.
#[inline]
pub(super) fn shown_of<'a>(series: &TableSeries<'_>, hidden: Hidden<'a>) -> Shown<'a> {
    let (first, last) = series.seq_range();
    hidden.among(first, last)
}

/// The last record that is shown and whose time is not after `at`.
pub(super) fn last_in_file<'a>(
    series: &TableSeries<'a>,
    at: i64,
    shown: Shown<'_>,
) -> Result<Option<RawRecord<'a>>, TableError> {
    let hidden = match shown {
        Shown::All => return series.last_at(at),
        Shown::Nothing => return Ok(None),
        Shown::Except(hidden) => hidden,
    };
    let mut back = series.scan(until(at), Direction::Backward);
    back.find(|record| record.as_ref().map_or(true, |record| !hidden.contains(record.seq))).transpose()
}

/// As [`last_in_file`].
pub(super) fn last_in_memtable<'a>(
    series: &MemSeries<'a>,
    at: i64,
    shown: Shown<'_>,
) -> Option<RawRecord<'a>> {
    let hidden = match shown {
        Shown::All => return series.last_at(at),
        Shown::Nothing => return None,
        Shown::Except(hidden) => hidden,
    };
    match series.last_at(at) {
        Some(record) if hidden.contains(record.seq) => {
            series.scan(until(at), Direction::Backward).find(|record| !hidden.contains(record.seq))
        }
        last => last,
    }
}

fn until(at: i64) -> TimeRange {
    TimeRange { first: i64::MIN, last: at }
}
