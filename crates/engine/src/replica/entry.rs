//! An entry on its way through the log of a cluster: checked and decoded once, applied when it is committed.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use tapebook_record::codec::DecodeError;
use tapebook_record::{BatchError, EncodedBatch, Schemas, SharedBytes};
use tapebook_wal::EntryKind;

use crate::append::Completer;
use crate::commit::Change;
use crate::producers::ProducerExpiry;
use crate::retraction::{Proposed, RetractionEntry};
use crate::{AppendError, FeedDeclaration, Membership};

/// What an entry says: its kind and payload, and what they mean. Cloning shares the bytes.
#[derive(Clone)]
pub struct JournalEntry {
    kind: EntryKind,
    flags: u16,
    /// The leader's clock; `None` until a leader has put the entry into its log.
    proposed_at: Option<i64>,
    payload: SharedBytes,
    change: Change,
}

/// Bytes that are not an entry of their kind.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Not a sound batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Not a sound entry of another kind.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A note belongs to one node's log and is never sent.
    #[error("a {} is not an entry", .0.name())]
    Note(EntryKind),
}

/// Where an entry's bytes come from, hence how much of them is checked.
#[derive(Clone, Copy, Debug)]
pub enum EntryOrigin<'a> {
    /// From another node: every value of a batch is checked against these tables.
    Wire(&'a Schemas),
    /// From this node's log: checksum and structure are.
    Log,
}

impl JournalEntry {
    pub(crate) fn proposed(kind: EntryKind, payload: SharedBytes, change: Change) -> Self {
        Self { kind, flags: 0, proposed_at: None, payload, change }
    }

    /// A new leader's first entry.
    pub fn blank() -> Self {
        Self::proposed(EntryKind::Blank, SharedBytes::default(), Change::Other)
    }

    /// A membership.
    pub fn membership(membership: &Membership) -> Self {
        let payload = SharedBytes::from(&*membership.encode());
        Self::proposed(EntryKind::Membership, payload, Change::Other)
    }

    /// Reads an entry. Whatever the bytes are, it answers.
    pub fn decode(
        kind: EntryKind,
        flags: u16,
        proposed_at: i64,
        payload: SharedBytes,
        origin: EntryOrigin<'_>,
    ) -> Result<Self, EntryError> {
        let change = match kind {
            EntryKind::Batch => Change::Batch(match origin {
                EntryOrigin::Wire(schemas) => EncodedBatch::check(payload.clone(), schemas)?,
                EntryOrigin::Log => EncodedBatch::from_log(payload.clone())?,
            }),
            EntryKind::Retraction => Change::Retraction(Arc::new(Proposed {
                entry: RetractionEntry::decode(&payload)?,
                outcome: OnceLock::new(),
            })),
            EntryKind::ProducerExpiry => Change::Expire(ProducerExpiry::decode(&payload)?),
            EntryKind::FeedDeclaration => Change::DeclareFeed(FeedDeclaration::decode(&payload)?),
            EntryKind::Membership => {
                Membership::decode(&payload)?;
                Change::Other
            }
            kind if kind.is_entry() => Change::Other,
            note => return Err(EntryError::Note(note)),
        };
        Ok(Self { kind, flags, proposed_at: Some(proposed_at), payload, change })
    }

    /// Its kind.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Bits whose meaning depends on the kind.
    pub fn flags(&self) -> u16 {
        self.flags
    }

    /// The leader's clock, once a leader has put it into its log.
    pub fn proposed_at(&self) -> Option<i64> {
        self.proposed_at
    }

    /// Its bytes.
    pub fn payload(&self) -> &SharedBytes {
        &self.payload
    }

    /// The leader's clock, which never goes back from one entry to the next.
    pub(crate) fn stamp(&mut self, now: i64, last: i64) -> i64 {
        *self.proposed_at.get_or_insert(now.max(last))
    }

    pub(crate) fn into_change(self) -> (SharedBytes, Change) {
        (self.payload, self.change)
    }
}

impl fmt::Debug for JournalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.kind.name(), self.payload.len())
    }
}

/// An entry that a replica wants in the journal, and who waits for its outcome.
///
/// Where it is dropped, whoever waits hears [`AppendError::LeadershipLost`].
#[derive(Debug)]
pub struct ProposedEntry {
    /// What it says.
    pub entry: JournalEntry,
    /// Who waits for it.
    pub waiting: WaitingWriter,
}

/// Who waits for the outcome of an entry: given to [`Replica::apply`](super::Replica::apply) with the entry, on the node that proposed
/// it.
#[derive(Debug)]
pub struct WaitingWriter {
    completer: Completer,
    held: Option<Arc<dyn Any + Send + Sync>>,
}

impl WaitingWriter {
    pub(crate) fn new(completer: Completer) -> Self {
        Self { completer, held: None }
    }

    /// Holds something until the outcome is there, such as the room that the entry takes.
    pub fn hold(&mut self, held: Arc<dyn Any + Send + Sync>) {
        self.held = Some(held);
    }

    /// Tells the writer that his entry was not taken, or that its outcome is unknown.
    pub fn refuse(self, error: AppendError) {
        self.completer.complete_alone(Err(error));
    }

    pub(crate) fn into_completer(self) -> Completer {
        self.completer
    }
}
