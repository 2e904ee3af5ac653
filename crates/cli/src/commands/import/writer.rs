//! Who makes batches durable: the database of a directory, or a server.

use futures::FutureExt;
use tapebook::{AppendError, Batch, Db, Durability, PendingAppend};
use tapebook_client::{AppendedBatch, Producer, ProducerError};
use tokio::runtime::Runtime;

/// Who makes batches durable.
#[derive(Debug)]
pub(super) enum Writer<'a> {
    Database(&'a Db),
    /// The producer numbers the batches itself; it was opened to go on where the import does.
    Server(&'a Runtime, Producer),
}

/// A batch that is on its way.
#[derive(Debug)]
pub(super) enum Pending {
    Database(PendingAppend),
    Server(AppendedBatch),
}

/// Why a batch did not become durable.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Database(#[from] AppendError),
    #[error(transparent)]
    Server(#[from] ProducerError),
}

impl Writer<'_> {
    pub(super) fn append(&self, batch: Batch) -> Result<Pending, WriteError> {
        match self {
            Self::Database(db) => {
                Ok(Pending::Database(db.append_encoded(batch.encode(), Durability::Buffered)?))
            }
            Self::Server(runtime, producer) => Ok(Pending::Server(runtime.block_on(producer.append(batch))?)),
        }
    }

    /// Waits until it is durable; the first and the last sequence.
    pub(super) fn wait(&self, pending: Pending) -> Result<(u64, u64), WriteError> {
        match (self, pending) {
            (_, Pending::Database(pending)) => {
                let receipt = pending.wait()?;
                Ok((receipt.first_seq, receipt.last_seq))
            }
            (Self::Server(runtime, _), Pending::Server(pending)) => {
                let receipt = runtime.block_on(pending)?;
                Ok((receipt.first_seq, receipt.last_seq))
            }
            (Self::Database(_), Pending::Server(_)) => Err(ProducerError::Ended.into()),
        }
    }
}

impl Pending {
    /// True where there is nothing more to wait for.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Database(pending) => pending.poll_receipt().is_some(),
            Self::Server(pending) => pending.clone().now_or_never().is_some(),
        }
    }
}
