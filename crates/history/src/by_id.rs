//! Finding rows by an id: row groups whose page index and Bloom filter exclude it are not read, of the others first the
//! id's column, then the rows that have it.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use tapebook_record::projection::RowBlock;
use tapebook_record::slot::ID_TEXT_BIT;
use tapebook_record::{ColumnKind, Id};

use crate::batches::HistoryBatches;
use crate::decoder::decoding;
use crate::error::{HistoryError, Part};
use crate::file::HistoryFile;
use crate::id_filter;
use crate::pages::page_rows;
use crate::prune::push;
use crate::rows::BLOCK_ROWS;
use crate::series_rows::block_of;

/// Ids that are decoded at a time.
const BATCH_ROWS: usize = 8192;

pub(crate) fn by_id(
    file: &HistoryFile,
    column: usize,
    id: Id<'_>,
) -> Result<Vec<(Arc<RowBlock>, usize)>, HistoryError> {
    let is_id = file.schema.columns.get(column).is_some_and(|column| column.kind == ColumnKind::Id);
    // A row has larger numbers as texts, and as such they are asked for.
    let is_possible = !matches!(id, Id::Number(number) if number >= ID_TEXT_BIT);
    if !is_id || !is_possible || column >= file.own_columns() {
        return Ok(Vec::new());
    }
    // In the file every id is a text; a number is its canonical spelling.
    let text = id.to_string();
    let mut found = Vec::new();
    for candidates in candidates(file, column + 2, &text)? {
        found_among(file, column + 2, &text, candidates, &mut found)?;
    }
    let mut rows = Vec::new();
    if !found.is_empty() {
        for batch in HistoryBatches::at(file, &file.all_columns(), found, BLOCK_ROWS)? {
            let block = block_of(file, &batch?)?;
            rows.extend((0..block.len()).map(|at| (Arc::clone(&block), at)));
        }
    }
    Ok(rows)
}

/// For each row group that may have the id, those of its rows that may.
fn candidates(file: &HistoryFile, position: usize, id: &str) -> Result<Vec<Vec<Range<u64>>>, HistoryError> {
    let schema = file.metadata.parquet_schema();
    let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == position);
    let Some(leaf) = leaf else { return Ok(Vec::new()) };
    let source = file.source.for_scan();
    let mut candidates = Vec::new();
    for (group, rows) in file.row_groups().into_iter().enumerate() {
        let pages = pages_with(file, group, leaf, rows, id.as_bytes());
        if pages.is_empty() {
            continue;
        }
        let chunk = file.metadata.metadata().row_group(group).column(leaf);
        let may_contain = decoding(&file.path, Part::Filters, || id_filter::may_contain(chunk, &source, id))
            .map_err(|error| source.take_failure().unwrap_or(error))?;
        if may_contain {
            candidates.push(pages);
        }
    }
    Ok(candidates)
}

/// The rows of a row group in pages between whose least and greatest value the id lies. Those of long texts are cut, the
/// greatest upwards, and bound all the same.
fn pages_with(file: &HistoryFile, group: usize, leaf: usize, rows: Range<u64>, id: &[u8]) -> Vec<Range<u64>> {
    let metadata = file.metadata.metadata();
    let statistics = metadata.column_index().and_then(|index| index.get(group)?.get(leaf));
    let pages = page_rows(metadata, group, leaf);
    let (Some(ColumnIndexMetaData::BYTE_ARRAY(statistics)), Some(pages)) = (statistics, pages) else {
        return vec![rows];
    };
    let mut ranges = Vec::new();
    for (at, page) in pages.into_iter().enumerate() {
        let known = (at as u64) < statistics.num_pages();
        let excluded = known
            && (statistics.is_null_page(at)
                || statistics.min_value(at).is_some_and(|min| id < min)
                || statistics.max_value(at).is_some_and(|max| id > max));
        if !excluded {
            push(&mut ranges, rows.start + page.start..rows.start + page.end);
        }
    }
    ranges
}

/// Appends the places of the rows that have the id.
fn found_among(
    file: &HistoryFile,
    position: usize,
    id: &str,
    candidates: Vec<Range<u64>>,
    found: &mut Vec<Range<u64>>,
) -> Result<(), HistoryError> {
    let mut places = candidates.clone().into_iter().flatten();
    for batch in HistoryBatches::at(file, &[position], candidates, BATCH_ROWS)? {
        let batch = batch?;
        let ids = batch.column(0).as_string_view();
        for (at, place) in (0..ids.len()).zip(&mut places) {
            if ids.is_valid(at) && ids.value(at) == id {
                push(found, place..place + 1);
            }
        }
    }
    Ok(())
}
