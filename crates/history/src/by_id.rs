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
pub(crate) const SCAN_ROWS: usize = 8192;

pub(crate) fn by_id(
    file: &HistoryFile,
    column: usize,
    id: Id<'_>,
) -> Result<Vec<(Arc<RowBlock>, usize)>, HistoryError> {
    // A row has larger numbers as texts, and as such they are asked for.
    let is_possible = !matches!(id, Id::Number(number) if number >= ID_TEXT_BIT);
    let Some(column) = IdColumn::of(file, column).filter(|_| is_possible) else {
        return Ok(Vec::new());
    };
    // In the file every id is a text; a number is its canonical spelling.
    let text = id.to_string();
    let mut found = Vec::new();
    for candidates in column.candidates(file, &text)? {
        column.find(file, &text, candidates, &mut found)?;
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

/// A column of ids that the file has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdColumn {
    /// The position in the table's Arrow schema.
    pub(crate) position: usize,
    /// The number of the Parquet column.
    pub(crate) leaf: usize,
}

impl IdColumn {
    /// `None` where the column, a position among the table's own, is none of ids or newer than the file.
    pub(crate) fn of(file: &HistoryFile, column: usize) -> Option<Self> {
        let is_id = file.schema.columns.get(column).is_some_and(|column| column.kind == ColumnKind::Id);
        if !is_id || column >= file.own_columns() {
            return None;
        }
        let (schema, position) = (file.metadata.parquet_schema(), column + 2);
        let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == position)?;
        Some(Self { position, leaf })
    }

    /// The rows of each page of a row group, from 0.
    pub(crate) fn pages(&self, file: &HistoryFile, group: usize) -> Option<Vec<Range<u64>>> {
        page_rows(file.metadata.metadata(), group, self.leaf)
    }

    /// True where the id does not lie between a page's least and greatest value. Those of long texts are cut, the greatest
    /// upwards, and bound all the same.
    pub(crate) fn excludes(&self, file: &HistoryFile, group: usize, page: usize, id: &str) -> bool {
        let index = file.metadata.metadata().column_index();
        let statistics = index.and_then(|index| index.get(group)?.get(self.leaf));
        let Some(ColumnIndexMetaData::BYTE_ARRAY(statistics)) = statistics else {
            return false;
        };
        let id = id.as_bytes();
        (page as u64) < statistics.num_pages()
            && (statistics.is_null_page(page)
                || statistics.min_value(page).is_some_and(|min| id < min)
                || statistics.max_value(page).is_some_and(|max| id > max))
    }

    /// For each row group that may have the id, those of its rows that may.
    fn candidates(&self, file: &HistoryFile, id: &str) -> Result<Vec<Vec<Range<u64>>>, HistoryError> {
        let source = file.source.for_scan();
        let mut candidates = Vec::new();
        for (group, rows) in file.row_groups().into_iter().enumerate() {
            let mut ranges = Vec::new();
            match self.pages(file, group) {
                None => ranges.push(rows),
                Some(pages) => {
                    for (page, here) in pages.into_iter().enumerate() {
                        if !self.excludes(file, group, page, id) {
                            push(&mut ranges, rows.start + here.start..rows.start + here.end);
                        }
                    }
                }
            }
            if ranges.is_empty() {
                continue;
            }
            let chunk = file.metadata.metadata().row_group(group).column(self.leaf);
            let may_contain =
                decoding(&file.path, Part::Filters, || id_filter::may_contain(chunk, &source, id))
                    .map_err(|error| source.take_failure().unwrap_or(error))?;
            if may_contain {
                candidates.push(ranges);
            }
        }
        Ok(candidates)
    }

    /// Appends the places of the rows that have the id.
    fn find(
        &self,
        file: &HistoryFile,
        id: &str,
        candidates: Vec<Range<u64>>,
        found: &mut Vec<Range<u64>>,
    ) -> Result<(), HistoryError> {
        let mut places = candidates.clone().into_iter().flatten();
        for batch in HistoryBatches::at(file, &[self.position], candidates, SCAN_ROWS)? {
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
}
