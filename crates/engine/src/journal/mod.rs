//! The journal, read in order: from the archive as far as that goes, then from the log, and what has just come from memory.
//!
//! [`JournalReader`] reads up to what was applied when it began. [`JournalFollower`] reads on for as long as the database is
//! open: what is stored as a reader does, and from then on from the *tail*, the newest batches, which the commit pipeline puts
//! there when they are published. A follower that keeps up neither reads the disk nor decodes anything again.
//!
//! *Invariant*: nothing is in the tail that is not durable and published. Every batch is handed out once, in the order of its
//! sequence numbers, wherever it is read from: the places are changed by sequence number alone.

mod changed;
mod error;
mod follower;
mod source;
mod start;
mod stored;
mod tail;

use tapebook_lsm::manifest::Version;
use tapebook_record::{EncodedBatch, SharedBytes};
use tapebook_wal::JournalPoint;

use crate::state::from_manifest;

pub use changed::JournalChanged;
pub use error::JournalError;
pub use follower::JournalFollower;
pub use start::JournalStart;
pub use stored::JournalReader;

pub(crate) use tail::{Published, Tail};

/// A batch as it stands in the journal.
#[derive(Clone, Debug)]
pub struct JournalBatch {
    /// The sequence number of its first row.
    pub first_seq: u64,
    /// The log entry that brought it.
    pub index: u64,
    /// The commit clock of that entry, nanoseconds since the epoch.
    pub commit_clock: i64,
    /// The rows.
    pub batch: EncodedBatch,
}

impl JournalBatch {
    /// The sequence number of its last row.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + self.batch.len() as u64 - 1
    }
}

/// The point of the journal that the state file holds.
pub(crate) fn flushed(version: &Version) -> JournalPoint {
    version.state().map_or(JournalPoint::default(), |state| JournalPoint {
        entry: from_manifest(state.applied),
        last_seq: state.last_seq,
        rolling_hash: state.rolling_hash,
    })
}

fn decode(index: u64, payload: SharedBytes) -> Result<EncodedBatch, JournalError> {
    EncodedBatch::from_log(payload).map_err(|source| JournalError::Batch { index, source })
}
