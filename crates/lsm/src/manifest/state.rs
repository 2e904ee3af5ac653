//! What a state file says about itself, and the sections that it carries.

use super::{LogId, StateRef};

/// The longest state file that is read or written.
pub const STATE_BYTES_MAX: u64 = 1 << 30;
/// The longest content of one section.
pub const STATE_SECTION_BYTES_MAX: u32 = 512 << 20;

/// What the sections of a state file include, and who wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StateHeader {
    /// The cluster that it belongs to.
    pub cluster_id: u128,
    /// The node that wrote it; another one where it came with a snapshot.
    pub node_id: u64,
    /// Its number, as in its name on the node that wrote it.
    pub file_id: u64,
    /// The last log entry that it includes.
    pub applied: LogId,
    /// The last sequence number given by then.
    pub last_seq: u64,
    /// The epoch of the journal.
    pub epoch: u64,
    /// The rolling hash over everything applied by then.
    pub rolling_hash: [u8; 16],
    /// The commit clock of the last entry, nanoseconds since the epoch, UTC.
    pub commit_clock: i64,
}

impl StateHeader {
    /// What an edit records about this file.
    pub fn to_ref(&self) -> StateRef {
        let Self { file_id, applied, last_seq, rolling_hash, .. } = *self;
        StateRef { file_id, applied, last_seq, rolling_hash }
    }
}

/// A part of a state file. What the bytes mean is the engine's business.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateSection {
    /// What it holds; each tag at most once in a file.
    pub tag: SectionTag,
    /// The version of its content.
    pub version: u16,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What a section holds.
///
/// On disk a `u16`. A file with an unknown tag below `0x8000` is refused; a section with a higher one is skipped.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u16)]
pub enum SectionTag {
    /// Names and handles of symbols.
    Symbols = 1,
    /// Tables and their layout versions.
    Schemas = 2,
    /// Producers with their epochs, last batch numbers and receipts.
    Producers = 3,
    /// What each feed's numbers mean, and the last ones.
    Feeds = 4,
    /// Missing feed numbers.
    Gaps = 5,
    /// Retractions.
    Retractions = 6,
    /// Access tokens.
    Tokens = 7,
    /// The cluster's membership.
    Membership = 8,
    /// Settings.
    Settings = 9,
}

impl SectionTag {
    /// Every tag, ascending.
    pub const ALL: [Self; 9] = [
        Self::Symbols,
        Self::Schemas,
        Self::Producers,
        Self::Feeds,
        Self::Gaps,
        Self::Retractions,
        Self::Tokens,
        Self::Membership,
        Self::Settings,
    ];

    /// The tag with this number.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| *tag as u16 == number)
    }
}
