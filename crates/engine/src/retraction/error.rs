//! Why rows were not hidden, or not shown again.

use tapebook_lsm::manifest::SeqRange;

use super::entry::REASON_BYTES_MAX;
use crate::AppendError;

/// Why a retraction was not made or not undone. Nothing was changed, unless the log failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetractError {
    /// The table is not known.
    #[error("table {0:?} is not known")]
    UnknownTable(String),
    /// The range has no sequence number in it.
    #[error(
        "sequences {first}..{last} are not a range; they count from 1, and the first is not above the last"
    )]
    NoRange {
        /// The first, as it came.
        first: u64,
        /// The last, as it came.
        last: u64,
    },
    /// The range goes beyond what the journal holds; later rows cannot be hidden in advance.
    #[error("sequences {seqs} go beyond the journal, whose last sequence is {last_seq}")]
    BeyondJournal {
        /// What was to be hidden.
        seqs: SeqRange,
        /// The last sequence.
        last_seq: u64,
    },
    /// The reason does not do.
    #[error(transparent)]
    Reason(#[from] ReasonError),
    /// The same range of the same table is hidden already.
    #[error("sequences {seqs} of that table are retracted already, by retraction {id}")]
    Standing {
        /// The retraction that stands.
        id: u64,
        /// Its range.
        seqs: SeqRange,
    },
    /// There are as many as can be kept.
    #[error("there are {max} retractions already, more cannot be kept")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// There is no retraction of that number.
    #[error("there is no retraction {id}")]
    NoSuchId {
        /// What was to be undone.
        id: u64,
    },
    /// Nobody retracted exactly that range.
    #[error("sequences {seqs} of that table are not retracted as one range; sys.retractions lists what is")]
    NotRetracted {
        /// What was to be undone.
        seqs: SeqRange,
    },
    /// It was undone before.
    #[error("retraction {id} of sequences {seqs} is undone already, since sequence {at_seq}")]
    UndoneAlready {
        /// The retraction.
        id: u64,
        /// Its range.
        seqs: SeqRange,
        /// The journal's last sequence when it was undone.
        at_seq: u64,
    },
    /// The log refused it or failed. Where it is poisoned, whether the change survives a restart is unknown.
    #[error(transparent)]
    Log(#[from] AppendError),
}

/// Why a text cannot be the reason of a retraction.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReasonError {
    /// It is empty.
    #[error("a retraction needs a reason")]
    Missing,
    /// It is too long.
    #[error("the reason has {bytes} bytes, {REASON_BYTES_MAX} are possible")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not one line of text.
    #[error("the reason has a control character (U+{:04X}); write it on one line", u32::from(*found))]
    Control {
        /// The first one.
        found: char,
    },
}
