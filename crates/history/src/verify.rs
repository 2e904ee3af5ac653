//! The full check of a file: every byte against its checksum, every row against what the file says of itself.

use std::ops::Range;

use arrow::array::{Array, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{TimestampNanosecondType, UInt64Type};

use crate::batches::HistoryBatches;
use crate::by_id::{IdColumn, SCAN_ROWS};
use crate::decoder::decoding;
use crate::error::{HistoryError, Part, structure};
use crate::file::HistoryFile;
use crate::id_filter;
use crate::pages::Page;
use crate::range::{NO_SEQS, hull};
use crate::selection::Selection;

pub(crate) fn verify(file: &HistoryFile) -> Result<(), HistoryError> {
    file.scrub(|_| true)?;
    check_series(file)?;
    // A page index or a filter that excludes a row that is there would hide it from whoever looks for it.
    if file.rows() > 0 {
        let may_have = |page: &Page, ts: i64| page.may_have_time(ts);
        check_pages::<TimestampNanosecondType>(file, 0, &file.pages.ts, may_have)?;
        let may_have = |page: &Page, seq: u64| page.may_have_seq(seq);
        check_pages::<UInt64Type>(file, file.schema.columns.len() + 4, &file.pages.seq, may_have)?;
        for (column, _) in file.schema.id_columns() {
            let Some(column) = IdColumn::of(file, column) else { continue };
            for (group, rows) in file.row_groups().into_iter().enumerate() {
                check_ids(file, &column, group, rows)?;
            }
        }
    }
    Ok(())
}

fn check_series(file: &HistoryFile) -> Result<(), HistoryError> {
    let mut rows = file.rows_of(&Selection::default())?;
    for span in file.series.iter() {
        let fail = |reason| Err(structure(&file.path, Part::Directory, reason));
        let (mut last, mut seqs) = (None, NO_SEQS);
        for _ in 0..span.rows {
            let Some(row) = rows.next()? else {
                return fail("more rows than the pages have");
            };
            if row.symbol != span.symbol || last.is_some_and(|last| last >= (row.ts, row.seq)) {
                return fail("rows of another series, or out of order");
            }
            if last.is_none() && row.ts != span.ts_first {
                return fail("a first time that is not that of its first row");
            }
            last = Some((row.ts, row.seq));
            seqs = hull(&seqs, &(row.seq..=row.seq));
        }
        if last.map(|(ts, _)| ts) != Some(span.ts_last) || seqs != (span.seq_min..=span.seq_max) {
            return fail("ranges that are not those of its rows");
        }
    }
    if rows.next()?.is_some() {
        return Err(structure(&file.path, Part::Directory, "fewer rows than the pages have"));
    }
    Ok(())
}

/// Compares the values of a column with what the index says of their pages.
fn check_pages<T: ArrowPrimitiveType>(
    file: &HistoryFile,
    position: usize,
    pages: &[Page],
    may_have: impl Fn(&Page, T::Native) -> bool,
) -> Result<(), HistoryError> {
    let mut page_of_row = pages.iter().flat_map(|page| page.rows.clone().map(move |_| page));
    let all = 0..file.rows();
    for batch in HistoryBatches::at(file, &[position], vec![all], SCAN_ROWS)? {
        let batch = batch?;
        for (value, page) in batch.column(0).as_primitive::<T>().values().iter().zip(&mut page_of_row) {
            if !may_have(page, *value) {
                return Err(excluded(file, Part::Footer));
            }
        }
    }
    Ok(())
}

/// Compares the ids of a row group with its filter and with what the index says of their pages.
fn check_ids(
    file: &HistoryFile,
    column: &IdColumn,
    group: usize,
    rows: Range<u64>,
) -> Result<(), HistoryError> {
    let source = file.source.for_scan();
    let chunk = file.metadata.metadata().row_group(group).column(column.leaf);
    let filter = decoding(&file.path, Part::Filters, || id_filter::whole(chunk, &source))
        .map_err(|error| source.take_failure().unwrap_or(error))?;
    // A row of which the index does not tell the page is not excluded by it.
    let pages = column.pages(file, group).unwrap_or_default();
    let mut page_of_row = pages.into_iter().enumerate().flat_map(|(page, rows)| rows.map(move |_| page));
    for batch in HistoryBatches::at(file, &[column.position], vec![rows], SCAN_ROWS)? {
        let batch = batch?;
        let ids = batch.column(0).as_string_view();
        for at in 0..ids.len() {
            let page = page_of_row.next();
            if ids.is_null(at) {
                continue;
            }
            if page.is_some_and(|page| column.excludes(file, group, page, ids.value(at))) {
                return Err(excluded(file, Part::Footer));
            }
            if filter.as_ref().is_some_and(|filter| !filter.check(ids.value(at))) {
                return Err(excluded(file, Part::Filters));
            }
        }
    }
    Ok(())
}

#[cold]
fn excluded(file: &HistoryFile, part: Part) -> HistoryError {
    structure(&file.path, part, "a row that is there is excluded")
}
