//! What an open database says of its producers, and ending one.

use tapebook_record::SharedBytes;
use tapebook_wal::{EntryKind, Proposal};

use super::{Expiry, ProducerExpiry, ProducerRefusal, ProducerState};
use crate::append::{Completer, Completion, PendingAppend};
use crate::commit::{Change, Ticket};
use crate::{AppendError, Db};

impl Db {
    /// What is known of a producer.
    pub fn producer(&self, id: u64) -> Option<ProducerState> {
        self.committer.lock().applier.state.producers.get(id).map(|state| ProducerState::clone(state))
    }

    /// Ends a producer: its batches are refused until it comes with a greater epoch, and its receipts are forgotten. Who is
    /// idle for [`Options::producer_idle_max`](crate::Options::producer_idle_max) expires by itself.
    pub fn expire_producer(&self, id: u64) -> Result<PendingAppend, AppendError> {
        let Some(known) = self.producer(id) else {
            return Err(ProducerRefusal::Unknown { producer: id }.into());
        };
        let expiry = Expiry { producer: id, epoch: known.epoch, through_number: u64::MAX };
        let entry = ProducerExpiry { expiries: vec![expiry] };
        let payload = SharedBytes::from(&*entry.encode());
        self.propose_change(EntryKind::ProducerExpiry, payload, Change::Expire(entry))
    }

    /// Has an entry that is no batch synced and applied.
    pub(crate) fn propose_change(
        &self,
        kind: EntryKind,
        payload: SharedBytes,
        change: Change,
    ) -> Result<PendingAppend, AppendError> {
        let completion = Completion::new(&self.committer.waiters);
        let proposal = Proposal::entry(kind, self.term, self.node_id, payload);
        let ticket = Ticket { change, completer: Completer::new(&completion) };
        let wal = self.wal.as_deref().ok_or(AppendError::Closed)?;
        wal.append(proposal, ticket).map_err(|refused| AppendError::Log(refused.error))?;
        Ok(PendingAppend { completion })
    }
}
