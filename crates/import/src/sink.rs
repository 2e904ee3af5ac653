//! Where batches go.

use std::error::Error;

use tapebook_record::Batch;

/// Why a sink did not take a batch.
pub type SinkError = Box<dyn Error + Send + Sync>;

/// Takes the batches of an import, in file order. Any `FnMut(Batch) -> Result<(), SinkError>` is one.
pub trait BatchSink {
    /// An empty batch to fill next. Override it to number batches with a [`tapebook_record::Producer`]; count
    /// in [`BatchSink::take`], because the batch that is begun after the last row is never taken.
    fn begin(&mut self) -> Batch {
        Batch::new()
    }

    /// Takes a filled batch, never an empty one. An error ends the import.
    fn take(&mut self, batch: Batch) -> Result<(), SinkError>;
}

impl<F: FnMut(Batch) -> Result<(), SinkError>> BatchSink for F {
    fn take(&mut self, batch: Batch) -> Result<(), SinkError> {
        self(batch)
    }
}
