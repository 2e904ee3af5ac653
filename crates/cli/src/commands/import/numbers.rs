//! The numbers of an import's batches, and which of them are in the database from an earlier run.
//!
//! An import is a producer. A run that was cut off left its last batch number in the database; the next run makes the same batches
//! again, leaves those out, and goes on with the one behind.

use tapebook::{Batch, Db, Producer, ProducerState};

use super::window::Imported;
use crate::error::CliError;
use crate::text::count;

/// Numbers batches and knows those that an earlier run has imported.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    /// Where the last batch of the earlier run can be looked at.
    db: Option<&'a Db>,
    producer: Producer,
    /// What an earlier run left; `None` where this one begins anew.
    earlier: Option<ProducerState>,
    /// Rows of batches that an earlier run has imported.
    left_out: u64,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// It is in the database.
    LeftOut,
    /// It is the first one that is not.
    GoesOn,
    /// It is to be imported.
    Imported,
}

/// Why an import cannot go on where it was cut off.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum CannotGoOn {
    #[error(
        "an earlier import of the same files read them differently, for example because rows were too far in the future then; \
         hide its rows with `tapebook retract` and import them anew with --again"
    )]
    Differs,
    #[error(
        "an earlier import of the same files was cut off so long ago that it cannot go on; \
         hide its rows with `tapebook retract` and import them anew with --again"
    )]
    Expired,
}

impl<'a> Numbers<'a> {
    /// The numbers of the import with this id, of which so much is known. `again`: it begins anew, whatever was imported earlier.
    pub(super) fn new(id: u64, known: Option<ProducerState>, db: Option<&'a Db>, again: bool) -> Self {
        let known = known.filter(|known| known.last_number > 0);
        let epoch = match &known {
            None => 1,
            Some(known) if again => known.epoch.saturating_add(1),
            Some(known) => known.epoch,
        };
        let producer = Producer { id, epoch, batch_number: 1 };
        Self { db, producer, earlier: known.filter(|_| !again), left_out: 0 }
    }

    /// Who the next batch comes from.
    pub(super) fn next(&self) -> Producer {
        self.producer
    }

    /// Decides about the next batch, which is filled.
    pub(super) fn decide(&mut self, batch: &Batch) -> Result<Fate, CannotGoOn> {
        let number = self.producer.batch_number;
        self.producer.batch_number += 1;
        let Some(earlier) = &self.earlier else { return Ok(Fate::Imported) };
        if number > earlier.last_number {
            let first = number == earlier.last_number + 1;
            return match (first, earlier.expired) {
                (_, true) => Err(CannotGoOn::Expired),
                (true, false) => Ok(Fate::GoesOn),
                (false, false) => Ok(Fate::Imported),
            };
        }
        if number == earlier.last_number && !self.is_last_one(earlier, batch) {
            return Err(CannotGoOn::Differs);
        }
        self.left_out += batch.len() as u64;
        Ok(Fate::LeftOut)
    }

    /// Compares a batch with the last one of the earlier run, byte by byte, as far as the journal is kept.
    fn is_last_one(&self, earlier: &ProducerState, batch: &Batch) -> bool {
        let (Some(db), Some((first_seq, _))) = (self.db, earlier.receipts.back()) else { return true };
        let kept = db.journal(*first_seq).ok().and_then(|mut journal| journal.next()?.ok());
        kept.is_none_or(|kept| kept.batch.bytes()[..] == batch.encode().bytes()[..])
    }

    /// Rows that an earlier run has imported, of those that came by so far.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Behind the last batch: what an earlier run imported of these files, where that was all of it.
    pub(super) fn all_there(&self) -> Result<Option<String>, CliError> {
        let Some(earlier) = &self.earlier else { return Ok(None) };
        let last = self.producer.batch_number - 1;
        if last < earlier.last_number {
            return Err(CliError::failed(CannotGoOn::Differs));
        }
        if last > earlier.last_number {
            return Ok(None);
        }
        // Receipts of all batches, or only of the last ones.
        let complete = earlier.receipts.len() as u64 == earlier.last_number;
        let first = earlier.receipts.front().filter(|_| complete);
        let place = match first {
            Some((first_seq, _)) => {
                format!(
                    "seq {}",
                    Imported { rows: self.left_out, seqs: Some((*first_seq, earlier.last_seq)) }
                )
            }
            None if earlier.last_seq == 0 => count(self.left_out, "row"),
            None => format!("{} up to seq {}", count(self.left_out, "row"), earlier.last_seq),
        };
        Ok(Some(format!("already imported, {place}; --again imports it anew")))
    }
}
