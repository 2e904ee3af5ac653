//! `tapebook checkpoint`: a data directory of its own with everything that is durable now.

use std::path::PathBuf;

use crate::args::Shared;
use crate::error::{CliError, advice};
use crate::remote::RemoteArgs;
use crate::text;

/// Arguments of `tapebook checkpoint`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckpointArgs {
    /// Where to: a directory that is missing or empty, with --url one of the server. On the same file system the files are linked and take no room
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run(shared: &Shared, args: &CheckpointArgs) -> Result<(), CliError> {
    let there = args.dir.to_string_lossy();
    if let Some(last_seq) = args.remote.administer(async |mut admin| admin.checkpoint(&there).await)? {
        shared.log(format!("checkpoint {there} on the server: seq 1..{last_seq}"));
        return Ok(());
    }
    let db = shared.data_dir().open_existing()?;
    let report = db.checkpoint(&args.dir).map_err(|error| match advice(&error) {
        Some(advice) => CliError::failed(format!("{error}; {advice}")),
        None => CliError::failed(error),
    })?;
    db.close().map_err(CliError::failed)?;
    let files = match (report.files_linked, report.files_copied) {
        (linked, 0) => format!("{} linked", text::count(linked, "file")),
        (0, copied) => format!("{} copied", text::count(copied, "file")),
        (linked, copied) => format!("{} linked, {copied} copied", text::count(linked, "file")),
    };
    shared.log(format!(
        "checkpoint {}: seq 1..{}, {} ({files})",
        args.dir.display(),
        report.last_seq,
        text::count(report.tables, "SSTable")
    ));
    Ok(())
}
