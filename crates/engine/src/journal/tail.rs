//! The tail of the journal: its newest batches in memory, and who waits for more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::JournalBatch;
use crate::FeedGap;

/// A follower takes about so many bytes at a time, so that it locks the tail seldom and holds little.
const TAKE_BYTES: usize = 256 << 10;

/// The newest batches of the journal, bounded in bytes. The commit pipeline adds each group when it is published.
///
/// *Invariant*: the batches follow one another without a gap, and the last one ends with `last_seq`.
#[derive(Debug)]
pub(crate) struct Tail {
    state: Mutex<State>,
    grown: Condvar,
    bytes_max: usize,
}

/// A batch, and the feed gaps that its rows opened or closed.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub batch: JournalBatch,
    pub gaps: Vec<FeedGap>,
}

#[derive(Debug)]
struct State {
    batches: VecDeque<Published>,
    bytes: usize,
    /// The last sequence number that was published, in memory or not.
    last_seq: u64,
    /// Nothing comes any more.
    closed: bool,
    /// Tasks that wait, each under a number of its own.
    tasks: BTreeMap<u64, Waker>,
    next_task: u64,
    /// Threads that wait.
    threads: usize,
}

/// What the tail has for whoever wants to go on from a sequence number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Here {
    /// The next batches.
    Taken,
    /// All before was published, and this not yet.
    NotYet,
    /// As [`Here::NotYet`], and nothing comes any more.
    Closed,
    /// It is older than what is in memory.
    Behind,
}

impl Tail {
    /// An empty tail behind `last_seq`.
    pub(crate) fn new(last_seq: u64, bytes_max: u64) -> Self {
        let state = State {
            batches: VecDeque::new(),
            bytes: 0,
            last_seq,
            closed: false,
            tasks: BTreeMap::new(),
            next_task: 0,
            threads: 0,
        };
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        Self { state: Mutex::new(state), grown: Condvar::new(), bytes_max }
    }

    /// Adds what was just published, and wakes everybody once.
    pub(crate) fn publish(&self, batches: Vec<Published>) {
        if batches.is_empty() {
            return;
        }
        let mut state = self.lock();
        for published in batches {
            let batch = &published.batch;
            debug_assert_eq!(batch.first_seq, state.last_seq + 1, "batches are published in order");
            state.last_seq = batch.last_seq();
            state.bytes += bytes_of(&published);
            state.batches.push_back(published);
            while state.bytes > self.bytes_max
                && let Some(oldest) = state.batches.pop_front()
            {
                state.bytes -= bytes_of(&oldest);
            }
        }
        self.wake(state);
    }

    /// Goes on behind `last_seq`, whatever was before: a snapshot of another node took the place of the batches in between.
    pub(crate) fn skip_to(&self, last_seq: u64) {
        let mut state = self.lock();
        state.batches.clear();
        state.bytes = 0;
        state.last_seq = last_seq;
        self.wake(state);
    }

    /// Tells everybody that nothing comes any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let tasks = std::mem::take(&mut state.tasks);
        let threads = state.threads;
        drop(state);
        if threads > 0 {
            self.grown.notify_all();
        }
        tasks.into_values().for_each(Waker::wake);
    }

    /// Takes the next batches from `next_seq` on, as far as they are here; the first one may begin before it.
    pub(super) fn take(&self, next_seq: u64, into: &mut VecDeque<Published>) -> Here {
        let state = self.lock();
        let here = state.here(next_seq);
        if here == Here::Taken {
            let at = state.batches.partition_point(|published| published.batch.last_seq() < next_seq);
            let mut bytes = 0;
            for published in state.batches.range(at..) {
                into.push_back(published.clone());
                bytes += bytes_of(published);
                if bytes >= TAKE_BYTES {
                    break;
                }
            }
        }
        here
    }

    /// As [`Tail::take`], without taking anything.
    pub(super) fn look(&self, next_seq: u64) -> Here {
        self.lock().here(next_seq)
    }

    /// The last sequence number that was published.
    pub(super) fn last_seq(&self) -> u64 {
        self.lock().last_seq
    }

    /// The first sequence number from which the tail can be followed.
    pub(super) fn first_seq(&self) -> u64 {
        self.lock().first_seq()
    }

    /// The first batch that is not older than `time`, where the tail reaches back far enough to know.
    pub(super) fn seq_at(&self, time: i64) -> Option<u64> {
        let state = self.lock();
        let knows = state.first_seq() == 1
            || state.batches.front().is_some_and(|oldest| oldest.batch.commit_clock < time);
        let at = state.batches.partition_point(|published| published.batch.commit_clock < time);
        knows.then(|| state.batches.get(at).map_or(state.last_seq + 1, |published| published.batch.first_seq))
    }

    /// Ready where there may be something from `next_seq` on, or nothing comes any more. Otherwise the task is woken when
    /// that changes; `number` is under which it waits.
    pub(super) fn poll(&self, next_seq: u64, number: &mut Option<u64>, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.here(next_seq) != Here::NotYet {
            return Poll::Ready(());
        }
        let number = *number.get_or_insert_with(|| {
            state.next_task += 1;
            state.next_task
        });
        state.tasks.insert(number, context.waker().clone());
        Poll::Pending
    }

    /// A task no longer waits.
    pub(super) fn forget(&self, number: u64) {
        self.lock().tasks.remove(&number);
    }

    /// As [`Tail::poll`], for a thread that waits for so long at most; true where it is ready.
    pub(super) fn wait(&self, next_seq: u64, at_most: Duration) -> bool {
        let mut state = self.lock();
        state.threads += 1;
        let not_yet = |state: &mut State| state.here(next_seq) == Here::NotYet;
        let waited = self.grown.wait_timeout_while(state, at_most, not_yet);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state.threads -= 1;
        !timeout.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn first_seq(&self) -> u64 {
        self.batches.front().map_or(self.last_seq + 1, |oldest| oldest.batch.first_seq)
    }

    fn here(&self, next_seq: u64) -> Here {
        match next_seq {
            _ if next_seq > self.last_seq && self.closed => Here::Closed,
            _ if next_seq > self.last_seq => Here::NotYet,
            _ if next_seq >= self.first_seq() => Here::Taken,
            _ => Here::Behind,
        }
    }
}

/// What a batch takes in memory. Its bytes are shared with the MemTable as long as that has them.
fn bytes_of(published: &Published) -> usize {
    let gaps = published.gaps.len() * size_of::<FeedGap>();
    size_of::<Published>() + gaps + published.batch.batch.bytes().len()
}
