//! Calls into the Parquet decoder.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use parquet::errors::ParquetError;

use crate::error::{HistoryError, Part, structure};

thread_local! {
    /// True while the decoder has asked for bytes of the file.
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// Reads for the decoder. A panic in here is not the decoder's and says nothing of the file.
pub(crate) fn reading<T>(read: impl FnOnce() -> T) -> T {
    READING.set(true);
    let result = read();
    READING.set(false);
    result
}

/// Runs a step of the decoder. It panics at some kinds of damage where it should give an error; to the caller both are
/// a damaged file. What the step was working on must not be used after an error.
pub(crate) fn decoding<T, E: Into<ParquetError>>(
    path: &Path,
    part: Part,
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, HistoryError> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(|error| structure(path, part, error.into())),
        Err(panic) if READING.replace(false) => resume_unwind(panic),
        Err(_) => Err(structure(path, part, "the decoder cannot make sense of it")),
    }
}
