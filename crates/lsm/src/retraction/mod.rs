//! Retractions: which rows readers no longer see, since when, and why.
//!
//! A retraction names a range of sequence numbers of one table, because that is what a wrong import or a busted trade
//! leaves behind. The rows stay where they are; a snapshot leaves them out. What was made is never forgotten: a
//! retraction that is undone stays in the list with its end, so that a reader as of an earlier sequence sees what was
//! seen then.
//!
//! *Boundary*: this module says what retractions mean for a read. How they are made, logged and kept is the engine's
//! business.

mod hidden;
mod retractions;

use std::fmt;

use tapebook_record::TableId;

use crate::manifest::SeqRange;

pub use hidden::{Hidden, Shown};
pub use retractions::Retractions;

/// A range of sequence numbers of one table that is hidden.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retraction {
    /// Its number; they count from 1, in the order in which they were made.
    pub id: u64,
    /// The table whose rows are hidden. Rows of other tables in the same range are not.
    pub table: TableId,
    /// What is hidden.
    pub seqs: SeqRange,
    /// When and why it was made.
    pub made: Change,
    /// When and why it was undone, where it was.
    pub undone: Option<Change>,
}

/// When a retraction began or ended, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The journal's last sequence at that moment: a reader as of that sequence does not see the change yet, one as of
    /// the next does.
    pub at_seq: u64,
    /// The commit clock at that moment, nanoseconds since the epoch, UTC.
    pub at: i64,
    /// Why.
    pub reason: String,
}

impl Retraction {
    /// True where nobody has undone it.
    pub fn stands(&self) -> bool {
        self.undone.is_none()
    }

    /// What was known of it when the journal had reached `seq`; `None` where it was not made yet.
    fn as_of(&self, seq: u64) -> Option<Self> {
        let known = |change: &Change| change.at_seq < seq;
        known(&self.made).then(|| Self { undone: self.undone.clone().filter(known), ..self.clone() })
    }
}

impl fmt::Display for Retraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "retraction {} of table {}, seq {}: {:?}",
            self.id, self.table.0, self.seqs, self.made.reason
        )
    }
}

#[cfg(test)]
mod tests;
