//! What the log says so far: kept up to date frame by frame, by the writer and by recovery alike.

use crate::format::{EntryKind, FrameMeta, LogId, Membership, SegmentHeader, Vote};

/// Bit 0 of a vote's flags.
pub(crate) const VOTE_COMMITTED_FLAG: u16 = 1;

/// The newest of everything that a later segment's header restates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogState {
    /// The checksum of the last frame.
    pub chain: u32,
    /// The last entry.
    pub last_log_id: LogId,
    /// The newest `proposed_at` of an entry.
    pub last_proposed_at: i64,
    /// The newest commit mark; 0 where there was none.
    pub commit_index: u64,
    /// The newest vote.
    pub vote: Option<Vote>,
    /// The newest purge note.
    pub purge: Option<LogId>,
    /// The newest membership.
    pub membership: Option<Membership>,
    /// The one before, to fall back to when the newest is truncated. A header does not restate it.
    previous_membership: Option<Membership>,
}

/// An index that cannot follow the entries before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct IndexGap {
    pub expected: u64,
    pub found: u64,
}

impl LogState {
    /// The state in front of a segment's first frame.
    pub(crate) fn before_segment(header: &SegmentHeader) -> Self {
        Self {
            chain: header.chain,
            last_log_id: header.last_log_id,
            last_proposed_at: header.last_proposed_at,
            commit_index: header.commit_index,
            vote: header.vote,
            purge: header.purge,
            membership: header.membership.clone(),
            previous_membership: None,
        }
    }

    /// The index that the next entry has.
    pub fn next_index(&self) -> u64 {
        next_index_after(self.last_log_id.index)
    }

    /// Takes note of the next frame.
    pub(crate) fn observe(&mut self, meta: &FrameMeta, payload: &[u8], crc: u32) -> Result<(), IndexGap> {
        let log_id = LogId { term: meta.term, leader_node: meta.leader_node, index: meta.index };
        if let Some(expected) = index_problem(self.next_index(), meta.kind, meta.index) {
            return Err(IndexGap { expected, found: meta.index });
        }
        match meta.kind {
            EntryKind::Vote => {
                let committed = meta.flags & VOTE_COMMITTED_FLAG != 0;
                self.vote = Some(Vote { term: meta.term, node: meta.leader_node, committed });
            }
            EntryKind::CommitMark => self.commit_index = self.commit_index.max(meta.index),
            EntryKind::Truncate => {
                self.last_log_id = log_id;
                if self.membership.as_ref().is_some_and(|newest| newest.log_id.index > meta.index) {
                    self.membership = self.previous_membership.take();
                }
            }
            EntryKind::Purge => {
                self.purge = Some(log_id);
                if log_id.index > self.last_log_id.index {
                    self.last_log_id = log_id;
                }
            }
            _ => {
                self.last_log_id = log_id;
                self.last_proposed_at = self.last_proposed_at.max(meta.proposed_at);
                if meta.kind == EntryKind::Membership {
                    let newest = Membership { log_id, bytes: payload.to_vec() };
                    self.previous_membership = self.membership.replace(newest);
                }
            }
        }
        self.chain = crc;
        Ok(())
    }
}

fn next_index_after(index: u64) -> u64 {
    index.saturating_add(1)
}

/// The index that was expected, where a frame with `index` cannot follow.
pub(crate) fn index_problem(next_index: u64, kind: EntryKind, index: u64) -> Option<u64> {
    match kind {
        EntryKind::Truncate => (index >= next_index).then(|| next_index - 1),
        kind if kind.is_entry() => (index != next_index).then_some(next_index),
        _ => None,
    }
}

/// The index of the entry after a frame that may follow.
pub(crate) fn next_index_behind(next_index: u64, kind: EntryKind, index: u64) -> u64 {
    match kind {
        EntryKind::Truncate => next_index_after(index),
        EntryKind::Purge => next_index.max(next_index_after(index)),
        kind if kind.is_entry() => next_index_after(index),
        _ => next_index,
    }
}
