//! Why rows were not written, or why nobody knows.

use std::time::Duration;

use tapebook_record::PushError;

use crate::{ClientError, Refused};

/// Why rows were not written, or why nobody knows. Cheap enough to clone, because one cause concerns many batches.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// A row cannot be put into a batch. Nothing of it was sent.
    #[error(transparent)]
    Row(#[from] PushError),
    /// A batch has no rows.
    #[error("the batch has no rows")]
    Empty,
    /// The server refused the batch, and it was not written. Later ones go on, unless
    /// [`crate::ProducerOptions::end_at_refusal`] says that they must not.
    #[error("the batch was refused: {0}")]
    Refused(Refused),
    /// A newer epoch of the same producer writes: another process took over. What had no receipt may have been written.
    #[error("producer {id} was taken over with epoch {current}; this one has {own}")]
    Fenced {
        /// The producer.
        id: u64,
        /// The newest epoch.
        current: u32,
        /// The epoch of this one.
        own: u32,
    },
    /// The producer was ended at the server. It can begin again with a greater epoch.
    #[error("producer {id} has expired at the server; open it again")]
    Expired {
        /// The producer.
        id: u64,
    },
    /// The server knows less than it had acknowledged, or another history.
    #[error("the server's journal is not the one that was written to: {0}")]
    OtherJournal(String),
    /// No answer came in the time that there was. The batch may have been written or not: the same rows must not be sent under
    /// another number before that is looked up.
    #[error("no answer for {} s, and whether the batch was written is not known: {last}", .given_up_after.as_secs_f32())]
    UnknownOutcome {
        /// How long it was tried.
        given_up_after: Duration,
        /// What the last attempt said.
        last: String,
    },
    /// The batch was never sent, because an earlier one could not be settled.
    #[error("not sent: {0}")]
    NotSent(Box<ProducerError>),
    /// The server could not be asked about the producer.
    #[error(transparent)]
    Open(#[from] ClientError),
    /// The runtime in which the producer lives has ended.
    #[error("the producer has ended")]
    Ended,
}
