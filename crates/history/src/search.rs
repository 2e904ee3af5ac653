//! Finding rows of a series by time and sequence number: first by the page index, then in the one or two pages that it
//! leaves, of which only the column asked about is decoded.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow::array::{ArrowPrimitiveType, AsArray};
use arrow::datatypes::{TimestampNanosecondType, UInt64Type};
use tapebook_record::projection::RowBlock;

use crate::batches::HistoryBatches;
use crate::directory::SeriesSpan;
use crate::error::{HistoryError, Part, structure};
use crate::file::HistoryFile;
use crate::pages::within_rows;
use crate::prune::{overlap, within};
use crate::series_rows::SeriesRows;

/// Values that are decoded at a time.
const BATCH_ROWS: usize = 8192;
/// Rows of the first piece from the end: whoever wants the last row seldom wants many.
const FIRST_PIECE_ROWS: u64 = 256;

pub(crate) fn get(
    file: &HistoryFile,
    symbol: &str,
    ts: i64,
    seq: u64,
) -> Result<Option<(Arc<RowBlock>, usize)>, HistoryError> {
    let Some(span) = file.series(symbol).filter(|span| (span.seq_min..=span.seq_max).contains(&seq)) else {
        return Ok(None);
    };
    let rows = rows_with_times(file, span, &(ts..=ts))?;
    for range in file.pages.with_seqs(&rows, &(seq..=seq)) {
        if let Some(at) = seqs(file, range.clone())?.iter().position(|found| *found == seq) {
            return row_at(file, span, range.start + at as u64);
        }
    }
    Ok(None)
}

pub(crate) fn last(
    file: &HistoryFile,
    symbol: &str,
    at: i64,
    mut shown: impl FnMut(u64) -> bool,
) -> Result<Option<(Arc<RowBlock>, usize)>, HistoryError> {
    let Some(span) = file.series(symbol).filter(|span| span.ts_first <= at) else {
        return Ok(None);
    };
    let mut pieces = PiecesBack::new(rows_with_times(file, span, &(i64::MIN..=at))?);
    while let Some(piece) = pieces.next(file) {
        if let Some(at) = seqs(file, piece.clone())?.iter().rposition(|seq| shown(*seq)) {
            return row_at(file, span, piece.start + at as u64);
        }
        pieces.left.end = piece.start;
    }
    Ok(None)
}

fn row_at(
    file: &HistoryFile,
    span: &SeriesSpan,
    row: u64,
) -> Result<Option<(Arc<RowBlock>, usize)>, HistoryError> {
    Ok(SeriesRows::new(file, row..row + 1)?.next(file, span)?.map(|block| (block, 0)))
}

/// Exactly those rows of a series whose times are in the range.
pub(crate) fn rows_with_times(
    file: &HistoryFile,
    span: &SeriesSpan,
    times: &RangeInclusive<i64>,
) -> Result<Range<u64>, HistoryError> {
    let span_times = span.ts_first..=span.ts_last;
    if !overlap(times, &span_times) {
        return Ok(span.first_row..span.first_row);
    }
    if within(&span_times, times) {
        return Ok(span.row_range());
    }
    let mut rows = file.pages.with_times(span, times);
    let first_of = |page: &Range<u64>, values: &[i64]| {
        page.start + values.partition_point(|ts| ts < times.start()) as u64
    };
    let end_of = |page: &Range<u64>, values: &[i64]| {
        page.start + values.partition_point(|ts| ts <= times.end()) as u64
    };
    // In the outermost page there may be none: one that is shared with other series on both sides tells no times.
    while *times.start() > span.ts_first && !rows.is_empty() {
        let page = clipped(file, &rows, rows.start);
        let values = values::<TimestampNanosecondType>(file, 0, page.clone())?;
        rows.start = first_of(&page, &values);
        if page.end == rows.end {
            return Ok(rows.start..end_of(&page, &values).max(rows.start));
        }
        if rows.start < page.end {
            break;
        }
    }
    while *times.end() < span.ts_last && !rows.is_empty() {
        let page = clipped(file, &rows, rows.end - 1);
        let values = values::<TimestampNanosecondType>(file, 0, page.clone())?;
        rows.end = end_of(&page, &values);
        if rows.end > page.start {
            break;
        }
    }
    Ok(rows)
}

/// Those of the rows that share a page of times with one of them.
fn clipped(file: &HistoryFile, rows: &Range<u64>, row: u64) -> Range<u64> {
    let page = within_rows(&file.pages.ts, &(row..row + 1)).first();
    page.map_or(row..row + 1, |page| page.rows.start.max(rows.start)..page.rows.end.min(rows.end))
}

fn seqs(file: &HistoryFile, rows: Range<u64>) -> Result<Vec<u64>, HistoryError> {
    values::<UInt64Type>(file, file.schema.columns.len() + 4, rows)
}

/// The values of a column without NULL, by its position in the table's Arrow schema.
fn values<T: ArrowPrimitiveType>(
    file: &HistoryFile,
    position: usize,
    rows: Range<u64>,
) -> Result<Vec<T::Native>, HistoryError> {
    let count = (rows.end - rows.start) as usize;
    let mut values = Vec::new();
    for batch in HistoryBatches::at(file, &[position], vec![rows], BATCH_ROWS)? {
        values.extend_from_slice(batch?.column(0).as_primitive::<T>().values());
    }
    if values.len() != count {
        return Err(structure(&file.path, Part::Directory, "more rows than the pages have"));
    }
    Ok(values)
}

/// Takes pieces off the end of some rows, none longer than a page of times.
#[derive(Debug)]
pub(crate) struct PiecesBack {
    /// What is still wanted. The caller cuts off what it has of the last piece.
    pub(crate) left: Range<u64>,
    longest: u64,
}

impl PiecesBack {
    pub(crate) fn new(rows: Range<u64>) -> Self {
        Self { left: rows, longest: FIRST_PIECE_ROWS }
    }

    pub(crate) fn next(&mut self, file: &HistoryFile) -> Option<Range<u64>> {
        if self.left.is_empty() {
            return None;
        }
        let page = clipped(file, &self.left, self.left.end - 1);
        let start = page.start.max(self.left.end.saturating_sub(self.longest));
        self.longest = u64::MAX;
        Some(start..self.left.end)
    }
}
