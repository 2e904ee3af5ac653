//! The batch: the unit of writing, acknowledging and replicating.
//!
//! A [`Batch`] is filled at the edge and encoded once. An [`EncodedBatch`] is bytes that are known to be well
//! formed: built here, checked on arrival ([`EncodedBatch::check`]) or covered by the log's checksum.
//! The byte map stands in `docs/format/batch.md`.

mod build;
mod check;
mod encoded;
mod header;
mod rows;

pub use build::{Batch, PushError, RowPlace};
pub use check::BatchError;
pub use encoded::EncodedBatch;
pub use header::{BatchHeader, Producer, RowHeader};
pub use rows::BatchRows;

/// The most bytes that an encoded batch may have.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// The version of the batch format that this code writes.
pub const BATCH_FORMAT: u16 = 1;

#[cfg(test)]
mod tests;
