//! All retractions, and what they hide together.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapebook_record::TableId;

use super::{Change, Hidden, Retraction};
use crate::manifest::SeqRange;

/// Every retraction that was made, undone ones included. Immutable; cloning shares it, and a change makes a new one.
///
/// *Invariant*: ids are ascending.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Retractions {
    known: Arc<Known>,
}

#[derive(Debug, Default, Eq, PartialEq)]
struct Known {
    all: Vec<Arc<Retraction>>,
    /// The union of what stands, for each table: ascending, without gaps of zero length between two of them.
    hidden: BTreeMap<TableId, Vec<SeqRange>>,
}

impl Retractions {
    /// These retractions, by ascending id.
    pub fn new(all: Vec<Arc<Retraction>>) -> Self {
        debug_assert!(all.is_sorted_by(|a, b| a.id < b.id), "retractions come in the order of their ids");
        let mut hidden: BTreeMap<TableId, Vec<SeqRange>> = BTreeMap::new();
        for retraction in all.iter().filter(|retraction| retraction.stands()) {
            hidden.entry(retraction.table).or_default().push(retraction.seqs);
        }
        hidden.values_mut().for_each(unite);
        Self { known: Arc::new(Known { all, hidden }) }
    }

    /// True where none was ever made.
    pub fn is_empty(&self) -> bool {
        self.known.all.is_empty()
    }

    /// How many were made.
    pub fn len(&self) -> usize {
        self.known.all.len()
    }

    /// All of them, by ascending id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Retraction>> {
        self.known.all.iter()
    }

    /// The one with that id.
    pub fn get(&self, id: u64) -> Option<&Arc<Retraction>> {
        let at = self.known.all.binary_search_by_key(&id, |retraction| retraction.id).ok()?;
        self.known.all.get(at)
    }

    /// The one with exactly that table and range: the one that stands, else the newest that was undone.
    pub fn of_range(&self, table: TableId, seqs: SeqRange) -> Option<&Arc<Retraction>> {
        let same = |retraction: &&Arc<Retraction>| retraction.table == table && retraction.seqs == seqs;
        let standing = self.iter().filter(same).find(|retraction| retraction.stands());
        standing.or_else(|| self.iter().rfind(same))
    }

    /// These and one more, whose id is above all others.
    #[must_use]
    pub fn with(&self, retraction: Retraction) -> Self {
        Self::new(self.iter().cloned().chain([Arc::new(retraction)]).collect())
    }

    /// These, of which one is undone.
    #[must_use]
    pub fn with_undone(&self, id: u64, undone: &Change) -> Self {
        let end = |retraction: &Arc<Retraction>| {
            if retraction.id != id {
                return Arc::clone(retraction);
            }
            Arc::new(Retraction { undone: Some(undone.clone()), ..Retraction::clone(retraction) })
        };
        Self::new(self.iter().map(end).collect())
    }

    /// What was known of them when the journal had reached `seq`.
    #[must_use]
    pub fn as_of(&self, seq: u64) -> Self {
        Self::new(self.iter().filter_map(|retraction| retraction.as_of(seq)).map(Arc::new).collect())
    }

    /// What a reader does not see of a table, who sees the journal up to `visible_seq`.
    #[inline]
    pub fn hidden(&self, table: TableId, visible_seq: u64) -> Hidden<'_> {
        let ranges = self.known.hidden.get(&table).map_or(&[][..], Vec::as_slice);
        Hidden::new(ranges, visible_seq)
    }
}

/// Joins ranges that overlap or touch.
fn unite(ranges: &mut Vec<SeqRange>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joined = next.first <= kept.last.saturating_add(1);
        if joined {
            kept.last = kept.last.max(next.last);
        }
        joined
    });
}
