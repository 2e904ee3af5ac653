//! Applying what is committed.

use tapebook_wal::{FrameMeta, LogId};

use super::{JournalEntry, Replica};
use crate::Membership;
use crate::commit::ToApply;
use crate::state::StoredMembership;

impl Replica {
    /// Applies committed entries, in log order and each once, publishes what came of them, and answers whoever waits for one of
    /// them on this node. They must be durable here ([`Replica::durable_index`]), whatever other nodes have: readers of the journal find in the
    /// log what is applied, and files never hold what the log behind them lacks.
    pub fn apply(&self, entries: Vec<(LogId, JournalEntry)>) {
        let Some((last, _)) = entries.last() else { return };
        let last = *last;
        assert!(last.index <= self.durable_index(), "what is applied is durable");
        let (count, mut waiting) = (entries.len(), self.log.take_waiting(last.index));
        let to_apply = entries.into_iter().map(|(log_id, entry)| {
            while waiting.pop_front_if(|(index, _)| *index < log_id.index).is_some() {}
            let waiter = waiting.pop_front_if(|(index, _)| *index == log_id.index);
            let meta = FrameMeta {
                kind: entry.kind(),
                flags: entry.flags(),
                term: log_id.term,
                leader_node: log_id.leader_node,
                index: log_id.index,
                proposed_at: entry.proposed_at().unwrap_or_default(),
            };
            let (payload, change) = entry.into_change();
            let completer = waiter.map(|(_, waiter)| waiter.into_completer());
            ToApply { meta, payload, change, completer }
        });
        self.db.committer.apply(to_apply, count);
        self.committed(last);
    }

    /// The last entry that was applied, and the newest membership among the applied entries.
    pub fn applied(&self) -> (LogId, Option<(LogId, Membership)>) {
        let committed = self.db.committer.lock();
        let state = &committed.applier.state;
        let membership = state.membership.as_ref().and_then(StoredMembership::decoded);
        (state.applied, membership)
    }

    /// The rolling hash over everything that was applied, and the last sequence number that it covers: the same on every node
    /// that has applied as much.
    pub fn applied_hash(&self) -> (u64, [u8; 16]) {
        let committed = self.db.committer.lock();
        let state = &committed.applier.state;
        (state.last_seq, state.rolling_hash)
    }
}
