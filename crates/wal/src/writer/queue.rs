//! What is admitted and not yet written, and who may write.

use std::collections::VecDeque;

use tapebook_record::SharedBytes;

use super::plan::{Placement, Plan};
use super::prepare::{Preparation, Spare};
use crate::format::FrameMeta;
use crate::format::{EntryKind, MEMBERSHIP_BYTES_MAX, frame_bytes};
use crate::state::{index_problem, next_index_behind};
use crate::{Proposal, WalError, WalOptions};

/// An admitted entry.
#[derive(Debug)]
pub(crate) struct Queued<T> {
    pub placement: Placement,
    pub meta: FrameMeta,
    pub payload: SharedBytes,
    pub ticket: T,
}

impl<T> Queued<T> {
    pub fn frame_bytes(&self) -> usize {
        frame_bytes(self.payload.len())
    }
}

/// Behind the queue's lock: everything that admission decides on.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    pub entries: VecDeque<Queued<T>>,
    /// Bytes of admitted frames that no sync covers yet.
    pub unsynced_bytes: u64,
    /// True while somebody holds the writer's role.
    pub writing: bool,
    pub poisoned: Option<WalError>,
    pub closing: bool,
    pub next_index: u64,
    pub last_proposed_at: i64,
    /// The last entry that is durable, truncations that are not durable yet aside.
    pub synced_index: u64,
    /// What truncations keep that are admitted and not durable yet.
    pub truncations: VecDeque<u64>,
    pub plan: Plan,
    /// Prepared files, the first `reserved` of them promised to admitted entries.
    pub spares: Vec<Spare>,
    pub reserved: usize,
    pub preparation: Preparation,
}

impl<T> Queue<T> {
    /// Why nothing is admitted any more.
    pub fn refusal(&self) -> Option<WalError> {
        self.poisoned.clone().or_else(|| self.closing.then_some(WalError::Closed))
    }

    /// Spares that nobody was promised.
    pub fn free_spares(&self) -> usize {
        self.spares.len() - self.reserved
    }

    /// True where `bytes` more have to wait for a sync.
    pub fn is_full(&self, bytes: usize, options: &WalOptions) -> bool {
        self.unsynced_bytes > 0 && self.unsynced_bytes + bytes as u64 > options.unsynced_bytes_max
    }

    /// The index that the proposal gets.
    pub fn index_of(&self, proposal: &Proposal) -> Result<u64, WalError> {
        let given = if proposal.kind.is_entry() { self.next_index } else { self.next_index - 1 };
        let found = proposal.index.unwrap_or(given);
        match index_problem(self.next_index, proposal.kind, found) {
            Some(expected) => Err(WalError::Index { expected, found }),
            None => Ok(found),
        }
    }

    /// Admits a proposal that was checked and that room was found for.
    pub fn admit(&mut self, proposal: Proposal, index: u64, now: i64, ticket: T) {
        let bytes = frame_bytes(proposal.payload.len());
        let placement = self.plan.place(bytes);
        self.reserved += usize::from(placement.begins_segment);
        self.unsynced_bytes += bytes as u64;
        let proposed_at = proposal.proposed_at.unwrap_or_else(|| now.max(self.last_proposed_at));
        if proposal.kind.is_entry() {
            self.last_proposed_at = self.last_proposed_at.max(proposed_at);
        }
        self.next_index = next_index_behind(self.next_index, proposal.kind, index);
        if proposal.kind == EntryKind::Truncate {
            self.truncations.push_back(index);
        }
        let meta = FrameMeta {
            kind: proposal.kind,
            flags: proposal.flags,
            term: proposal.term,
            leader_node: proposal.leader_node,
            index,
            proposed_at,
        };
        self.entries.push_back(Queued { placement, meta, payload: proposal.payload, ticket });
    }
}

/// Refuses a payload that is too long for its kind.
pub(crate) fn check_payload(proposal: &Proposal, options: &WalOptions) -> Result<(), WalError> {
    let max = match proposal.kind {
        EntryKind::Membership => MEMBERSHIP_BYTES_MAX.min(options.payload_bytes_max as usize),
        _ => options.payload_bytes_max as usize,
    };
    let found = proposal.payload.len();
    if found > max { Err(WalError::PayloadTooLong { found, max }) } else { Ok(()) }
}
