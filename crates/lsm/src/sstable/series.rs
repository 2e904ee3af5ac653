//! One series of a table.

use std::fmt;

use tapebook_record::{RawRecord, TableId};

use super::directory::SeriesEntry;
use super::error::TableError;
use super::scan::Scan;
use super::search;
use super::table::Table;
use crate::key::{Direction, TimeRange};

/// The rows of one table and symbol in one file, in the order of `(ts, seq)`. Never empty.
#[derive(Clone, Copy)]
pub struct TableSeries<'a> {
    table: &'a Table,
    entry: SeriesEntry,
    name: &'a str,
    last_block: u32,
    last_block_first_row: u64,
}

impl<'a> TableSeries<'a> {
    pub(super) fn new(table: &'a Table, at: usize) -> Option<Self> {
        let entry = table.series_entry(at)?;
        // Checked when the table was opened.
        let name = std::str::from_utf8(table.names().get(entry.name_range())?).ok()?;
        let last_block = match table.series_entry(at + 1) {
            Some(next) if next.first_entry > 0 => next.first_block,
            Some(next) => next.first_block - 1,
            None => table.block_count() - 1,
        };
        let last_block_first_row = table.block_entry(last_block).first_row;
        Some(Self { table, entry, name, last_block, last_block_first_row })
    }

    /// The symbol's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The table that the rows belong to.
    pub fn table_id(&self) -> TableId {
        self.entry.table
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.entry.rows
    }

    /// The event times of its rows.
    pub fn time_range(&self) -> TimeRange {
        TimeRange { first: self.entry.ts_first, last: self.entry.ts_last }
    }

    /// The lowest and the highest sequence number of its rows.
    pub fn seq_range(&self) -> (u64, u64) {
        (self.entry.seq_min, self.entry.seq_max)
    }

    /// The records whose time is in `range`, in that direction. Touches no block before the first record is asked for.
    pub fn scan(&self, range: TimeRange, direction: Direction) -> Scan<'a> {
        Scan::new(*self, range, direction)
    }

    /// The record with that key.
    pub fn get(&self, ts: i64, seq: u64) -> Result<Option<RawRecord<'a>>, TableError> {
        if !self.time_range().contains(ts) {
            return Ok(None);
        }
        let number = self.last_block_before(ts, seq, true);
        let block = self.table.block(number)?;
        let (from, to) = self.entries_in(number, block.entries.len());
        let at = block.lower_bound(from, to, ts, seq);
        if at == to {
            return Ok(None);
        }
        let record = block.record(at, self.name).ok_or_else(|| self.table.row_outside(number, at))?;
        Ok((record.ts == ts && record.seq == seq).then_some(record))
    }

    /// The last record whose time is not after `ts`.
    pub fn last_at(&self, ts: i64) -> Result<Option<RawRecord<'a>>, TableError> {
        self.scan(TimeRange { first: i64::MIN, last: ts }, Direction::Backward).next().transpose()
    }

    pub(super) fn table(&self) -> &'a Table {
        self.table
    }

    /// The series' last block whose first key is below `(ts, seq)`, or equal to it where `or_equal`; the series' first
    /// block where there is none. Every block but the first begins with a row of this series, so the block index
    /// alone tells.
    pub(super) fn last_block_before(&self, ts: i64, seq: u64, or_equal: bool) -> u32 {
        let range = self.time_range();
        let guess = |blocks| search::interpolate(range.first, range.last, ts, blocks);
        self.table.last_block(self.entry.first_block, self.last_block, guess, |block| {
            let first = (block.first_ts, block.first_seq);
            first < (ts, seq) || or_equal && first == (ts, seq)
        })
    }

    /// Which of the `count` entries of one of its blocks belong to the series.
    pub(super) fn entries_in(&self, block: u32, count: usize) -> (usize, usize) {
        let from = if block == self.entry.first_block { self.entry.first_entry as usize } else { 0 };
        let end = self.entry.first_row + self.entry.rows;
        let to = if block == self.last_block { (end - self.last_block_first_row) as usize } else { count };
        (from, to)
    }
}

impl fmt::Debug for TableSeries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableSeries")
            .field("table", &self.entry.table)
            .field("name", &self.name)
            .field("rows", &self.entry.rows)
            .field("time_range", &self.time_range())
            .finish_non_exhaustive()
    }
}
