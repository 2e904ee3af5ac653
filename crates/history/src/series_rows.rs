//! Rows at known places, as blocks.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use tapebook_record::projection::RowBlock;

use crate::batches::HistoryBatches;
use crate::directory::SeriesSpan;
use crate::error::{HistoryError, Part, structure};
use crate::file::HistoryFile;
use crate::rows::BLOCK_ROWS;

/// The most bytes of texts in one block: four times what rows of the greatest length have.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// Consecutive rows of one series, a block at a time. What the pages have there must be as many rows as the directory says,
/// and of that series.
#[derive(Debug)]
pub(crate) struct SeriesRows {
    batches: HistoryBatches,
    left: u64,
}

impl SeriesRows {
    pub(crate) fn new(file: &HistoryFile, rows: Range<u64>) -> Result<Self, HistoryError> {
        let left = rows.end - rows.start;
        Ok(Self { batches: HistoryBatches::at(file, &file.all_columns(), vec![rows], BLOCK_ROWS)?, left })
    }

    pub(crate) fn next(
        &mut self,
        file: &HistoryFile,
        span: &SeriesSpan,
    ) -> Result<Option<Arc<RowBlock>>, HistoryError> {
        let fail = |reason| Err(structure(&file.path, Part::Directory, reason));
        let Some(batch) = self.batches.next().transpose()? else {
            return if self.left == 0 { Ok(None) } else { fail("more rows than the pages have") };
        };
        let block = block_of(file, &batch)?;
        let ends = [block.get(0), block.get(block.len() - 1)];
        if ends.iter().flatten().any(|row| row.symbol != span.symbol) {
            return fail("rows of another series");
        }
        let Some(left) = self.left.checked_sub(block.len() as u64) else {
            return fail("fewer rows than the pages have");
        };
        self.left = left;
        Ok(Some(block))
    }
}

/// The rows of a batch with all columns.
pub(crate) fn block_of(file: &HistoryFile, batch: &RecordBatch) -> Result<Arc<RowBlock>, HistoryError> {
    let mut block = RowBlock::new(&file.schema);
    fill(&mut block, &file.path, batch)?;
    Ok(Arc::new(block))
}

/// Replaces the rows of a block by those of a batch with all columns.
pub(crate) fn fill(block: &mut RowBlock, path: &Path, batch: &RecordBatch) -> Result<(), HistoryError> {
    // In a dictionary a long text stands once, in rows as often as it is used.
    let texts = batch.columns().iter().filter_map(|column| column.as_string_view_opt());
    let text_bytes: u64 = texts.flat_map(|texts| texts.lengths()).map(u64::from).sum();
    if text_bytes > TEXT_BYTES_MAX {
        let reason = format!("{} rows with {text_bytes} bytes of texts", batch.num_rows());
        return Err(structure(path, Part::Pages, reason));
    }
    block.fill(batch).map_err(|error| structure(path, Part::Pages, error))
}
