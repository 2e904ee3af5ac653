//! One series as a reader sees it: look-ups by key and time, and the scan.

use std::sync::Arc;

use tapebook_record::RawRecord;

use super::append_vec::{AppendVec, Prefix};
use super::held_batch::{Entry, HeldBatch};
use super::late::{LATE_RUNS, SealedRun, Unsettled};
use super::scan::{Cursor, MemScan};
use super::series_index::SeriesIndex;
use crate::key::{Direction, Series, TimeRange};

/// The rows of one series up to a sequence number. It does not change while rows are inserted.
///
/// *Invariant*: there is at least one row.
#[derive(Clone)]
pub struct MemSeries<'a> {
    batches: &'a AppendVec<HeldBatch>,
    series: Series,
    symbol: &'a str,
    visible_seq: u64,
    in_order: Prefix<'a, Entry>,
    late: Option<Late<'a>>,
}

#[derive(Clone)]
struct Late<'a> {
    runs: [Prefix<'a, Entry>; LATE_RUNS],
    unsettled: Arc<Unsettled>,
}

impl<'a> MemSeries<'a> {
    #[inline]
    pub(super) fn new(
        batches: &'a AppendVec<HeldBatch>,
        index: &'a SeriesIndex,
        series: Series,
        symbol: &'a str,
        visible_seq: u64,
    ) -> Self {
        let cut = |run: Prefix<'a, Entry>| run.cut(|entry| entry.seq <= visible_seq);
        let in_order = cut(index.in_order.prefix());
        let late = index.late().map(|late| Late { runs: late.runs().map(cut), unsettled: late.unsettled() });
        Self { batches, series, symbol, visible_seq, in_order, late }
    }

    /// Which series it is.
    pub fn series(&self) -> Series {
        self.series
    }

    /// The symbol's name.
    pub fn symbol(&self) -> &'a str {
        self.symbol
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        let runs: usize = self.runs().map(|run| run.len()).sum();
        let sealed: usize = self.sealed().map(|run| self.visible(run).count()).sum();
        runs + sealed + self.tail().map_or(0, |tail| tail.len())
    }

    /// Always false: a series without rows is not there.
    pub fn is_empty(&self) -> bool {
        self.in_order.len() == 0
    }

    /// The event times of the first and the last row.
    pub fn time_range(&self) -> TimeRange {
        let mut range = TimeRange::EMPTY;
        for run in self.runs() {
            for entry in run.get(0).into_iter().chain(run.last()) {
                range = range.including(entry.ts);
            }
        }
        for run in self.sealed() {
            let (first, last) = (self.visible(run).next(), self.visible(run).next_back());
            for entry in first.into_iter().chain(last) {
                range = range.including(entry.ts);
            }
        }
        self.tail().into_iter().flat_map(Prefix::iter).fold(range, |range, entry| range.including(entry.ts))
    }

    /// The rows with a time in `range`, in order of `(ts, seq)` or backwards.
    pub fn scan(&self, range: TimeRange, direction: Direction) -> MemScan<'a> {
        let mut cursors: Vec<Cursor<'a>> = Vec::new();
        let first = Cursor::of_run(self.in_order, range);
        if let Some(late) = &self.late {
            cursors.extend(late.runs.into_iter().map(|run| Cursor::of_run(run, range)));
            let visible = late.unsettled.sealed.iter().filter(|run| run.first_seq <= self.visible_seq);
            cursors.extend(visible.map(|run| Cursor::of_sealed(Arc::clone(run), range)));
            cursors.extend(self.tail().map(|tail| Cursor::of_tail(tail, range)));
        }
        MemScan::new(self.batches, self.symbol, self.visible_seq, direction, first, cursors)
    }

    /// The row with this time and sequence number.
    pub fn get(&self, ts: i64, seq: u64) -> Option<RawRecord<'a>> {
        if seq > self.visible_seq {
            return None;
        }
        let in_run = |run: Prefix<'_, Entry>| {
            let at = run.partition_point(|entry| entry.seq < seq);
            run.get(at).filter(|entry| entry.key() == (ts, seq)).copied()
        };
        let in_sealed = |run: &SealedRun| {
            let at = run.entries.binary_search_by_key(&(ts, seq), Entry::key).ok()?;
            Some(run.entries[at])
        };
        let found = self.runs().find_map(in_run);
        let found = found.or_else(|| self.sealed().find_map(in_sealed));
        let found = found.or_else(|| self.tail().and_then(in_run));
        found.map(|entry| self.record(&entry))
    }

    /// The last row with a time not after `ts`: the one with the greatest `(ts, seq)`.
    pub fn last_at(&self, ts: i64) -> Option<RawRecord<'a>> {
        let in_run = |run: Prefix<'a, Entry>| {
            let end = run.partition_point(|entry| entry.ts <= ts);
            run.get(end.checked_sub(1)?)
        };
        let mut last = self.runs().filter_map(in_run).copied().max_by_key(Entry::key);
        for run in self.sealed() {
            last = last.into_iter().chain(self.visible_until(run, ts)).max_by_key(Entry::key);
        }
        if let Some(tail) = self.tail() {
            let candidates = tail.iter().filter(|entry| entry.ts <= ts).copied();
            last = last.into_iter().chain(candidates).max_by_key(Entry::key);
        }
        last.map(|entry| self.record(&entry))
    }

    #[inline]
    fn record(&self, entry: &Entry) -> RawRecord<'a> {
        record(self.batches, entry, self.symbol)
    }

    /// The runs in which time and sequence grow together.
    fn runs(&self) -> impl Iterator<Item = Prefix<'a, Entry>> {
        std::iter::once(self.in_order).chain(self.late.iter().flat_map(|late| late.runs))
    }

    fn sealed(&self) -> impl Iterator<Item = &SealedRun> {
        let sealed = self.late.iter().flat_map(|late| &late.unsettled.sealed);
        sealed.filter(|run| run.first_seq <= self.visible_seq).map(|run| &**run)
    }

    fn visible<'r>(&self, run: &'r SealedRun) -> impl DoubleEndedIterator<Item = &'r Entry> {
        let visible_seq = self.visible_seq;
        run.entries.iter().filter(move |entry| entry.seq <= visible_seq)
    }

    fn visible_until(&self, run: &SealedRun, ts: i64) -> Option<Entry> {
        let end = run.entries.partition_point(|entry| entry.ts <= ts);
        run.entries[..end].iter().rfind(|entry| entry.seq <= self.visible_seq).copied()
    }

    fn tail(&self) -> Option<Prefix<'_, Entry>> {
        let late = self.late.as_ref()?;
        Some(late.unsettled.tail().cut(|entry| entry.seq <= self.visible_seq))
    }
}

/// Reads the row that an entry points at.
#[inline]
pub(super) fn record<'a>(batches: &'a AppendVec<HeldBatch>, entry: &Entry, symbol: &'a str) -> RawRecord<'a> {
    let batch = batches.get(entry.batch as usize).expect("a batch is there before its rows can be found");
    batch.record(entry.row, symbol)
}
