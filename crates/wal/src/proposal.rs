//! What is proposed to the log.

use tapebook_record::SharedBytes;

use crate::format::{EntryKind, LogId, Vote};
use crate::state::VOTE_COMMITTED_FLAG;

/// An entry or note on its way into the log.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The kind.
    pub kind: EntryKind,
    /// Bits whose meaning depends on the kind.
    pub flags: u16,
    /// The term.
    pub term: u64,
    /// The leader of the term.
    pub leader_node: u64,
    /// The log index. `None` for an entry: the next one. `None` for a note: the last one.
    pub index: Option<u64>,
    /// The proposer's clock. `None`: this node's clock, and never before the entry before. A follower passes on what
    /// the leader stamped.
    pub proposed_at: Option<i64>,
    /// The payload. It is shared, never copied as a whole.
    pub payload: SharedBytes,
}

impl Proposal {
    /// An entry whose index and clock the log gives.
    pub fn entry(kind: EntryKind, term: u64, leader_node: u64, payload: SharedBytes) -> Self {
        Self { kind, flags: 0, term, leader_node, index: None, proposed_at: None, payload }
    }

    /// A batch of records.
    pub fn batch(term: u64, leader_node: u64, payload: SharedBytes) -> Self {
        Self::entry(EntryKind::Batch, term, leader_node, payload)
    }

    /// A note of this node's vote.
    pub fn vote(vote: Vote) -> Self {
        let note = Self::note(EntryKind::Vote, LogId { term: vote.term, leader_node: vote.node, index: 0 });
        Self { flags: if vote.committed { VOTE_COMMITTED_FLAG } else { 0 }, index: None, ..note }
    }

    /// A note that everything up to `log_id` is committed.
    pub fn commit_mark(log_id: LogId) -> Self {
        Self::note(EntryKind::CommitMark, log_id)
    }

    /// A note that everything after `last_kept` is void.
    pub fn truncate(last_kept: LogId) -> Self {
        Self::note(EntryKind::Truncate, last_kept)
    }

    /// A note that everything up to `last_purged` is no longer needed. Where the log ends before it, as after a
    /// snapshot from another node, the log goes on behind it.
    pub fn purge(last_purged: LogId) -> Self {
        Self::note(EntryKind::Purge, last_purged)
    }

    fn note(kind: EntryKind, log_id: LogId) -> Self {
        Self {
            kind,
            flags: 0,
            term: log_id.term,
            leader_node: log_id.leader_node,
            index: Some(log_id.index),
            proposed_at: None,
            payload: SharedBytes::default(),
        }
    }
}
