//! What a frame says.

/// The kind of a frame.
///
/// *Entries* consume a log index and are replicated; *notes* (vote, commit mark, truncate, purge) belong to
/// this node's log alone and consume none.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u8)]
pub enum EntryKind {
    /// A batch of records.
    Batch = 1,
    /// A note: the term and node id that this node votes for. Flag bit 0: the vote is committed.
    Vote = 2,
    /// A membership; its bytes are opaque here.
    Membership = 3,
    /// A note: everything up to `index` is committed.
    CommitMark = 4,
    /// A note: entries after `index` are void; `term` and `leader_node` are those of the entry at `index`.
    Truncate = 5,
    /// A note: entries up to `index` are no longer needed; `term` and `leader_node` are those of that entry.
    Purge = 6,
    /// A change of schema.
    Schema = 7,
    /// Hides a range of sequences.
    Retraction = 8,
    /// Expires producers.
    ProducerExpiry = 9,
    /// Nothing; a new leader's first entry.
    Blank = 10,
    /// Says what a producer's feed numbers mean.
    FeedDeclaration = 11,
}

impl EntryKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Batch,
        Self::Vote,
        Self::Membership,
        Self::CommitMark,
        Self::Truncate,
        Self::Purge,
        Self::Schema,
        Self::Retraction,
        Self::ProducerExpiry,
        Self::Blank,
        Self::FeedDeclaration,
    ];

    /// The kind with this number, or `None` where this version knows of none.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// True for a kind that consumes a log index.
    pub fn is_entry(self) -> bool {
        !matches!(self, Self::Vote | Self::CommitMark | Self::Truncate | Self::Purge)
    }

    /// The kind's name, as `inspect` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Vote => "vote",
            Self::Membership => "membership",
            Self::CommitMark => "commit mark",
            Self::Truncate => "truncate",
            Self::Purge => "purge",
            Self::Schema => "schema",
            Self::Retraction => "retraction",
            Self::ProducerExpiry => "producer expiry",
            Self::Blank => "blank",
            Self::FeedDeclaration => "feed declaration",
        }
    }
}
