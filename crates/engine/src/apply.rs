//! Applies entries, in log order: the one place where the database changes.
//!
//! What happens here depends on the entry and on earlier entries alone, never on clocks, settings of this node or
//! chance, so that every node and every replay comes to the same state.

use std::sync::Arc;

use tapebook_lsm::memtable::MemTable;
use tapebook_record::EncodedBatch;
use tapebook_record::record::flags;
use tapebook_wal::{EntryKind, FrameMeta, LogId};
use xxhash_rust::xxh3::Xxh3Default;

use crate::feeds::{FeedRow, Gap, Watch};
use crate::producers::{Decision, ProducerExpiry};
use crate::retraction::{self, RetractError, RetractionEntry, RetractionReceipt};
use crate::state::{Interner, StoredMembership, SystemState};
use crate::{AppendError, FeedDeclaration, FeedGap, FeedNumbers, Receipt};

/// What a frame takes in the log beside its payload, about.
const FRAME_BYTES: u64 = 96;

/// How far the active MemTable may grow before it is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemtableBounds {
    /// Bytes of its batches and their index.
    pub memtable_bytes: u64,
    /// Bytes of the log that a restart would have to replay for it, entries without rows among them.
    pub log_bytes: u64,
}

/// The state, the MemTable that is being written, and those that wait to be flushed.
#[derive(Debug)]
pub(crate) struct Applier {
    pub state: SystemState,
    pub active: Arc<MemTable>,
    pub frozen: Vec<Frozen>,
    interner: Interner,
    memtables: u64,
    /// Batches that gave no sequence numbers since the active MemTable was begun, by index.
    pub turned_away: Vec<u64>,
    /// Feed gaps that the last entry opened or closed.
    gap_changes: Vec<Gap>,
    /// The first entry since the active MemTable was begun.
    first: Option<LogId>,
    /// Bytes that the entries since then take in the log.
    log_bytes: u64,
}

/// A MemTable that takes no more rows, with the state right after its last entry.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub memtable: Arc<MemTable>,
    pub state: SystemState,
    /// The first entry that it can hold rows of, and that entry's term.
    pub first_index: u64,
    pub first_term: u64,
    /// Batches among its entries that gave no sequence numbers, by index, ascending.
    pub turned_away: Vec<u64>,
}

impl Applier {
    pub(crate) fn new(state: SystemState) -> Self {
        let interner = Interner::new(&state.symbols);
        Self {
            interner,
            active: Arc::new(MemTable::new(0)),
            frozen: Vec::new(),
            state,
            memtables: 1,
            turned_away: Vec::new(),
            gap_changes: Vec::new(),
            first: None,
            log_bytes: 0,
        }
    }

    /// Goes on from a state that came from another node; what was in memory is in its files. Returns the MemTables that were
    /// here.
    pub(crate) fn begin_anew(&mut self, state: SystemState) -> Vec<Arc<MemTable>> {
        let mut before: Vec<_> = self.frozen.drain(..).map(|frozen| frozen.memtable).collect();
        let next = Arc::new(MemTable::new(self.memtables));
        before.push(std::mem::replace(&mut self.active, next));
        *self = Self { active: Arc::clone(&self.active), memtables: self.memtables + 1, ..Self::new(state) };
        before
    }

    /// Takes note of an entry that holds no rows.
    pub(crate) fn apply_other(&mut self, meta: &FrameMeta, payload: &[u8]) {
        self.begin(meta, payload.len());
        if meta.kind == EntryKind::Membership {
            let log_id = self.state.applied;
            self.state.set_membership(StoredMembership { log_id, bytes: payload.to_vec() });
        }
    }

    /// Applies a change of the retractions.
    pub(crate) fn apply_retraction(
        &mut self,
        meta: &FrameMeta,
        entry: &RetractionEntry,
    ) -> Result<RetractionReceipt, RetractError> {
        self.begin(meta, entry.encode().len());
        let at = self.state.commit_clock;
        retraction::apply(&mut self.state, entry, at)
    }

    /// Ends producers, as far as they have not written since the entry was proposed.
    pub(crate) fn apply_expiry(&mut self, meta: &FrameMeta, entry: &ProducerExpiry) {
        self.begin(meta, entry.encode().len());
        for expiry in &entry.expiries {
            if self.state.producers.expire(expiry) {
                self.state.feeds.forget(expiry.producer);
            }
        }
    }

    /// Takes note of what a producer's numbers mean. Where it is something else than before, it begins anew.
    pub(crate) fn apply_declaration(&mut self, meta: &FrameMeta, entry: &FeedDeclaration) {
        self.begin(meta, entry.encode().len());
        let FeedDeclaration { producer, numbers } = *entry;
        if self.state.producers.declare(producer, numbers, self.state.commit_clock) {
            self.state.feeds.forget(producer);
            self.state.gaps.forget(producer);
        }
    }

    /// Applies a batch.
    pub(crate) fn apply_batch(
        &mut self,
        meta: &FrameMeta,
        batch: EncodedBatch,
    ) -> Result<Receipt, AppendError> {
        self.begin(meta, batch.bytes().len());
        let producer = batch.producer();
        match self.state.producers.decide(producer) {
            Decision::Apply => {}
            Decision::Duplicate(receipt) => {
                self.turned_away.push(meta.index);
                return Ok(receipt);
            }
            Decision::Refuse(refusal) => {
                self.turned_away.push(meta.index);
                return Err(refusal.into());
            }
        }
        let first_seq = self.state.last_seq + 1;
        let last_seq = self.state.last_seq + batch.len() as u64;
        self.state.rolling_hash = next_hash(self.state.rolling_hash, first_seq, batch.bytes());
        let handles = self.interner.intern_all(&batch, &mut self.state.symbols);
        watch_feed(&mut self.state, &batch, handles, first_seq, &mut self.gap_changes);
        self.active.insert(batch, first_seq, handles);
        self.state.last_seq = last_seq;
        self.state.producers.applied(producer, first_seq, last_seq, self.state.commit_clock);
        Ok(Receipt { first_seq, last_seq, duplicate: false })
    }

    /// Feed gaps that the last entry opened or closed.
    pub(crate) fn shown_gap_changes(&self) -> Vec<FeedGap> {
        self.gap_changes.iter().map(|gap| gap.shown(&self.state.symbols)).collect()
    }

    fn begin(&mut self, meta: &FrameMeta, payload_bytes: usize) {
        self.gap_changes.clear();
        debug_assert!(meta.index > self.state.applied.index, "entries are applied in order, each once");
        self.state.applied = LogId { term: meta.term, leader_node: meta.leader_node, index: meta.index };
        self.first.get_or_insert(self.state.applied);
        self.log_bytes += FRAME_BYTES + payload_bytes as u64;
        self.state.commit_clock = self.state.commit_clock.max(meta.proposed_at);
    }

    /// Bytes of the active MemTable: its batches and their index.
    pub(crate) fn bytes(&self) -> u64 {
        (self.active.batch_bytes() + self.active.index_bytes()) as u64
    }

    /// Closes the active MemTable where it has grown to a bound; true where it had. Where the entries held no rows it is
    /// closed empty: flushing it writes the state, and the log before it can go.
    pub(crate) fn freeze_if_due(&mut self, bounds: &MemtableBounds) -> bool {
        let due = self.bytes() >= bounds.memtable_bytes && !self.active.is_empty()
            || self.log_bytes >= bounds.log_bytes;
        if due {
            self.close_active();
        }
        due
    }

    /// Closes the active MemTable where it has rows; true where it had.
    pub(crate) fn freeze(&mut self) -> bool {
        let due = !self.active.is_empty();
        if due {
            self.close_active();
        }
        due
    }

    fn close_active(&mut self) {
        let next = Arc::new(MemTable::new(self.memtables));
        self.memtables += 1;
        let memtable = std::mem::replace(&mut self.active, next);
        let first = self.first.take().unwrap_or(self.state.applied);
        let state = self.state.clone();
        let turned_away = std::mem::take(&mut self.turned_away);
        self.frozen.push(Frozen {
            memtable,
            state,
            first_index: first.index,
            first_term: first.term,
            turned_away,
        });
        self.log_bytes = 0;
    }
}

/// Looks for gaps in the numbers of a producer that has said what they mean. `handles` are those of the batch's symbols.
fn watch_feed(
    state: &mut SystemState,
    batch: &EncodedBatch,
    handles: &[u32],
    first_seq: u64,
    changes: &mut Vec<Gap>,
) {
    let from = batch.producer();
    let Some(known) = state.producers.get(from.id) else { return };
    let (numbers, begins_anew) = (known.feed, known.epoch != from.epoch);
    let filled = match numbers {
        FeedNumbers::None => return,
        FeedNumbers::Backfill { of } => state.producers.get(of).map_or(FeedNumbers::None, |of| of.feed),
        own => own,
    };
    let mut watch = Watch {
        positions: &mut state.feeds,
        gaps: &mut state.gaps,
        producer: from.id,
        at: state.commit_clock,
        changes,
    };
    if begins_anew {
        watch.end_events(first_seq);
    }
    for row in 0..batch.len() {
        let header = batch.row_header(row);
        let has = |flag| header.flags & flag != 0;
        let row = FeedRow {
            table: header.table,
            symbol: handles[header.symbol as usize],
            number: has(flags::FEED_SEQ).then_some(header.feed_seq),
            ends_event: has(flags::EVENT_END) || !has(flags::EVENT_END_KNOWN),
            seq: first_seq + row as u64,
        };
        watch.row(numbers, filled, row);
    }
}

/// The rolling hash behind one more batch: XXH3 over the hash before, the first sequence number and the bytes.
pub(crate) fn next_hash(before: [u8; 16], first_seq: u64, bytes: &[u8]) -> [u8; 16] {
    // The default secret is not copied into it, which would cost as much as hashing a small batch.
    let mut hash = Xxh3Default::new();
    hash.update(&before);
    hash.update(&first_seq.to_le_bytes());
    hash.update(bytes);
    hash.digest128().to_le_bytes()
}
