//! The commit pipeline: from durable entries to a new snapshot and to receipts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tapebook_lsm::snapshot::{HistorySet, Pieces, Snapshot};
use tapebook_lsm::sstable::Table;
use tapebook_record::EncodedBatch;
use tapebook_wal::{DurableEntry, DurableSink, EntryKind, SegmentFacts, WalError};

use crate::append::{Completer, Waiters};
use crate::apply::{Applier, MemtableBounds};
use crate::pinned::Pinned;
use crate::retraction::Proposed;
use crate::{AppendError, FlushError, ProducerRefusal, Receipt};

/// What travels with an entry through the log.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The batch, decoded already; `None` for other kinds.
    pub batch: Option<EncodedBatch>,
    /// The change of the retractions; `None` for other kinds.
    pub retraction: Option<Arc<Proposed>>,
    pub completer: Completer,
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
    ) -> Self {
        let pieces = pieces(&tables, &history, &applier);
        let snapshot = snapshot(&pieces, &applier);
        let frozen = AtomicUsize::new(applier.frozen.len());
        let unflushed = AtomicU64::new(oldest_unflushed(&applier));
        let producers = AtomicUsize::new(applier.state.producers.by_id.len());
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
        let (producer, max) = (batch.producer().id, limits.producers_max);
        if producer != 0
            && self.producers.load(Ordering::Acquire) >= max
            && !self.lock().applier.state.producers.by_id.contains_key(&producer)
        {
            return Err(ProducerRefusal::TooMany { producer, max }.into());
        }
        Ok(())
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

    /// Publishes files and MemTables anew, after either has changed.
    pub(crate) fn publish_pieces(&self, committed: &mut Committed) {
        committed.pieces = pieces(&committed.tables, &committed.history, &committed.applier);
        self.published.store(Arc::new(snapshot(&committed.pieces, &committed.applier)));
        self.frozen.store(committed.applier.frozen.len(), Ordering::Release);
        self.unflushed.store(oldest_unflushed(&committed.applier), Ordering::Release);
        self.flush.notify();
    }

    fn apply(
        &self,
        committed: &mut Committed,
        entry: &mut DurableEntry<Ticket>,
    ) -> Result<Receipt, AppendError> {
        let applier = &mut committed.applier;
        let Some(batch) = entry.ticket.batch.take() else {
            match &entry.ticket.retraction {
                Some(proposed) => {
                    let outcome = applier.apply_retraction(&entry.meta, &proposed.entry);
                    let first = proposed.outcome.set(outcome).is_ok();
                    debug_assert!(first, "an entry is applied once");
                }
                None if entry.meta.kind.is_entry() => applier.apply_other(&entry.meta, &entry.payload),
                None => {}
            }
            let last_seq = applier.state.last_seq;
            return Ok(Receipt { first_seq: last_seq + 1, last_seq, duplicate: false });
        };
        debug_assert_eq!(entry.meta.kind, EntryKind::Batch);
        applier.apply_batch(&entry.meta, batch)
    }
}

impl DurableSink for Committer {
    type Ticket = Ticket;

    fn durable(&self, entries: &mut Vec<DurableEntry<Ticket>>) {
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut committed = self.lock();
        let before = committed.applier.state.last_seq;
        let mut rotated = false;
        for mut entry in entries.drain(..) {
            outcomes.push((self.apply(&mut committed, &mut entry), entry.ticket.completer));
            rotated |= committed.applier.freeze_if_due(&self.bounds);
        }
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = facts(&committed.applier);
        self.producers.store(committed.applier.state.producers.by_id.len(), Ordering::Release);
        self.rows_applied.fetch_add(committed.applier.state.last_seq - before, Ordering::Relaxed);
        if rotated {
            self.publish_pieces(&mut committed);
        } else {
            self.published.store(Arc::new(snapshot(&committed.pieces, &committed.applier)));
        }
        drop(committed);
        for (outcome, completer) in outcomes {
            completer.complete(outcome);
        }
        self.waiters.wake_all();
    }

    fn failed(&self, tickets: Vec<Ticket>, error: &WalError) {
        for ticket in tickets {
            ticket.completer.complete(Err(AppendError::Log(error.clone())));
        }
        self.waiters.wake_all();
    }

    fn segment_facts(&self) -> SegmentFacts {
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
