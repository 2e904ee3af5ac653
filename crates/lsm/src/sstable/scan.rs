//! Goes through the rows of a series.

use tapebook_record::RawRecord;

use super::block::Block;
use super::entry::{self, EntryBytes};
use super::error::TableError;
use super::series::TableSeries;
use crate::key::{Direction, TimeRange};

/// The records of a series whose time is in a range, read in place. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    /// What is left of the current block.
    entries: &'a [EntryBytes],
    block_bytes: &'a [u8],
    symbol: &'a str,
    layout: u16,
    backward: bool,
    series: TableSeries<'a>,
    range: TimeRange,
    block: u32,
    /// The blocks that are still to come, both ends included; none where the first is above the last.
    next_block: u32,
    last_block: u32,
    done: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(series: TableSeries<'a>, range: TimeRange, direction: Direction) -> Self {
        let first = series.last_block_before(range.first, 0, false);
        let last = series.last_block_before(range.last, u64::MAX, true);
        Self {
            entries: &[],
            block_bytes: &[],
            symbol: series.name(),
            layout: 0,
            backward: direction == Direction::Backward,
            series,
            range,
            block: 0,
            next_block: first,
            last_block: last,
            done: !series.time_range().overlaps(range) || range.is_empty(),
        }
    }

    /// Appends up to `max` records to `out` and says how many; 0 at the end.
    pub fn next_run(&mut self, out: &mut Vec<RawRecord<'a>>, max: usize) -> Result<usize, TableError> {
        let before = out.len();
        for record in self.by_ref().take(max) {
            out.push(record?);
        }
        Ok(out.len() - before)
    }

    /// The next record of the block that the scan is in. `None` at its end, and where the record is damaged: then
    /// [`Iterator::next`] says how it goes on.
    #[inline(always)]
    pub(crate) fn next_in_block(&mut self) -> Option<RawRecord<'a>> {
        let (entry, rest) =
            if self.backward { self.entries.split_last() } else { self.entries.split_first() }?;
        let record = entry::record(entry, self.block_bytes, self.layout, self.symbol)?;
        self.entries = rest;
        Some(record)
    }

    /// Goes to the next block that has records of the scan; false at the end. What is left of the current block is damaged.
    #[cold]
    pub(crate) fn advance(&mut self) -> Result<bool, TableError> {
        if let Some(entry) = if self.backward { self.entries.last() } else { self.entries.first() } {
            return Err(self.row_outside(entry));
        }
        while !self.done {
            let number = if self.backward { self.last_block } else { self.next_block };
            if self.next_block >= self.last_block {
                self.done = true;
            } else if self.backward {
                self.last_block -= 1;
            } else {
                self.next_block += 1;
            }
            let block = match self.series.table().block(number) {
                Ok(block) => block,
                Err(error) => {
                    self.done = true;
                    return Err(error);
                }
            };
            self.enter(&block);
            if !self.entries.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn enter(&mut self, block: &Block<'a>) {
        let (from, to) = self.series.entries_in(block.number, block.entries.len());
        let range = self.range;
        let outside = |at: usize| block.entries.get(at).is_none_or(|entry| !range.contains(entry::ts(entry)));
        let start = if outside(from) { block.lower_bound(from, to, range.first, 0) } else { from };
        let end = match range.last.checked_add(1) {
            Some(after) if outside(to.wrapping_sub(1)) => block.lower_bound(start, to, after, 0),
            _ => to,
        };
        self.entries = block.entries.get(start..end).unwrap_or_default();
        self.block_bytes = block.bytes;
        self.layout = block.layout;
        self.block = block.number;
    }

    fn row_outside(&mut self, entry: &EntryBytes) -> TableError {
        self.entries = &[];
        self.done = true;
        let table = self.series.table();
        match table.block(self.block) {
            Ok(block) => {
                let at = block.entries.iter().position(|other| other == entry).unwrap_or(0);
                table.row_outside(self.block, at)
            }
            Err(error) => error,
        }
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<RawRecord<'a>, TableError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.next_in_block() {
                return Some(Ok(record));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl std::iter::FusedIterator for Scan<'_> {}
