//! Which rows of a file can be wanted: exact by symbol, then as the statistics of the pages allow.

use std::ops::{Range, RangeInclusive};

use parquet::arrow::arrow_reader::{RowSelection, RowSelectionPolicy};
use parquet::file::metadata::ParquetMetaData;

use crate::directory::SeriesSpan;
use crate::pages::KeyPages;
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
pub(crate) fn candidates(series: &[SeriesSpan], pages: &KeyPages, selection: &Selection) -> Candidates {
    let Selection { times, seqs, .. } = selection;
    let mut found = Candidates { ranges: Vec::new(), check_times: false, check_seqs: false };
    for span in wanted_series(series, selection) {
        let (span_times, span_seqs) = (span.ts_first..=span.ts_last, span.seq_min..=span.seq_max);
        if !overlap(times, &span_times) || !overlap(seqs, &span_seqs) {
            continue;
        }
        let mut rows = span.row_range();
        if !within(&span_times, times) {
            found.check_times = true;
            rows = pages.with_times(span, times);
        }
        if within(&span_seqs, seqs) {
            push(&mut found.ranges, rows);
        } else {
            found.check_seqs = true;
            for range in pages.with_seqs(&rows, seqs) {
                push(&mut found.ranges, range);
            }
        }
    }
    found
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

pub(crate) fn overlap<T: PartialOrd>(a: &RangeInclusive<T>, b: &RangeInclusive<T>) -> bool {
    a.start() <= b.end() && b.start() <= a.end() && a.start() <= a.end()
}

pub(crate) fn within<T: PartialOrd>(inner: &RangeInclusive<T>, outer: &RangeInclusive<T>) -> bool {
    outer.start() <= inner.start() && inner.end() <= outer.end()
}

/// Appends a range, joined to the last one where it continues it.
pub(crate) fn push(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ if range.start < range.end => ranges.push(range),
        _ => {}
    }
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
