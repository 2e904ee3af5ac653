//! `tapebook flush`: the MemTables become SSTables, and the log that held their rows is given back.

use crate::args::Shared;
use crate::error::{CliError, advice};
use crate::remote::RemoteArgs;
use crate::text;

/// Arguments of `tapebook flush`.
#[derive(Debug, clap::Args)]
pub(crate) struct FlushArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run(shared: &Shared, args: &FlushArgs) -> Result<(), CliError> {
    if args.remote.administer(async |mut admin| admin.flush().await)?.is_some() {
        shared.log("flushed");
        return Ok(());
    }
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
