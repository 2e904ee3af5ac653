//! Why a producer's batch was not applied.

/// Why a producer's batch was not applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerRefusal {
    /// A batch before this one is missing; send again from there, in order.
    #[error("producer {producer}: batch number {found}, expected {expected}; send the missing batches first")]
    Gap {
        /// The producer.
        producer: u64,
        /// The number that comes next.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A newer epoch of the same producer has written; this one is fenced off.
    #[error("producer {producer}: epoch {found} is fenced off by epoch {current}")]
    Fenced {
        /// The producer.
        producer: u64,
        /// The newest epoch.
        current: u32,
        /// The epoch that came.
        found: u32,
    },
    /// The batch was applied so long ago that its receipt is gone.
    #[error(
        "producer {producer}: batch number {found} was applied long ago, only the receipts from {oldest} on are kept"
    )]
    TooOld {
        /// The producer.
        producer: u64,
        /// The oldest number whose receipt is kept.
        oldest: u64,
        /// The number that came.
        found: u64,
    },
    /// The producer has expired, so it is no longer known which of its batches were applied.
    #[error("producer {producer} has expired; it goes on with batch number 1 of an epoch above {epoch}")]
    Expired {
        /// The producer.
        producer: u64,
        /// Its last epoch.
        epoch: u32,
    },
    /// There are too many producers.
    #[error("producer {producer} is new, and there are already {max}")]
    TooMany {
        /// The producer.
        producer: u64,
        /// The bound.
        max: usize,
    },
    /// Nobody of that id is known.
    #[error("there is no producer {producer}")]
    Unknown {
        /// The id.
        producer: u64,
    },
}
