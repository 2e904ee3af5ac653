//! Which rows of a file can be wanted: exact by symbol, then as the statistics of the pages allow.

use std::ops::{Range, RangeInclusive};

use parquet::arrow::arrow_reader::{RowSelection, RowSelectionPolicy};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use crate::directory::SeriesSpan;
use crate::selection::Selection;

/// Rows that can be wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Candidates {
    /// Positions in the file, ascending, none empty.
    pub(crate) ranges: Vec<Range<u64>>,
    /// Some rows among them may have another time than wanted.
    pub(crate) check_times: bool,
    /// Some rows among them may have another sequence number than wanted.
    pub(crate) check_seqs: bool,
}

/// Finds the rows that can be wanted.
pub(crate) fn candidates(
    series: &[SeriesSpan],
    metadata: &ParquetMetaData,
    selection: &Selection,
) -> Candidates {
    let Selection { times, seqs, .. } = selection;
    let mut found = Candidates { ranges: Vec::new(), check_times: false, check_seqs: false };
    let seq_leaf = metadata.file_metadata().schema_descr().num_columns().saturating_sub(1);
    let (mut ts_pages, mut seq_pages) = (None, None);
    for span in wanted_series(series, selection) {
        let (span_times, span_seqs) = (span.ts_first..=span.ts_last, span.seq_min..=span.seq_max);
        if !overlap(times, &span_times) || !overlap(seqs, &span_seqs) {
            continue;
        }
        let mut ranges = vec![span.row_range()];
        if !within(&span_times, times) {
            found.check_times = true;
            let pages = ts_pages.get_or_insert_with(|| pages(metadata, 0));
            ranges = with_times(pages, span, times);
        }
        if !within(&span_seqs, seqs) {
            found.check_seqs = true;
            let pages = seq_pages.get_or_insert_with(|| pages(metadata, seq_leaf));
            ranges = intersect(&ranges, &with_seqs(pages, seqs));
        }
        for range in ranges {
            push(&mut found.ranges, range);
        }
    }
    found
}

/// The rows of a series in pages that can have such times. Inside a series times only grow, so that even in a page that
/// it shares with another one its part lies between what its neighbours have.
fn with_times(pages: &[Page], span: &SeriesSpan, times: &RangeInclusive<i64>) -> Vec<Range<u64>> {
    let rows = span.row_range();
    let is_own = |page: &&Page| rows.start <= page.rows.start && page.rows.end <= rows.end;
    let from = pages.partition_point(|page| page.rows.end <= rows.start);
    let mut ranges = Vec::new();
    for (at, page) in pages.iter().enumerate().skip(from).take_while(|(_, page)| page.rows.start < rows.end) {
        let (first, last) = page.known.filter(|_| is_own(&page)).unwrap_or_else(|| {
            let before = at.checked_sub(1).and_then(|before| pages.get(before)).filter(is_own);
            let after = pages.get(at + 1).filter(is_own);
            (
                before.and_then(|page| page.known).map_or(span.ts_first, |(_, max)| max),
                after.and_then(|page| page.known).map_or(span.ts_last, |(min, _)| min),
            )
        });
        if overlap(times, &(first..=last)) {
            push(&mut ranges, page.rows.start.max(rows.start)..page.rows.end.min(rows.end));
        }
    }
    ranges
}

/// The rows in pages that can have such sequence numbers. Parquet orders them as unsigned and stores signed numbers.
fn with_seqs(pages: &[Page], seqs: &RangeInclusive<u64>) -> Vec<Range<u64>> {
    let can_have =
        |page: &&Page| page.known.is_none_or(|(min, max)| overlap(seqs, &(min as u64..=max as u64)));
    let mut ranges = Vec::new();
    for page in pages.iter().filter(can_have) {
        push(&mut ranges, page.rows.clone());
    }
    ranges
}

fn wanted_series<'a>(series: &'a [SeriesSpan], selection: &Selection) -> Vec<&'a SeriesSpan> {
    let Some(symbols) = &selection.symbols else {
        return series.iter().collect();
    };
    let mut at: Vec<usize> = symbols
        .iter()
        .filter_map(|symbol| series.binary_search_by(|span| span.symbol.as_str().cmp(symbol)).ok())
        .collect();
    at.sort_unstable();
    at.dedup();
    at.into_iter().map(|at| &series[at]).collect()
}

fn overlap<T: PartialOrd>(a: &RangeInclusive<T>, b: &RangeInclusive<T>) -> bool {
    a.start() <= b.end() && b.start() <= a.end() && a.start() <= a.end()
}

fn within<T: PartialOrd>(inner: &RangeInclusive<T>, outer: &RangeInclusive<T>) -> bool {
    outer.start() <= inner.start() && inner.end() <= outer.end()
}

/// The rows of one page of one column, and the least and greatest value among them, where the index has them.
#[derive(Clone, Debug)]
struct Page {
    rows: Range<u64>,
    known: Option<(i64, i64)>,
}

/// The pages of a column of whole numbers without NULL.
fn pages(metadata: &ParquetMetaData, leaf: usize) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut group_first = 0_u64;
    for (group, row_group) in metadata.row_groups().iter().enumerate() {
        let group_end = group_first + row_group.num_rows() as u64;
        let statistics = metadata.column_index().and_then(|index| index.get(group)?.get(leaf));
        let places = metadata.offset_index().and_then(|index| index.get(group)?.get(leaf));
        let places = places.map(|places| places.page_locations().as_slice()).unwrap_or_default();
        for (page, place) in places.iter().enumerate() {
            let first = group_first.saturating_add_signed(place.first_row_index);
            let next =
                places.get(page + 1).map(|next| group_first.saturating_add_signed(next.first_row_index));
            let (min, max) = match statistics {
                Some(ColumnIndexMetaData::INT64(statistics)) => {
                    (statistics.min_values().get(page), statistics.max_values().get(page))
                }
                _ => (None, None),
            };
            pages
                .push(Page { rows: first..next.unwrap_or(group_end), known: min.copied().zip(max.copied()) });
        }
        group_first = group_end;
    }
    pages
}

/// Appends a range, joined to the last one where it continues it.
fn push(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ if range.start < range.end => ranges.push(range),
        _ => {}
    }
}

/// What is in both of two ascending lists.
fn intersect(a: &[Range<u64>], b: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut at, mut both) = (0, Vec::new());
    for range in a {
        while b.get(at).is_some_and(|other| other.end <= range.start) {
            at += 1;
        }
        // The last one that overlaps may reach into the next range too.
        for other in b[at..].iter().take_while(|other| other.start < range.end) {
            push(&mut both, range.start.max(other.start)..range.end.min(other.end));
        }
    }
    both
}

/// The row groups that have some of the rows, and which of their rows those are.
pub(crate) fn row_groups(
    metadata: &ParquetMetaData,
    ranges: &[Range<u64>],
) -> (Vec<usize>, RowSelection, RowSelectionPolicy) {
    let (mut groups, mut selected) = (Vec::new(), Vec::new());
    let (mut group_first, mut chosen_first, mut at) = (0_u64, 0_u64, 0);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let group_end = group_first + group.num_rows() as u64;
        while ranges.get(at).is_some_and(|range| range.end <= group_first) {
            at += 1;
        }
        let here: Vec<Range<u64>> = ranges[at..]
            .iter()
            .take_while(|range| range.start < group_end)
            .map(|range| range.start.max(group_first)..range.end.min(group_end))
            .collect();
        if !here.is_empty() {
            groups.push(number);
            let shift = |row: u64| (row - group_first + chosen_first) as usize;
            selected.extend(here.into_iter().map(|range| shift(range.start)..shift(range.end)));
            chosen_first += group_end - group_first;
        }
        group_first = group_end;
    }
    let selection = RowSelection::from_consecutive_ranges(selected.into_iter(), chosen_first as usize);
    // Rows are wanted in runs; skipping what lies between them also skips its pages.
    (groups, selection, RowSelectionPolicy::Selectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_both_lists_are_found() {
        let both = intersect(&[0..10, 12..20, 30..40], &[2..4, 9..15, 19..31, 39..50]);
        assert_eq!(both, [2..4, 9..10, 12..15, 19..20, 30..31, 39..40]);
        assert_eq!(intersect(&[0..5, 5..9], &[0..6, 8..99]), [0..6, 8..9]);
        assert_eq!(intersect(&[], &[0..3, 4..5]), []);
    }
}
