//! The owner's side of the log: who hears that an entry is durable.

use tapebook_record::SharedBytes;

use crate::WalError;
use crate::format::{FrameMeta, LogPosition, SegmentFacts};

/// An entry or note that survives a power cut from now on.
#[derive(Debug)]
pub struct DurableEntry<T> {
    /// Where it lies.
    pub position: LogPosition,
    /// What was written of it.
    pub meta: FrameMeta,
    /// Its payload, the bytes that were handed in.
    pub payload: SharedBytes,
    /// The ticket that was handed in with it.
    pub ticket: T,
}

/// Takes durable entries, in log order, one call at a time.
///
/// It is called in the thread that wrote the group: a caller of [`Wal::append`](crate::Wal::append) or the log's own
/// thread. The next group may be written meanwhile. It must not call the log's waiting functions; a panic poisons the
/// log.
pub trait DurableSink: Send + Sync + 'static {
    /// What travels with an entry from its proposal to its completion: the cell that its writer waits on.
    type Ticket: Send + 'static;

    /// Entries that the sync before this call covers. It takes them out of `entries`; the memory is used again.
    fn durable(&self, entries: &mut Vec<DurableEntry<Self::Ticket>>);

    /// Entries whose outcome is unknown, because the log is poisoned, or that were never written, because it is
    /// closed. Never concurrent with [`DurableSink::durable`].
    fn failed(&self, tickets: Vec<Self::Ticket>, error: &WalError);

    /// What the header of the next segment says of the entries applied so far. Called while the log is rolled, maybe
    /// during a call of [`DurableSink::durable`] in another thread.
    fn segment_facts(&self) -> SegmentFacts {
        SegmentFacts::default()
    }
}
