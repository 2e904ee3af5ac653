//! What nodes say to each other. How it is encoded is the transport's business.

use tapebook::replica::JournalEntry;
use tapebook_wal::{LogId, Vote};

/// Entries for a follower's log, or none: a heartbeat.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// The leader's vote.
    pub vote: Vote,
    /// The entry before the first one; all zero before the log's first.
    pub previous: LogId,
    /// The entries, without a gap.
    pub entries: Vec<(LogId, JournalEntry)>,
    /// What the leader knows to be committed.
    pub committed: LogId,
}

impl AppendRequest {
    /// The last entry that a follower has which takes it.
    pub fn last(&self) -> LogId {
        self.entries.last().map_or(self.previous, |(log_id, _)| *log_id)
    }
}

/// What a follower says to entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppendAnswer {
    /// It has everything up to here, durably.
    Appended(LogId),
    /// It does not have this entry, which the leader sent on from.
    Conflict(LogId),
    /// It follows somebody else.
    HigherVote(Vote),
}

/// A candidate asks for a vote, or whether it would get one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VoteRequest {
    /// What it would have others vote for.
    pub vote: Vote,
    /// The last entry of its log.
    pub last: LogId,
    /// The leader has asked it to take over.
    pub transfer: bool,
}

/// What a node says to a candidate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VoteAnswer {
    /// What it votes for.
    pub vote: Vote,
    /// Whether the candidate has its vote.
    pub granted: bool,
    /// The last entry of its log.
    pub last: LogId,
}

/// The leader asks a node to take over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TransferRequest {
    /// The leader's vote.
    pub from: Vote,
    /// Who shall lead.
    pub to: u64,
    /// The last entry of the leader's log.
    pub last: LogId,
}
