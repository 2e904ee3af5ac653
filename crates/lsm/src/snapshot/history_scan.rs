//! One series across history files.

use std::sync::Arc;

use tapebook_history::{HistoryBlocks, HistoryError, HistoryFile};
use tapebook_record::ReadRecord;
use tapebook_record::projection::RowBlock;

use crate::key::{Direction, TimeRange};

/// The rows of one series in files that lie one behind the other, of which one is open at a time.
pub(crate) struct HistoryScan {
    symbol: String,
    range: TimeRange,
    direction: Direction,
    /// Files that are still to be read; the next one is the last.
    files: Vec<Arc<HistoryFile>>,
    blocks: Option<HistoryBlocks>,
    block: Option<Arc<RowBlock>>,
    /// Rows of the block that were given out.
    given: usize,
}

impl HistoryScan {
    /// `files` go in the direction of the scan.
    pub(crate) fn new(
        symbol: &str,
        range: TimeRange,
        direction: Direction,
        mut files: Vec<Arc<HistoryFile>>,
    ) -> Self {
        files.reverse();
        let symbol = symbol.to_owned();
        Self { symbol, range, direction, files, blocks: None, block: None, given: 0 }
    }

    /// The next record, `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<ReadRecord<'static>>, Box<HistoryError>> {
        loop {
            if let Some(block) = &self.block
                && self.given < block.len()
            {
                let at = match self.direction {
                    Direction::Forward => self.given,
                    Direction::Backward => block.len() - 1 - self.given,
                };
                self.given += 1;
                return Ok(ReadRecord::decoded(block, at));
            }
            if !self.next_block()? {
                return Ok(None);
            }
        }
    }

    #[cold]
    fn next_block(&mut self) -> Result<bool, Box<HistoryError>> {
        self.given = 0;
        loop {
            if let Some(blocks) = &mut self.blocks {
                self.block = blocks.next()?;
                if self.block.is_some() {
                    return Ok(true);
                }
                self.blocks = None;
            }
            let Some(file) = self.files.pop() else { return Ok(false) };
            let times = self.range.first..=self.range.last;
            self.blocks = Some(match self.direction {
                Direction::Forward => file.blocks(&self.symbol, times),
                Direction::Backward => file.blocks_backward(&self.symbol, times),
            });
        }
    }
}
