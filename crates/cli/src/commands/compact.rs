//! `tapebook compact`: flushed files are moved and merged until every row lies in order in its time partition.

use tapebook::CompactionGoal;

use crate::args::Shared;
use crate::error::{CliError, advice};
use crate::text;

pub(crate) fn run(shared: &Shared) -> Result<(), CliError> {
    let db = shared.data_dir().open_existing()?;
    let failed = |error: &(dyn std::error::Error + 'static)| match advice(error) {
        Some(advice) => CliError::failed(format!("{error}; {advice}")),
        None => CliError::failed(error.to_string()),
    };
    db.flush().map_err(|error| failed(&error))?;
    db.compact(CompactionGoal::Settled).map_err(|error| failed(&error))?;
    let version = db.version();
    let stats = db.stats().compaction;
    db.close().map_err(CliError::failed)?;
    shared.log(format!(
        "moved {}, rewrote {} into {}; there are {} in {}",
        text::count(stats.moves, "file"),
        text::bytes(stats.read_bytes),
        text::bytes(stats.written_bytes),
        text::count(version.tables().count() as u64, "SSTable"),
        text::count(version.partitions().count() as u64, "partition"),
    ));
    Ok(())
}
