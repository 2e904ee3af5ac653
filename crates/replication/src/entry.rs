//! An entry as the consensus library carries it: the engine's entry under its place.

use std::fmt;

use tapebook::Membership;
use tapebook::replica::{JournalEntry, ProposedEntry, WaitingWriter};
use tapebook_wal::{EntryKind, LogId};

use crate::raft::{RaftLogId, RaftMembership, from_raft, membership_from_raft, membership_to_raft, to_raft};

/// What a writer proposes.
pub(crate) struct Proposed(pub ProposedEntry);

/// What an entry says, and on the node that proposed it who waits for it.
pub(crate) struct RaftPayload {
    pub entry: JournalEntry,
    pub waiting: Option<WaitingWriter>,
}

/// An entry under its place.
pub(crate) struct RaftEntry {
    log_id: RaftLogId,
    pub payload: RaftPayload,
}

impl RaftEntry {
    /// An entry that was logged; never the one before the first.
    pub fn logged(log_id: LogId, entry: JournalEntry) -> Self {
        let log_id = to_raft(log_id).expect("entries are counted from 1");
        Self { log_id, payload: RaftPayload { entry, waiting: None } }
    }

    pub fn into_parts(self) -> (LogId, JournalEntry, Option<WaitingWriter>) {
        (from_raft(&self.log_id), self.payload.entry, self.payload.waiting)
    }
}

impl openraft::entry::RaftPayload for RaftPayload {
    type D = Proposed;
    type NodeId = u64;
    type Node = String;

    fn blank() -> Self {
        Self { entry: JournalEntry::blank(), waiting: None }
    }

    fn with_normal(self, Proposed(ProposedEntry { entry, waiting }): Proposed) -> Self {
        Self { entry, waiting: Some(waiting) }
    }

    fn with_membership(self, membership: RaftMembership) -> Self {
        Self { entry: JournalEntry::membership(&membership_from_raft(&membership)), waiting: self.waiting }
    }

    fn get_membership(&self) -> Option<RaftMembership> {
        if self.entry.kind() != EntryKind::Membership {
            return None;
        }
        // It was decoded before the entry was made.
        Membership::decode(self.entry.payload()).ok().map(|membership| membership_to_raft(&membership))
    }
}

impl openraft::entry::RaftEntry for RaftEntry {
    type CommittedLeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
    type Payload = RaftPayload;

    fn new(log_id: RaftLogId, payload: RaftPayload) -> Self {
        Self { log_id, payload }
    }

    fn log_id_parts(&self) -> (&Self::CommittedLeaderId, u64) {
        (&self.log_id.leader_id, self.log_id.index)
    }

    fn set_log_id(&mut self, log_id: RaftLogId) {
        self.log_id = log_id;
    }

    fn get_membership(&self) -> Option<RaftMembership> {
        openraft::entry::RaftPayload::get_membership(&self.payload)
    }
}

impl fmt::Debug for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.entry.fmt(f)
    }
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Debug for RaftPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}

impl fmt::Display for RaftPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Debug for RaftEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.log_id, self.payload)
    }
}

impl fmt::Display for RaftEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
