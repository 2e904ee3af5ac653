//! Retracting rows of an open database, and taking that back.

use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use tapebook_lsm::manifest::SeqRange;
use tapebook_lsm::retraction::Retraction;
use tapebook_lsm::snapshot::Snapshot;
use tapebook_record::{SharedBytes, TableSchema};
use tapebook_wal::EntryKind;

use super::entry::{check_optional_reason, check_reason};
use super::{RetractError, RetractionEntry};
use crate::Db;
use crate::commit::Change;
use crate::proposals::Handing;

/// Which retraction is meant: by its number, or by its table and range.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RetractionName<'a> {
    /// By number.
    Id(u64),
    /// By what it hides: exactly this range of this table.
    Range {
        /// The table.
        table: &'a str,
        /// The sequence numbers, both ends included.
        seqs: RangeInclusive<u64>,
    },
}

impl From<u64> for RetractionName<'_> {
    fn from(id: u64) -> Self {
        Self::Id(id)
    }
}

impl<'a> From<(&'a str, RangeInclusive<u64>)> for RetractionName<'a> {
    fn from((table, seqs): (&'a str, RangeInclusive<u64>)) -> Self {
        Self::Range { table, seqs }
    }
}

/// A change of the retractions that is durable and seen by every snapshot from now on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetractionReceipt {
    /// The retraction's number.
    pub id: u64,
    /// What it hides.
    pub seqs: SeqRange,
    /// The journal's last sequence when the change took effect: [`Snapshot::as_of`] this sequence reads as before it.
    pub at_seq: u64,
}

/// What travels with a retraction's entry through the log: the decoded entry, and the place for the answer.
#[derive(Debug)]
pub(crate) struct Proposed {
    pub entry: RetractionEntry,
    pub outcome: OnceLock<Result<RetractionReceipt, RetractError>>,
}

impl Db {
    /// Hides a range of sequences of one table from every snapshot that is taken from now on, and says why. The rows
    /// stay stored, and [`Snapshot::as_of`] an earlier sequence still shows them. Ranges may overlap others: hidden is
    /// what any of them hides. Returns when the change is synced and seen.
    ///
    /// ```no_run
    /// # let db = tapebook::Db::open("data")?;
    /// let receipt = db.retract("trades", 1_001..=1_250, "imported twice")?;
    /// let before = db.snapshot().as_of(receipt.at_seq)?;
    /// db.undo_retraction(receipt.id, "it was not")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retract(
        &self,
        table: &str,
        seqs: RangeInclusive<u64>,
        reason: &str,
    ) -> Result<RetractionReceipt, RetractError> {
        let snapshot = self.snapshot();
        let table = known_table(&snapshot, table)?.id;
        let seqs = sane_range(&seqs)?;
        check_reason(reason)?;
        check_range(seqs, snapshot.visible_seq())?;
        self.propose_retraction(RetractionEntry::Retract { table, seqs, reason: reason.to_owned() })
    }

    /// Shows again what a retraction hides, as far as no other one hides it. The reason may be empty.
    pub fn undo_retraction<'a>(
        &self,
        name: impl Into<RetractionName<'a>>,
        reason: &str,
    ) -> Result<RetractionReceipt, RetractError> {
        check_optional_reason(reason)?;
        let snapshot = self.snapshot();
        let found = match name.into() {
            RetractionName::Id(id) => snapshot.retractions().get(id).ok_or(RetractError::NoSuchId { id })?,
            RetractionName::Range { table, seqs } => {
                let table = known_table(&snapshot, table)?.id;
                let seqs = sane_range(&seqs)?;
                let of_range = snapshot.retractions().of_range(table, seqs);
                of_range.ok_or(RetractError::NotRetracted { seqs })?
            }
        };
        let id = standing(found)?.id;
        self.propose_retraction(RetractionEntry::Undo { id, reason: reason.to_owned() })
    }

    /// Has an entry synced and applied. What was checked before may have changed meanwhile; applying decides.
    fn propose_retraction(&self, entry: RetractionEntry) -> Result<RetractionReceipt, RetractError> {
        let payload = SharedBytes::from(&*entry.encode());
        let proposed = Arc::new(Proposed { entry, outcome: OnceLock::new() });
        let change = Change::Retraction(Arc::clone(&proposed));
        self.propose_change(EntryKind::Retraction, payload, change, Handing::Write)?.wait()?;
        // History that holds what is hidden now, or lacks what is shown again, is written anew.
        self.flusher.compaction.wake();
        proposed.outcome.get().cloned().expect("the outcome is set before the entry is completed")
    }
}

fn known_table<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a TableSchema, RetractError> {
    let schema = snapshot.schemas().by_name(name);
    schema.map(|schema| &**schema).ok_or_else(|| RetractError::UnknownTable(name.to_owned()))
}

fn sane_range(seqs: &RangeInclusive<u64>) -> Result<SeqRange, RetractError> {
    let range = SeqRange { first: *seqs.start(), last: *seqs.end() };
    if range.is_sane() {
        return Ok(range);
    }
    Err(RetractError::NoRange { first: range.first, last: range.last })
}

pub(super) fn check_range(seqs: SeqRange, last_seq: u64) -> Result<(), RetractError> {
    if seqs.last > last_seq { Err(RetractError::BeyondJournal { seqs, last_seq }) } else { Ok(()) }
}

/// The retraction, where nobody has undone it.
pub(super) fn standing(retraction: &Retraction) -> Result<&Retraction, RetractError> {
    match &retraction.undone {
        None => Ok(retraction),
        Some(undone) => {
            let Retraction { id, seqs, .. } = *retraction;
            Err(RetractError::UndoneAlready { id, seqs, at_seq: undone.at_seq })
        }
    }
}
