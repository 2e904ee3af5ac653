//! Rows of a file as records.

use std::path::Path;
use std::sync::Arc;

use tapebook_record::RawRecord;
use tapebook_record::projection::RowBlock;

use crate::batches::HistoryBatches;
use crate::error::HistoryError;
use crate::file::HistoryFile;
use crate::selection::Selection;
use crate::series_rows::fill;

/// Rows that are decoded at a time.
pub(crate) const BLOCK_ROWS: usize = 1024;

/// A scan over the rows of a file, in file order. Rows are made from columns again, a block at a time; a record borrows
/// from the block until the next one is asked for.
///
/// A row has the layout of the schema that the file was opened with, whichever it had before.
#[derive(Debug)]
pub struct HistoryRows {
    path: Arc<Path>,
    batches: HistoryBatches,
    block: RowBlock,
    at: usize,
}

impl HistoryRows {
    pub(crate) fn new(file: &HistoryFile, selection: &Selection) -> Result<Self, HistoryError> {
        Ok(Self {
            path: Arc::clone(&file.path),
            batches: file.batches(&file.all_columns(), selection, BLOCK_ROWS)?,
            block: RowBlock::new(&file.schema),
            at: 0,
        })
    }

    /// The next record, `None` at the end. After an error it is at its end.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator's items cannot borrow from it")]
    pub fn next(&mut self) -> Result<Option<RawRecord<'_>>, HistoryError> {
        while self.at >= self.block.len() {
            if !self.next_block()? {
                return Ok(None);
            }
        }
        self.at += 1;
        Ok(self.block.get(self.at - 1))
    }

    #[cold]
    fn next_block(&mut self) -> Result<bool, HistoryError> {
        // What was read stays at its end until there is something new, whatever happens here and however often.
        self.at = self.block.len();
        let Some(batch) = self.batches.next().transpose()? else {
            return Ok(false);
        };
        if let Err(error) = fill(&mut self.block, &self.path, &batch) {
            self.batches.end();
            self.at = self.block.len();
            return Err(error);
        }
        self.at = 0;
        Ok(true)
    }
}
