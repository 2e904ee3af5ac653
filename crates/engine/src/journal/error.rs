//! Why the journal cannot be read.

use tapebook_record::BatchError;
use tapebook_wal::{ArchiveError, ReadError};

use crate::FlushError;

/// Why the journal cannot be read, or not that far back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The journal is no longer kept from there on.
    #[error("the journal is kept from seq {first_seq} on, seq {wanted} is gone; see `journal_retention`")]
    Gone {
        /// The sequence number that was asked for; where a time was asked for, the last one that may belong to it and is
        /// gone.
        wanted: u64,
        /// The first one that is kept.
        first_seq: u64,
    },
    /// The journal has not come that far.
    #[error("the journal goes on with seq {next_seq}, it cannot be followed from seq {wanted} on")]
    Ahead {
        /// The sequence number that was asked for.
        wanted: u64,
        /// The one that the next row gets.
        next_seq: u64,
    },
    /// A file of the archive is damaged or cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The log is damaged or cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// A batch is not what was written, under checksums that are right.
    #[error("entry {index}: {source}")]
    Batch {
        /// The entry.
        index: u64,
        /// What is wrong.
        source: BatchError,
    },
    /// The sequence numbers do not follow one another.
    #[error("entry {index} gives seq {found}, expected {expected}")]
    Order {
        /// The entry.
        index: u64,
        /// The next sequence number.
        expected: u64,
        /// What was found.
        found: u64,
    },
    /// Archive and log end before what was applied.
    #[error("the journal is stored up to seq {found}, and seq {expected} was applied")]
    Short {
        /// The last sequence number that was applied.
        expected: u64,
        /// The last one that is stored.
        found: u64,
    },
    /// The database cannot say which files count.
    #[error(transparent)]
    Database(#[from] FlushError),
    /// The database is closed.
    #[error("the database is closed")]
    Closed,
}
