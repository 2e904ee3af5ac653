//! What an open database says of its producers, and ending one.

use tapebook_record::SharedBytes;
use tapebook_wal::EntryKind;

use super::{Expiry, ProducerExpiry, ProducerRefusal, ProducerState};
use crate::append::PendingAppend;
use crate::commit::Change;
use crate::proposals::Handing;
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
        self.propose_change(EntryKind::ProducerExpiry, payload, Change::Expire(entry), Handing::Write)
    }
}
