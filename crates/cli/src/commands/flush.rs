//! `tapebook flush`: the MemTables become SSTables, and the log that held their rows is given back.

use crate::args::Shared;
use crate::error::{CliError, advice};
use crate::text;

pub(crate) fn run(shared: &Shared) -> Result<(), CliError> {
    let db = shared.data_dir().open_existing()?;
    let bytes = db.stats().memtable_bytes;
    db.flush().map_err(|error| match advice(&error) {
        Some(advice) => CliError::failed(format!("{error}; {advice}")),
        None => CliError::failed(error),
    })?;
    let files = db.snapshot().pieces().tables.len() as u64;
    db.close().map_err(CliError::failed)?;
    shared.log(format!(
        "flushed {} of memory; there are {}",
        text::bytes(bytes),
        text::count(files, "SSTable")
    ));
    Ok(())
}
