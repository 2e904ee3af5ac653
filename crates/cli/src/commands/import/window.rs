//! Batches that are on their way to the disk, and the receipts of those that are there.

use std::collections::VecDeque;
use std::io::{self, Write};

use tapebook::Batch;

use super::writer::{Pending, WriteError, Writer};

/// Batches whose receipts may be outstanding: enough to keep the disk busy while files are read, few enough to
/// bound memory (256 KiB each).
const OUTSTANDING_MAX: usize = 64;

/// Appends batches ahead of their receipts and counts what is durable.
///
/// *Invariant*: a row is counted as imported only when its receipt is there.
#[derive(Debug)]
pub(super) struct Window<'a> {
    writer: Writer<'a>,
    outstanding: VecDeque<(u64, Pending)>,
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
    Write(#[from] WriteError),
    #[error("standard output: cannot write: {0}")]
    Receipts(#[from] io::Error),
}

impl<'a> Window<'a> {
    /// `tell_receipts`: print a line for each receipt, as soon as it is there.
    pub(super) fn new(writer: Writer<'a>, tell_receipts: bool) -> Self {
        Self { writer, outstanding: VecDeque::new(), imported: Imported::default(), tell_receipts }
    }

    /// Hands a batch to the log; waits for the oldest receipt where too many are outstanding.
    pub(super) fn append(&mut self, batch: Batch) -> Result<(), WindowError> {
        if self.outstanding.len() >= OUTSTANDING_MAX {
            self.wait_for_oldest()?;
        }
        let rows = batch.len() as u64;
        let pending = self.writer.append(batch)?;
        self.outstanding.push_back((rows, pending));
        while self.outstanding.front().is_some_and(|(_, pending)| pending.is_settled()) {
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
        let (first_seq, last_seq) = self.writer.wait(pending)?;
        self.imported.rows += rows;
        let first = self.imported.seqs.map_or(first_seq, |(first, _)| first);
        self.imported.seqs = Some((first, last_seq));
        if self.tell_receipts {
            let mut out = io::stdout().lock();
            writeln!(out, "receipt {first_seq}..{last_seq}")?;
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
