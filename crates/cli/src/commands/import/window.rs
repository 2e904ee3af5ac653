//! Batches that are on their way to the disk, and the receipts of those that are there.

use std::collections::VecDeque;
use std::io::{self, Write};

use tapebook::{AppendError, Batch, Db, Durability, PendingAppend};

/// Batches whose receipts may be outstanding: enough to keep the disk busy while files are read, few enough to
/// bound memory (256 KiB each).
const OUTSTANDING_MAX: usize = 64;

/// Appends batches ahead of their receipts and counts what is durable.
///
/// *Invariant*: a row is counted as imported only when its receipt is there.
#[derive(Debug)]
pub(super) struct Window<'a> {
    db: &'a Db,
    outstanding: VecDeque<(u64, PendingAppend)>,
    imported: Imported,
    tell_receipts: bool,
}

/// What is durable.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Imported {
    pub(super) rows: u64,
    /// The first and the last sequence number.
    pub(super) seqs: Option<(u64, u64)>,
}

/// Why a batch did not become durable.
#[derive(Debug, thiserror::Error)]
pub(super) enum WindowError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("standard output: cannot write: {0}")]
    Receipts(#[from] io::Error),
}

impl<'a> Window<'a> {
    /// `tell_receipts`: print a line for each receipt, as soon as it is there.
    pub(super) fn new(db: &'a Db, tell_receipts: bool) -> Self {
        Self { db, outstanding: VecDeque::new(), imported: Imported::default(), tell_receipts }
    }

    /// Hands a batch to the log; waits for the oldest receipt where too many are outstanding.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), WindowError> {
        if self.outstanding.len() >= OUTSTANDING_MAX {
            self.wait_for_oldest()?;
        }
        let pending = self.db.append_encoded(batch.encode(), Durability::Buffered)?;
        self.outstanding.push_back((batch.len() as u64, pending));
        while self.outstanding.front().is_some_and(|(_, pending)| pending.poll_receipt().is_some()) {
            self.wait_for_oldest()?;
        }
        Ok(())
    }

    /// Waits for all receipts.
    pub(super) fn drain(&mut self) -> Result<(), WindowError> {
        while !self.outstanding.is_empty() {
            self.wait_for_oldest()?;
        }
        Ok(())
    }

    /// What is durable so far.
    pub(super) fn imported(&self) -> Imported {
        self.imported
    }

    fn wait_for_oldest(&mut self) -> Result<(), WindowError> {
        let Some((rows, pending)) = self.outstanding.pop_front() else { return Ok(()) };
        let receipt = pending.wait()?;
        self.imported.rows += rows;
        let first = self.imported.seqs.map_or(receipt.first_seq, |(first, _)| first);
        self.imported.seqs = Some((first, receipt.last_seq));
        if self.tell_receipts {
            let mut out = io::stdout().lock();
            writeln!(out, "receipt {}..{}", receipt.first_seq, receipt.last_seq)?;
            out.flush()?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Imported {
    /// `A..B`, or `-` where there is nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.seqs {
            Some((first, last)) => write!(f, "{first}..{last}"),
            None => f.write_str("-"),
        }
    }
}
