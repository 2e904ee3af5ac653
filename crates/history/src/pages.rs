//! What the page index says of the pages of the key's columns, and which rows can have some key.

use std::ops::{Range, RangeInclusive};

use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use crate::directory::SeriesSpan;
use crate::prune::{overlap, push};

/// The rows of one page of one column, and the least and greatest value among them, where the index has them.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) rows: Range<u64>,
    known: Option<(i64, i64)>,
}

impl Page {
    /// False where the index excludes a time. Unlike sequence numbers, times are signed.
    pub(crate) fn may_have_time(&self, ts: i64) -> bool {
        self.known.is_none_or(|(min, max)| (min..=max).contains(&ts))
    }

    /// False where the index excludes a sequence number. Parquet orders them as unsigned and stores signed numbers.
    pub(crate) fn may_have_seq(&self, seq: u64) -> bool {
        self.known.is_none_or(|(min, max)| (min as u64..=max as u64).contains(&seq))
    }
}

/// The pages of `ts` and of `seq`: of each column all rows of the file, in their order, no page empty.
#[derive(Debug)]
pub(crate) struct KeyPages {
    pub(crate) ts: Vec<Page>,
    pub(crate) seq: Vec<Page>,
}

impl KeyPages {
    /// `None` where the index does not fit the row groups.
    pub(crate) fn of(metadata: &ParquetMetaData) -> Option<Self> {
        let seq_leaf = metadata.file_metadata().schema_descr().num_columns().checked_sub(1)?;
        Some(Self { ts: pages(metadata, 0)?, seq: pages(metadata, seq_leaf)? })
    }

    /// The rows of a series in pages that can have such times. Inside a series times only grow, so that even in a page that
    /// it shares with another one its part lies between what its neighbours have.
    pub(crate) fn with_times(&self, span: &SeriesSpan, times: &RangeInclusive<i64>) -> Range<u64> {
        let rows = span.row_range();
        let is_own = |page: &&Page| rows.start <= page.rows.start && page.rows.end <= rows.end;
        let pages = within_rows(&self.ts, &rows);
        let first_of = |at: usize| match pages[at].known.filter(|_| is_own(&&pages[at])) {
            Some((min, _)) => min,
            None => {
                let before = at.checked_sub(1).map(|before| &pages[before]).filter(is_own);
                before.and_then(|page| page.known).map_or(span.ts_first, |(_, max)| max)
            }
        };
        let last_of = |at: usize| match pages[at].known.filter(|_| is_own(&&pages[at])) {
            Some((_, max)) => max,
            None => {
                let after = pages.get(at + 1).filter(is_own);
                after.and_then(|page| page.known).map_or(span.ts_last, |(min, _)| min)
            }
        };
        let from = partition_point(pages.len(), |at| last_of(at) < *times.start());
        let to = partition_point(pages.len(), |at| first_of(at) <= *times.end());
        let wanted = pages.get(from..to).unwrap_or_default();
        let ends = wanted.first().zip(wanted.last());
        ends.map_or(rows.start..rows.start, |(first, last)| {
            first.rows.start.max(rows.start)..last.rows.end.min(rows.end)
        })
    }

    /// Those of the rows that lie in pages that can have such sequence numbers. Parquet orders them as unsigned and stores
    /// signed numbers.
    pub(crate) fn with_seqs(&self, rows: &Range<u64>, seqs: &RangeInclusive<u64>) -> Vec<Range<u64>> {
        let can_have =
            |page: &&Page| page.known.is_none_or(|(min, max)| overlap(seqs, &(min as u64..=max as u64)));
        let mut ranges = Vec::new();
        for page in within_rows(&self.seq, rows).iter().filter(can_have) {
            push(&mut ranges, page.rows.start.max(rows.start)..page.rows.end.min(rows.end));
        }
        ranges
    }
}

/// The pages that have some of the rows.
pub(crate) fn within_rows<'a>(pages: &'a [Page], rows: &Range<u64>) -> &'a [Page] {
    let from = pages.partition_point(|page| page.rows.end <= rows.start);
    let to = pages.partition_point(|page| page.rows.start < rows.end);
    pages.get(from..to).unwrap_or_default()
}

/// How many of the first `count` numbers are `before`.
fn partition_point(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The rows of each page of a column in one row group, from 0; `None` where the index does not fit the row group.
pub(crate) fn page_rows(metadata: &ParquetMetaData, group: usize, leaf: usize) -> Option<Vec<Range<u64>>> {
    let rows = u64::try_from(metadata.row_group(group).num_rows()).ok()?;
    let places = metadata.offset_index()?.get(group)?.get(leaf)?.page_locations();
    let mut pages = Vec::with_capacity(places.len());
    let mut ends = 0;
    for (at, place) in places.iter().enumerate() {
        let first = u64::try_from(place.first_row_index).ok()?;
        let next = match places.get(at + 1) {
            Some(next) => u64::try_from(next.first_row_index).ok()?,
            None => rows,
        };
        if first != ends || next <= first {
            return None;
        }
        pages.push(first..next);
        ends = next;
    }
    (ends == rows).then_some(pages)
}

/// The pages of a column of whole numbers without NULL.
fn pages(metadata: &ParquetMetaData, leaf: usize) -> Option<Vec<Page>> {
    let mut pages = Vec::new();
    let mut group_first = 0_u64;
    for (group, row_group) in metadata.row_groups().iter().enumerate() {
        let statistics = metadata.column_index().and_then(|index| index.get(group)?.get(leaf));
        for (page, rows) in page_rows(metadata, group, leaf)?.into_iter().enumerate() {
            let (min, max) = match statistics {
                Some(ColumnIndexMetaData::INT64(statistics)) => {
                    (statistics.min_values().get(page), statistics.max_values().get(page))
                }
                _ => (None, None),
            };
            let rows = group_first + rows.start..group_first + rows.end;
            pages.push(Page { rows, known: min.copied().zip(max.copied()) });
        }
        group_first += row_group.num_rows() as u64;
    }
    Some(pages)
}
