//! The write-ahead log alone, with an owner that only counts.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use tapebook_record::EncodedBatch;
use tapebook_vfs::Vfs;
use tapebook_wal::{
    AppendError, DurableEntry, DurableSink, FRAME_ALIGN, FRAME_HEADER_BYTES, LogIdentity, Proposal,
    RecoveryOptions, Wal, WalError, WalOptions, recover,
};

use crate::AnyError;

const IDENTITY: LogIdentity = LogIdentity { cluster_id: 7, node_id: 1 };

/// Tells whoever sent a ticket that its entry is durable.
pub struct Told;

impl DurableSink for Told {
    type Ticket = Option<Sender<()>>;

    fn durable(&self, entries: &mut Vec<DurableEntry<Self::Ticket>>) {
        for sender in entries.drain(..).filter_map(|entry| entry.ticket) {
            // Nobody waits any more where the receiver is gone.
            let _ = sender.send(());
        }
    }

    fn failed(&self, tickets: Vec<Self::Ticket>, error: &WalError) {
        drop(tickets);
        eprintln!("the log failed: {error}");
    }
}

/// Opens a new log.
pub fn open(vfs: &Arc<dyn Vfs>, dir: &Path, options: WalOptions) -> Result<Wal<Told>, AnyError> {
    let recovered = recover(vfs, dir, IDENTITY, &RecoveryOptions::default(), &mut |_| Ok(()))?;
    Ok(Wal::start(Arc::clone(vfs), options, recovered, Arc::new(Told))?)
}

/// A batch on its way into the log.
pub fn proposal(batch: &EncodedBatch) -> Proposal {
    Proposal::batch(1, IDENTITY.node_id, batch.bytes().clone())
}

/// What remains of a refusal without its ticket.
pub fn refused<T>(refused: AppendError<T>) -> WalError {
    refused.error
}

/// The bytes that a payload takes in the log.
pub fn frame_bytes(payload_bytes: usize) -> usize {
    FRAME_HEADER_BYTES + payload_bytes.next_multiple_of(FRAME_ALIGN)
}
