//! What the database must say: a journal in memory, decided by the rules of the documentation and not by the code.
//!
//! It keeps every entry that the log was handed, in log order. Up to `applied` the outcome is known, because a receipt came
//! or a restart has shown it; behind it nobody was told anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tapebook::{EncodedBatch, PendingAppend, Producer, ProducerRefusal, Receipt, SeqRange};
use xxhash_rust::xxh3::Xxh3;

use crate::dropped::Dropped;
use crate::rows::{Kind, Row, StoredRow};

/// The log's first entry is the membership of a node that is alone.
pub(crate) const FIRST_INDEX: u64 = 1;
/// Receipts that a producer can ask for again.
const RECEIPTS_KEPT: usize = 64;

/// An entry that was handed to the log.
#[derive(Debug)]
pub(crate) struct Entry {
    pub change: Change,
    /// Where the receipt comes, while nobody has it.
    pub pending: Option<PendingAppend>,
}

/// What an entry asks for.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Batch(Sent),
    Retract {
        kind: Kind,
        seqs: SeqRange,
    },
    Undo {
        id: u64,
    },
    /// Ends a producer that has come no further than this epoch.
    Expire {
        id: u64,
        epoch: u32,
    },
}

/// A batch as its producer sent it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub producer: Producer,
    pub rows: Vec<Row>,
    pub encoded: EncodedBatch,
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Batch(Result<Receipt, ProducerRefusal>),
    /// The retraction's number, or that it changes nothing.
    Retraction(Option<u64>),
    Expiry,
}

/// A range that is hidden, and by which entries.
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    pub kind: Kind,
    pub seqs: SeqRange,
    pub made_index: u64,
    pub made_at: u64,
    /// The entry, and the journal's last sequence then.
    pub undone: Option<(u64, u64)>,
}

/// What is known of a producer.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProducerState {
    pub epoch: u32,
    pub last: u64,
    pub receipts: VecDeque<(u64, u64)>,
    pub expired: bool,
}

/// The journal behind an entry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Point {
    pub last_seq: u64,
    pub rolling_hash: [u8; 16],
}

/// A batch that was applied.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub first_seq: u64,
    pub index: u64,
    pub encoded: EncodedBatch,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Entry `i` has the index `FIRST_INDEX + 1 + i`.
    pub log: Vec<Entry>,
    /// How many of them have a known outcome.
    known: usize,
    /// The journal behind each known entry.
    points: Vec<Point>,
    pub rows: Vec<StoredRow>,
    pub batches: Vec<Applied>,
    pub retractions: Vec<Hidden>,
    pub symbols: BTreeSet<String>,
    producers: BTreeMap<u64, ProducerState>,
}

impl Model {
    /// The last entry whose outcome is known.
    pub fn applied_index(&self) -> u64 {
        FIRST_INDEX + self.known as u64
    }

    /// The last entry that was handed to the log.
    pub fn admitted_index(&self) -> u64 {
        FIRST_INDEX + self.log.len() as u64
    }

    /// The journal behind a known entry.
    pub fn point(&self, index: u64) -> Point {
        match index.checked_sub(FIRST_INDEX + 1) {
            Some(at) => self.points[at as usize],
            None => Point::default(),
        }
    }

    pub fn last_seq(&self) -> u64 {
        self.rows.len() as u64
    }

    pub fn producers(&self) -> &BTreeMap<u64, ProducerState> {
        &self.producers
    }

    /// The number of a producer's next batch, all that was handed in included, and his epoch. An expired one goes on with the next.
    pub fn next_number(&self, id: u64) -> (u32, u64) {
        let state = self.producers.get(&id);
        let (mut epoch, mut last) = match state {
            None => (1, 0),
            Some(state) if state.expired => (state.epoch + 1, 0),
            Some(state) => (state.epoch, state.last),
        };
        for entry in &self.log[self.known..] {
            if let Change::Batch(sent) = &entry.change
                && sent.producer.id == id
            {
                let Producer { epoch: of, batch_number, .. } = sent.producer;
                if of > epoch && batch_number == 1 {
                    (epoch, last) = (of, 1);
                } else if of == epoch && batch_number == last + 1 {
                    last += 1;
                }
            }
        }
        (epoch, last + 1)
    }

    /// The batch that a producer sent under this number, the newest where there are several.
    pub fn sent(&self, id: u64, epoch: u32, number: u64) -> Option<&Sent> {
        self.log.iter().rev().find_map(|entry| match &entry.change {
            Change::Batch(sent)
                if (sent.producer.id, sent.producer.epoch, sent.producer.batch_number)
                    == (id, epoch, number) =>
            {
                Some(sent)
            }
            _ => None,
        })
    }

    /// The log was handed an entry.
    pub fn admit(&mut self, change: Change, pending: Option<PendingAppend>) {
        self.log.push(Entry { change, pending });
    }

    /// The entries without a known outcome.
    pub fn unknown(&self) -> &[Entry] {
        &self.log[self.known..]
    }

    /// The oldest entry without a known outcome.
    pub fn next_unknown(&self) -> Option<&Entry> {
        self.log.get(self.known)
    }

    /// Decides about the oldest entry without a known outcome, whose outcome is known now.
    pub fn apply_next(&mut self) -> Effect {
        let index = self.applied_index() + 1;
        let entry = &mut self.log[self.known];
        entry.pending = None;
        let change = entry.change.clone();
        let mut point = self.points.last().copied().unwrap_or_default();
        let effect = match change {
            Change::Batch(sent) => Effect::Batch(self.apply_batch(&sent, index, &mut point)),
            Change::Retract { kind, seqs } => Effect::Retraction(self.retract(kind, seqs, index)),
            Change::Expire { id, epoch } => {
                if let Some(state) = self.producers.get_mut(&id).filter(|state| state.epoch <= epoch) {
                    state.expired = true;
                    state.receipts.clear();
                }
                Effect::Expiry
            }
            Change::Undo { id } => {
                let last_seq = self.last_seq();
                let standing = self.retractions.get_mut((id as usize).wrapping_sub(1));
                let standing = standing.filter(|hidden| hidden.undone.is_none());
                Effect::Retraction(standing.map(|hidden| {
                    hidden.undone = Some((index, last_seq));
                    id
                }))
            }
        };
        point.last_seq = self.last_seq();
        self.points.push(point);
        self.known += 1;
        effect
    }

    fn apply_batch(
        &mut self,
        sent: &Sent,
        index: u64,
        point: &mut Point,
    ) -> Result<Receipt, ProducerRefusal> {
        if let Some(duplicate) = self.decide(sent.producer)? {
            return Ok(duplicate);
        }
        let first_seq = self.last_seq() + 1;
        let last_seq = self.last_seq() + sent.rows.len() as u64;
        self.rows.extend((first_seq..).zip(&sent.rows).map(|(seq, row)| StoredRow { seq, row: row.clone() }));
        self.symbols.extend(sent.rows.iter().map(|row| row.symbol.clone()));
        self.batches.push(Applied { first_seq, index, encoded: sent.encoded.clone() });
        let mut hash = Xxh3::new();
        hash.update(&point.rolling_hash);
        hash.update(&first_seq.to_le_bytes());
        hash.update(sent.encoded.bytes());
        point.rolling_hash = hash.digest128().to_le_bytes();
        if sent.producer.id != 0 {
            let state = self.producers.entry(sent.producer.id).or_default();
            if state.epoch != sent.producer.epoch {
                *state = ProducerState { epoch: sent.producer.epoch, ..ProducerState::default() };
            }
            state.last = sent.producer.batch_number;
            if state.receipts.len() == RECEIPTS_KEPT {
                state.receipts.pop_front();
            }
            state.receipts.push_back((first_seq, last_seq));
        }
        Ok(Receipt { first_seq, last_seq, duplicate: false })
    }

    /// Exactly once: the next number applies, an older one is a duplicate, and everything else is refused. Of an expired producer nothing
    /// is taken but a greater epoch.
    fn decide(&self, from: Producer) -> Result<Option<Receipt>, ProducerRefusal> {
        let Producer { id: producer, epoch, batch_number } = from;
        if producer == 0 {
            return Ok(None);
        }
        let nobody = ProducerState { epoch, ..ProducerState::default() };
        let state = self.producers.get(&producer).unwrap_or(&nobody);
        if state.expired && epoch <= state.epoch {
            return Err(ProducerRefusal::Expired { producer, epoch: state.epoch });
        }
        if epoch < state.epoch {
            return Err(ProducerRefusal::Fenced { producer, current: state.epoch, found: epoch });
        }
        let fresh = epoch > state.epoch;
        let last = if fresh { 0 } else { state.last };
        if batch_number == last + 1 {
            return Ok(None);
        }
        if batch_number > last + 1 {
            return Err(ProducerRefusal::Gap { producer, expected: last + 1, found: batch_number });
        }
        let kept = if fresh { 0 } else { state.receipts.len() as u64 };
        let oldest = last + 1 - kept;
        if batch_number == 0 || batch_number < oldest {
            return Err(ProducerRefusal::TooOld { producer, oldest, found: batch_number });
        }
        let (first_seq, last_seq) = state.receipts[(batch_number - oldest) as usize];
        Ok(Some(Receipt { first_seq, last_seq, duplicate: true }))
    }

    fn retract(&mut self, kind: Kind, seqs: SeqRange, index: u64) -> Option<u64> {
        if seqs.last > self.last_seq() || self.standing(kind, seqs) {
            return None;
        }
        let made_at = self.last_seq();
        self.retractions.push(Hidden { kind, seqs, made_index: index, made_at, undone: None });
        Some(self.retractions.len() as u64)
    }

    /// True where exactly this range is hidden.
    pub fn standing(&self, kind: Kind, seqs: SeqRange) -> bool {
        self.retractions
            .iter()
            .any(|hidden| hidden.kind == kind && hidden.seqs == seqs && hidden.undone.is_none())
    }

    /// A restart has shown that the log ends at this entry. What comes behind it is gone for ever.
    pub fn end_at(&mut self, index: u64) {
        let kept = (index - FIRST_INDEX) as usize;
        self.log.truncate(kept);
        if kept < self.known {
            self.again();
        }
        while self.known < kept {
            self.apply_next();
        }
    }

    /// Decides about every entry anew, from the first one on.
    fn again(&mut self) {
        let log = std::mem::take(&mut self.log);
        let known = log.len();
        *self = Self { log, ..Self::default() };
        while self.known < known {
            self.apply_next();
        }
    }

    /// What a reader sees behind a known entry.
    pub fn view(&self, index: u64) -> View<'_> {
        let last_seq = self.point(index).last_seq;
        let made = self.retractions.iter().filter(|hidden| hidden.made_index <= index);
        let known = made.map(|hidden| Hidden {
            undone: hidden.undone.filter(|(undone_index, _)| *undone_index <= index),
            ..hidden.clone()
        });
        let rows = &self.rows[..last_seq as usize];
        View { rows, retractions: known.collect(), dropped: Dropped::new() }
    }
}

/// What a reader must see.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    pub rows: &'a [StoredRow],
    pub retractions: Vec<Hidden>,
    /// Which of the rows are gone.
    pub dropped: Dropped,
}

impl View<'_> {
    pub fn last_seq(&self) -> u64 {
        self.rows.len() as u64
    }

    /// What was known when `seq` was given.
    pub fn as_of(&self, seq: u64) -> Self {
        let known = self.retractions.iter().filter(|hidden| hidden.made_at < seq);
        let known = known.map(|hidden| Hidden {
            undone: hidden.undone.filter(|(_, at_seq)| *at_seq < seq),
            ..hidden.clone()
        });
        let rows = &self.rows[..seq as usize];
        View { rows, retractions: known.collect(), dropped: self.dropped.clone() }
    }

    pub fn shows(&self, stored: &StoredRow) -> bool {
        !self.dropped.contains(&stored.seq)
            && !self.retractions.iter().any(|hidden| {
                hidden.undone.is_none() && hidden.kind == stored.row.kind && hidden.seqs.contains(stored.seq)
            })
    }

    /// What is shown of a table, in key order.
    pub fn shown(&self, kind: Kind) -> Vec<&StoredRow> {
        let mut shown: Vec<&StoredRow> =
            self.rows.iter().filter(|stored| stored.row.kind == kind && self.shows(stored)).collect();
        shown
            .sort_unstable_by(|a, b| (&a.row.symbol, a.row.ts, a.seq).cmp(&(&b.row.symbol, b.row.ts, b.seq)));
        shown
    }
}
