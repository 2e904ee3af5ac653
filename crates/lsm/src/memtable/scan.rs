//! Going through a series in order, over all its runs.

use std::iter::FusedIterator;
use std::sync::Arc;

use tapebook_record::RawRecord;

use super::append_vec::{AppendVec, Prefix};
use super::held_batch::{Entry, HeldBatch};
use super::late::SealedRun;
use super::series::record;
use crate::key::{Direction, TimeRange};

/// The rows of a series in order of `(ts, seq)`, or backwards.
///
/// A merge that stays with one run for as long as no other has an earlier row: a series without late rows is read
/// straight through.
pub struct MemScan<'a> {
    batches: &'a AppendVec<HeldBatch>,
    symbol: &'a str,
    visible_seq: u64,
    direction: Direction,
    current: Cursor<'a>,
    /// The first key of all others: up to here `current` is next.
    bound: Option<(i64, u64)>,
    others: Vec<Cursor<'a>>,
}

impl<'a> MemScan<'a> {
    pub(super) fn new(
        batches: &'a AppendVec<HeldBatch>,
        symbol: &'a str,
        visible_seq: u64,
        direction: Direction,
        first: Cursor<'a>,
        mut others: Vec<Cursor<'a>>,
    ) -> Self {
        for cursor in &mut others {
            cursor.skip_invisible(direction, visible_seq);
        }
        others.retain(|cursor| cursor.head(direction).is_some());
        let mut scan = Self { batches, symbol, visible_seq, direction, current: first, bound: None, others };
        scan.choose();
        scan
    }

    fn is_before(&self, key: (i64, u64), other: (i64, u64)) -> bool {
        match self.direction {
            Direction::Forward => key < other,
            Direction::Backward => key > other,
        }
    }

    /// Makes the cursor with the next row the current one.
    fn choose(&mut self) {
        if self.others.is_empty() {
            self.bound = None;
            return;
        }
        let (mut first, mut second) = (None, None);
        for (at, cursor) in self.others.iter().enumerate() {
            let Some(key) = cursor.head(self.direction).map(|entry| entry.key()) else { continue };
            if first.is_none_or(|(other, _)| self.is_before(key, other)) {
                second = first;
                first = Some((key, at));
            } else if second.is_none_or(|(other, _)| self.is_before(key, other)) {
                second = Some((key, at));
            }
        }
        let Some((key, at)) = first else { return };
        let current = self.current.head(self.direction).map(|entry| entry.key());
        match current {
            Some(current) if self.is_before(current, key) => self.bound = Some(key),
            Some(current) => {
                std::mem::swap(&mut self.current, &mut self.others[at]);
                let second = second.map(|(key, _)| key).filter(|second| self.is_before(*second, current));
                self.bound = Some(second.unwrap_or(current));
            }
            None => {
                self.current = self.others.swap_remove(at);
                self.bound = second.map(|(key, _)| key);
            }
        }
    }
}

impl<'a> Iterator for MemScan<'a> {
    type Item = RawRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawRecord<'a>> {
        let entry = self.current.head(self.direction)?;
        self.current.advance(self.direction, self.visible_seq);
        if let Some(bound) = self.bound {
            let next = self.current.head(self.direction).map(|entry| entry.key());
            if next.is_none_or(|next| !self.is_before(next, bound)) {
                self.choose();
            }
        }
        Some(record(self.batches, &entry, self.symbol))
    }
}

impl FusedIterator for MemScan<'_> {}

impl std::fmt::Debug for MemScan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemScan")
            .field("symbol", &self.symbol)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

/// What is left to read of one run.
pub(super) struct Cursor<'a> {
    entries: Entries<'a>,
    start: usize,
    end: usize,
}

enum Entries<'a> {
    /// Cut at what is visible already.
    Run(Prefix<'a, Entry>),
    /// May have rows that are not visible.
    Sealed(Arc<SealedRun>),
    /// A sorted copy of the visible part of a tail.
    Tail(Box<[Entry]>),
}

impl<'a> Cursor<'a> {
    pub(super) fn of_run(run: Prefix<'a, Entry>, range: TimeRange) -> Self {
        let end = run.partition_point(|entry| entry.ts <= range.last);
        let start =
            if range.first == i64::MIN { 0 } else { run.partition_point(|entry| entry.ts < range.first) };
        Self { entries: Entries::Run(run), start, end }
    }

    pub(super) fn of_sealed(run: Arc<SealedRun>, range: TimeRange) -> Self {
        let end = run.entries.partition_point(|entry| entry.ts <= range.last);
        let start = run.entries.partition_point(|entry| entry.ts < range.first);
        Self { entries: Entries::Sealed(run), start, end }
    }

    pub(super) fn of_tail(tail: Prefix<'_, Entry>, range: TimeRange) -> Self {
        let mut entries: Box<[Entry]> =
            tail.iter().filter(|entry| range.contains(entry.ts)).copied().collect();
        entries.sort_unstable_by_key(Entry::key);
        let end = entries.len();
        Self { entries: Entries::Tail(entries), start: 0, end }
    }

    #[inline]
    fn head(&self, direction: Direction) -> Option<Entry> {
        if self.start >= self.end {
            return None;
        }
        let at = match direction {
            Direction::Forward => self.start,
            Direction::Backward => self.end - 1,
        };
        match &self.entries {
            Entries::Run(run) => run.get(at).copied(),
            Entries::Sealed(run) => run.entries.get(at).copied(),
            Entries::Tail(entries) => entries.get(at).copied(),
        }
    }

    #[inline]
    fn step(&mut self, direction: Direction) {
        match direction {
            Direction::Forward => self.start += 1,
            Direction::Backward => self.end -= 1,
        }
    }

    #[inline]
    fn advance(&mut self, direction: Direction, visible_seq: u64) {
        self.step(direction);
        self.skip_invisible(direction, visible_seq);
    }

    #[inline]
    fn skip_invisible(&mut self, direction: Direction, visible_seq: u64) {
        if let Entries::Sealed(run) = &self.entries
            && run.last_seq > visible_seq
        {
            while self.head(direction).is_some_and(|entry| entry.seq > visible_seq) {
                self.step(direction);
            }
        }
    }
}
