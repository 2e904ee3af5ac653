//! Rows that came too late for their series' run: up to three more runs, and what those cannot take either.
//!
//! The last part is the *unsettled* rows: a short tail in order of arrival, and sealed runs that are sorted and
//! never change. Sealing replaces both at once, so that a reader finds each row in exactly one of them.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::append_vec::{AppendVec, Appender, Prefix};
use super::held_batch::Entry;

/// Runs for late rows beside the run in order.
pub(super) const LATE_RUNS: usize = 3;
/// A tail of this length is sealed. It is what the first chunks of an [`AppendVec`] hold.
pub(super) const TAIL_ENTRIES: usize = 8 + 16 + 32 + 64;

/// The readers' side.
pub(super) struct LateIndex {
    runs: [Arc<AppendVec<Entry>>; LATE_RUNS],
    unsettled: ArcSwap<Unsettled>,
}

impl LateIndex {
    /// The runs in which time and sequence grow together.
    pub(super) fn runs(&self) -> [Prefix<'_, Entry>; LATE_RUNS] {
        std::array::from_fn(|run| self.runs[run].prefix())
    }

    /// All other late rows, as they are now.
    pub(super) fn unsettled(&self) -> Arc<Unsettled> {
        self.unsettled.load_full()
    }
}

/// Rows in no run.
pub(super) struct Unsettled {
    /// Each is less than half as long as the one before, so there are few.
    pub(super) sealed: Vec<Arc<SealedRun>>,
    tail: Arc<AppendVec<Entry>>,
}

impl Unsettled {
    /// The rows that came last, in order of arrival.
    pub(super) fn tail(&self) -> Prefix<'_, Entry> {
        self.tail.prefix()
    }
}

/// Late rows in order of `(ts, seq)`.
pub(super) struct SealedRun {
    pub(super) entries: Box<[Entry]>,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
}

impl SealedRun {
    fn of_tail(tail: Prefix<'_, Entry>) -> Self {
        let mut entries: Box<[Entry]> = tail.iter().copied().collect();
        let first_seq = entries.first().map_or(u64::MAX, |entry| entry.seq);
        let last_seq = entries.last().map_or(0, |entry| entry.seq);
        entries.sort_unstable_by_key(Entry::key);
        Self { entries, first_seq, last_seq }
    }

    fn merged(&self, other: &Self) -> Self {
        let (mut left, mut right) = (&*self.entries, &*other.entries);
        let mut entries = Vec::with_capacity(left.len() + right.len());
        while let (Some((first, left_rest)), Some((second, right_rest))) =
            (left.split_first(), right.split_first())
        {
            if first.key() < second.key() {
                entries.push(*first);
                left = left_rest;
            } else {
                entries.push(*second);
                right = right_rest;
            }
        }
        entries.extend_from_slice(left);
        entries.extend_from_slice(right);
        Self {
            entries: entries.into_boxed_slice(),
            first_seq: self.first_seq.min(other.first_seq),
            last_seq: self.last_seq.max(other.last_seq),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.entries)
    }
}

/// The writer's side.
pub(super) struct LateWriter {
    index: Arc<LateIndex>,
    runs: [(Appender<Entry>, i64); LATE_RUNS],
    tail: Appender<Entry>,
    tail_bytes: usize,
}

impl LateWriter {
    pub(super) fn new() -> Self {
        let runs = std::array::from_fn(|_| (Appender::new(), i64::MIN));
        let tail = Appender::new();
        let index = LateIndex {
            runs: std::array::from_fn(|run: usize| {
                let (appender, _): &(Appender<Entry>, i64) = &runs[run];
                Arc::clone(appender.shared())
            }),
            unsettled: ArcSwap::from_pointee(Unsettled {
                sealed: Vec::new(),
                tail: Arc::clone(tail.shared()),
            }),
        };
        Self { index: Arc::new(index), runs, tail, tail_bytes: 0 }
    }

    /// The readers' side.
    pub(super) fn shared(&self) -> &Arc<LateIndex> {
        &self.index
    }

    /// What an empty one takes.
    pub(super) const EMPTY_BYTES: usize =
        size_of::<Self>() + size_of::<LateIndex>() + (LATE_RUNS + 1) * size_of::<AppendVec<Entry>>();

    /// Adds a row and returns by how many bytes the index grew.
    pub(super) fn push(&mut self, entry: Entry) -> isize {
        for (run, last_ts) in &mut self.runs {
            if *last_ts <= entry.ts {
                *last_ts = entry.ts;
                return run.push(entry).cast_signed();
            }
        }
        let allocated = self.tail.push(entry);
        self.tail_bytes += allocated;
        let sealed = if self.tail.len() == TAIL_ENTRIES { self.seal() } else { 0 };
        allocated.cast_signed() + sealed
    }

    /// Makes the tail a sealed run, merged with those that are not more than twice as long.
    #[cold]
    fn seal(&mut self) -> isize {
        let before = self.index.unsettled();
        let mut sealed = before.sealed.clone();
        let mut run = SealedRun::of_tail(before.tail());
        let mut freed = std::mem::take(&mut self.tail_bytes);
        while let Some(last) = sealed.pop_if(|last| last.entries.len() <= 2 * run.entries.len()) {
            freed += last.bytes();
            run = last.merged(&run);
        }
        let added = run.bytes();
        sealed.push(Arc::new(run));
        self.tail = Appender::new();
        let tail = Arc::clone(self.tail.shared());
        // A reader that was told of a row's sequence number loads this, or a later one, with the row in it.
        self.index.unsettled.store(Arc::new(Unsettled { sealed, tail }));
        added.cast_signed() - freed.cast_signed()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Times that fall are what no run can take.
    fn falling(count: u64) -> (LateWriter, isize) {
        let mut writer = LateWriter::new();
        let bytes =
            (0..count).map(|seq| writer.push(Entry { ts: -(seq as i64), seq, batch: 0, row: 0 })).sum();
        (writer, bytes)
    }

    #[test]
    fn sealed_runs_stay_few_and_hold_every_row() {
        let count = 100 * TAIL_ENTRIES as u64 + 50;
        let (writer, _) = falling(count);
        let unsettled = writer.shared().unsettled();
        assert!(unsettled.sealed.len() <= 7, "{} runs", unsettled.sealed.len());
        let mut seqs: Vec<u64> =
            writer.shared().runs().into_iter().flat_map(Prefix::iter).map(|e| e.seq).collect();
        assert_eq!(seqs, [0, 1, 2]);
        for run in &unsettled.sealed {
            assert!(run.entries.is_sorted_by_key(Entry::key));
            assert_eq!(run.entries.iter().map(|entry| entry.seq).min(), Some(run.first_seq));
            assert_eq!(run.entries.iter().map(|entry| entry.seq).max(), Some(run.last_seq));
            seqs.extend(run.entries.iter().map(|entry| entry.seq));
        }
        seqs.extend(unsettled.tail().iter().map(|entry| entry.seq));
        seqs.sort_unstable();
        assert!(seqs.into_iter().eq(0..count));
    }

    #[test]
    fn the_bytes_are_those_of_what_is_held() {
        let (writer, bytes) = falling(10 * TAIL_ENTRIES as u64 + LATE_RUNS as u64);
        let unsettled = writer.shared().unsettled();
        assert_eq!(unsettled.tail().len(), 0);
        let sealed: usize = unsettled.sealed.iter().map(|run| run.bytes()).sum();
        assert_eq!(bytes, (LATE_RUNS * 8 * size_of::<Entry>() + sealed).cast_signed());
    }
}
