//! The commit pipeline: from durable entries to a new snapshot and to receipts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tapebook_lsm::snapshot::{HistorySet, Pieces, Snapshot};
use tapebook_lsm::sstable::Table;
use tapebook_record::{EncodedBatch, SharedBytes};
use tapebook_wal::{DurableEntry, DurableSink, EntryKind, FrameMeta, SegmentFacts, WalError};

use crate::append::{Completer, Waiters};
use crate::apply::{Applier, MemtableBounds};
use crate::journal::{JournalBatch, Published, Tail};
use crate::pinned::Pinned;
use crate::producers::ProducerExpiry;
use crate::retraction::Proposed;
use crate::state::SystemState;
use crate::{AppendError, FeedDeclaration, FlushError, ProducerRefusal, Receipt};

/// What travels with an entry through the log: what happens when it is durable.
pub(crate) enum Ticket {
    /// Durable is committed, because the database is alone: it is applied at once.
    Apply { change: Change, completer: Completer },
    /// Whoever asked is told; applying is another matter.
    Tell(Box<dyn FnOnce(Result<(), WalError>) + Send>),
    /// Nobody asks.
    Quiet,
}

/// What an entry asks for, decoded already.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Batch(EncodedBatch),
    Retraction(Arc<Proposed>),
    Expire(ProducerExpiry),
    DeclareFeed(FeedDeclaration),
    /// Nothing that the entry's kind and payload do not say.
    Other,
}

/// Bounds of what a database takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub symbols_max: usize,
    pub producers_max: usize,
}

/// Takes what the log made durable, applies it, publishes it and answers its writers.
///
/// *Invariant*: a snapshot is published only here and where a flush ends, always under the lock of `committed`,
/// and it never shows more than the log has synced.
#[derive(Debug)]
pub(crate) struct Committer {
    committed: Mutex<Committed>,
    published: ArcSwap<Snapshot>,
    facts: Mutex<SegmentFacts>,
    bounds: MemtableBounds,
    pub waiters: Arc<Waiters>,
    /// MemTables that wait to be flushed; a copy of the list's length that can be read without its lock.
    frozen: AtomicUsize,
    /// The oldest MemTable that is not in a file yet; every older one is.
    unflushed: AtomicU64,
    producers: AtomicUsize,
    pub flush: FlushSignal,
    /// What flushes have replaced and readers still hold.
    pub pinned: Pinned,
    /// Where followers of the journal read what was just published.
    pub tail: Arc<Tail>,
    pub rows_applied: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Committed {
    pub applier: Applier,
    pub tables: Vec<Arc<Table>>,
    pub history: HistorySet,
    pieces: Arc<Pieces>,
}

/// Where the flushing thread waits for work and others wait for it.
#[derive(Debug, Default)]
pub(crate) struct FlushSignal {
    state: Mutex<FlushState>,
    changed: Condvar,
}

/// What the flushing thread and those who wait for it tell each other.
#[derive(Debug, Default)]
pub(crate) struct FlushState {
    /// The newest failure, while flushing fails.
    pub failing: Option<Arc<FlushError>>,
    /// Counts failures, so that a waiter can tell a new one.
    pub failures: u64,
    /// Why files that are no longer needed could not be removed; they are tried again with the next flush.
    pub leftovers: Option<Arc<FlushError>>,
    /// The flushing thread is gone; nobody must wait for it.
    pub ended: bool,
    /// Someone asks for another attempt now.
    pub asked: bool,
    pub closing: bool,
}

impl FlushSignal {
    pub(crate) fn lock(&self) -> MutexGuard<'_, FlushState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'a>(&self, state: MutexGuard<'a, FlushState>) -> MutexGuard<'a, FlushState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait_for<'a>(
        &self,
        state: MutexGuard<'a, FlushState>,
        at_most: std::time::Duration,
    ) -> MutexGuard<'a, FlushState> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn notify(&self) {
        // Taking the lock orders this after the check of whoever is about to wait.
        drop(self.lock());
        self.changed.notify_all();
    }
}

impl Committer {
    pub(crate) fn new(
        applier: Applier,
        tables: Vec<Arc<Table>>,
        history: HistorySet,
        bounds: MemtableBounds,
        pinned: Pinned,
        tail: Tail,
    ) -> Self {
        let pieces = pieces(&tables, &history, &applier);
        let snapshot = snapshot(&pieces, &applier);
        let frozen = AtomicUsize::new(applier.frozen.len());
        let unflushed = AtomicU64::new(oldest_unflushed(&applier));
        let producers = AtomicUsize::new(applier.state.producers.len());
        let facts = Mutex::new(facts(&applier));
        Self {
            committed: Mutex::new(Committed { applier, tables, history, pieces }),
            published: ArcSwap::from_pointee(snapshot),
            facts,
            bounds,
            waiters: Arc::default(),
            frozen,
            unflushed,
            producers,
            flush: FlushSignal::default(),
            tail: Arc::new(tail),
            pinned,
            rows_applied: AtomicU64::new(0),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::clone(&self.published.load())
    }

    /// The files of the newest snapshot.
    pub(crate) fn files(&self) -> (Vec<Arc<Table>>, HistorySet) {
        let snapshot = self.published.load();
        let pieces = snapshot.pieces();
        (pieces.tables.clone(), pieces.history.clone())
    }

    pub(crate) fn frozen(&self) -> usize {
        self.frozen.load(Ordering::Acquire)
    }

    /// The oldest MemTable that is not in a file yet.
    pub(crate) fn unflushed(&self) -> u64 {
        self.unflushed.load(Ordering::Acquire)
    }

    /// Refuses what is new beyond the bounds. It is decided here, before anything is written, because a bound is a
    /// setting that may be another one when the log is replayed; batches on their way may go a little past it.
    pub(crate) fn check_limits(&self, batch: &EncodedBatch, limits: Limits) -> Result<(), AppendError> {
        let snapshot = self.published.load();
        let symbols = snapshot.symbols();
        let room = limits.symbols_max.saturating_sub(symbols.len());
        if batch.header().symbol_count as usize > room
            && let Some(name) = batch.symbols().filter(|name| symbols.handle(name).is_none()).nth(room)
        {
            return Err(AppendError::TooManySymbols { name: name.to_owned(), max: limits.symbols_max });
        }
        match batch.producer().id {
            0 => Ok(()),
            producer => self.check_producer(producer, limits.producers_max),
        }
    }

    /// Refuses a producer that is new where there are `max` already.
    pub(crate) fn check_producer(&self, producer: u64, max: usize) -> Result<(), AppendError> {
        let full = self.producers.load(Ordering::Acquire) >= max;
        if full && self.lock().applier.state.producers.get(producer).is_none() {
            return Err(ProducerRefusal::TooMany { producer, max }.into());
        }
        Ok(())
    }

    /// True where a panic has ended the pipeline: what is in memory is not to be trusted.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.committed.is_poisoned()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Committed> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the active MemTable, so that it can be flushed. Every row so far is in a MemTable below the number that
    /// this returns.
    pub(crate) fn freeze(&self) -> Result<u64, FlushError> {
        let mut committed = self.lock_sound()?;
        if committed.applier.freeze() {
            self.publish_pieces(&mut committed);
        }
        Ok(committed.applier.active.id())
    }

    /// As [`Committer::lock`], for whoever would carry a half-applied batch to the disk.
    pub(crate) fn lock_sound(&self) -> Result<MutexGuard<'_, Committed>, FlushError> {
        self.committed.lock().map_err(|_| FlushError::Interrupted)
    }

    /// Puts another node's state and files in the place of everything that is here, and publishes them.
    pub(crate) fn begin_anew(
        &self,
        state: SystemState,
        tables: Vec<Arc<Table>>,
        history: HistorySet,
    ) -> Result<(), FlushError> {
        let mut committed = self.lock_sound()?;
        let last_seq = state.last_seq;
        let before = committed.applier.begin_anew(state);
        (committed.tables, committed.history) = (tables, history);
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = facts(&committed.applier);
        self.producers.store(committed.applier.state.producers.len(), Ordering::Release);
        self.publish_pieces(&mut committed);
        drop(committed);
        self.tail.skip_to(last_seq);
        before.into_iter().for_each(|memtable| self.pinned.add(Arc::downgrade(&memtable)));
        Ok(())
    }

    /// Publishes files and MemTables anew, after either has changed.
    pub(crate) fn publish_pieces(&self, committed: &mut Committed) {
        committed.pieces = pieces(&committed.tables, &committed.history, &committed.applier);
        self.published.store(Arc::new(snapshot(&committed.pieces, &committed.applier)));
        self.frozen.store(committed.applier.frozen.len(), Ordering::Release);
        self.unflushed.store(oldest_unflushed(&committed.applier), Ordering::Release);
        self.flush.notify();
    }
}

/// A committed entry, and who waits for its outcome.
pub(crate) struct ToApply {
    pub meta: FrameMeta,
    pub payload: SharedBytes,
    pub change: Change,
    pub completer: Option<Completer>,
}

impl Committer {
    /// Applies committed entries, in log order, publishes what came of them, and answers their writers. There are about `count`.
    pub(crate) fn apply(&self, entries: impl Iterator<Item = ToApply>, count: usize) {
        let mut entries = entries.peekable();
        // A replica applies elsewhere, and nothing is to be published here.
        if entries.peek().is_none() {
            return;
        }
        let mut outcomes = Vec::with_capacity(count);
        let mut published = Vec::with_capacity(count);
        let mut committed = self.lock();
        let before = committed.applier.state.last_seq;
        let mut rotated = false;
        for ToApply { meta, payload, change, completer } in entries {
            let batch = match &change {
                Change::Batch(batch) => Some(batch.clone()),
                _ => None,
            };
            let outcome = apply(&mut committed.applier, &meta, &payload, change);
            if let (Ok(Receipt { first_seq, duplicate: false, .. }), Some(batch)) = (&outcome, batch) {
                let (index, commit_clock) = (meta.index, meta.proposed_at);
                let batch = JournalBatch { first_seq: *first_seq, index, commit_clock, batch };
                published.push(Published { batch, gaps: committed.applier.shown_gap_changes() });
            }
            outcomes.extend(completer.map(|completer| (outcome, completer)));
            rotated |= committed.applier.freeze_if_due(&self.bounds);
        }
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = facts(&committed.applier);
        self.producers.store(committed.applier.state.producers.len(), Ordering::Release);
        self.rows_applied.fetch_add(committed.applier.state.last_seq - before, Ordering::Relaxed);
        if rotated {
            self.publish_pieces(&mut committed);
        } else {
            self.published.store(Arc::new(snapshot(&committed.pieces, &committed.applier)));
        }
        drop(committed);
        // Whoever has a receipt finds the batch in the tail.
        self.tail.publish(published);
        for (outcome, completer) in outcomes {
            completer.complete(outcome);
        }
        self.waiters.wake_all();
    }
}

impl DurableSink for Committer {
    type Ticket = Ticket;

    fn durable(&self, entries: &mut Vec<DurableEntry<Ticket>>) {
        let (count, mut to_tell) = (entries.len(), Vec::new());
        let to_apply =
            entries.drain(..).filter_map(|DurableEntry { meta, payload, ticket, .. }| match ticket {
                Ticket::Apply { change, completer } => {
                    Some(ToApply { meta, payload, change, completer: Some(completer) })
                }
                Ticket::Tell(told) => {
                    to_tell.push(told);
                    None
                }
                Ticket::Quiet => None,
            });
        self.apply(to_apply, count);
        to_tell.into_iter().for_each(|told| told(Ok(())));
    }

    fn failed(&self, tickets: Vec<Ticket>, error: &WalError) {
        for ticket in tickets {
            match ticket {
                Ticket::Apply { completer, .. } => completer.complete(Err(AppendError::Log(error.clone()))),
                Ticket::Tell(told) => told(Err(error.clone())),
                Ticket::Quiet => {}
            }
        }
        self.waiters.wake_all();
    }

    fn segment_facts(&self) -> SegmentFacts {
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of one entry.
fn apply(
    applier: &mut Applier,
    meta: &FrameMeta,
    payload: &[u8],
    change: Change,
) -> Result<Receipt, AppendError> {
    match change {
        Change::Batch(batch) => {
            debug_assert_eq!(meta.kind, EntryKind::Batch);
            return applier.apply_batch(meta, batch);
        }
        Change::Retraction(proposed) => {
            let outcome = applier.apply_retraction(meta, &proposed.entry);
            let first = proposed.outcome.set(outcome).is_ok();
            debug_assert!(first, "an entry is applied once");
        }
        Change::Expire(expiry) => applier.apply_expiry(meta, &expiry),
        Change::DeclareFeed(declared) => applier.apply_declaration(meta, &declared),
        Change::Other if meta.kind.is_entry() => applier.apply_other(meta, payload),
        Change::Other => {}
    }
    let last_seq = applier.state.last_seq;
    Ok(Receipt { first_seq: last_seq + 1, last_seq, duplicate: false })
}

fn oldest_unflushed(applier: &Applier) -> u64 {
    applier.frozen.first().map_or(applier.active.id(), |frozen| frozen.memtable.id())
}

fn facts(applier: &Applier) -> SegmentFacts {
    SegmentFacts {
        last_seq: applier.state.last_seq,
        at_index: applier.state.applied.index,
        rolling_hash: applier.state.rolling_hash,
    }
}

fn pieces(tables: &[Arc<Table>], history: &HistorySet, applier: &Applier) -> Arc<Pieces> {
    let mut memtables: Vec<_> = applier.frozen.iter().map(|frozen| Arc::clone(&frozen.memtable)).collect();
    memtables.push(Arc::clone(&applier.active));
    Arc::new(Pieces { tables: tables.to_vec(), memtables, history: history.clone() })
}

fn snapshot(pieces: &Arc<Pieces>, applier: &Applier) -> Snapshot {
    let state = &applier.state;
    Snapshot::new(Arc::clone(pieces), state.last_seq, state.symbols.clone(), state.schemas.clone())
        .with_retractions(state.retractions.clone())
}
