//! Places in the journal and in the log.

use std::fmt;

/// Names a log entry: who proposed it, and its place. The log itself is not known here.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct LogId {
    /// The term.
    pub term: u64,
    /// The leader of the term.
    pub leader_node: u64,
    /// The log index; 0 stands before the first entry.
    pub index: u64,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index {} of term {} by node {}", self.index, self.term, self.leader_node)
    }
}

/// A range of sequence numbers, both ends included; never empty in a file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SeqRange {
    /// The lowest, from 1.
    pub first: u64,
    /// The highest.
    pub last: u64,
}

impl SeqRange {
    /// True where `first` is at least 1 and not above `last`.
    pub fn is_sane(self) -> bool {
        1 <= self.first && self.first <= self.last
    }

    /// True where `seq` is in it.
    pub fn contains(self, seq: u64) -> bool {
        self.first <= seq && seq <= self.last
    }

    /// How many numbers are in it. Meaningless where the range is not sane.
    pub fn len(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// True where no number is in it.
    pub fn is_empty(self) -> bool {
        self.first > self.last
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.last)
    }
}

/// A range of log indexes, both ends included; never empty in a file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogRange {
    /// The lowest.
    pub first: u64,
    /// The highest.
    pub last: u64,
}

impl fmt::Display for LogRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.last)
    }
}
