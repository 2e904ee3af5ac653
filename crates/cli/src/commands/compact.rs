//! `tapebook compact`: flushed files are moved, merged and converted until every row lies where it should, and what
//! retention does not keep is dropped.

use clap::{Args, ValueEnum};
use tapebook::CompactionGoal;

use crate::args::Shared;
use crate::error::{CliError, advice};
use crate::remote::RemoteArgs;
use crate::text;

#[derive(Args, Debug)]
pub(crate) struct CompactArgs {
    /// How far to go: `history` converts everything to Parquet files now, whether its time is over or not
    #[arg(long, value_name = "WHERE")]
    to: Option<Target>,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    History,
}

pub(crate) fn run(shared: &Shared, args: &CompactArgs) -> Result<(), CliError> {
    let to_history = matches!(args.to, Some(Target::History));
    if let Some(steps) = args.remote.administer(async |mut admin| admin.compact(to_history).await)? {
        shared.log(format!("compacted in {}", text::count(steps, "step")));
        return Ok(());
    }
    let db = shared.data_dir().open_existing()?;
    let failed = |error: &(dyn std::error::Error + 'static)| match advice(error) {
        Some(advice) => CliError::failed(format!("{error}; {advice}")),
        None => CliError::failed(error.to_string()),
    };
    let goal = if to_history { CompactionGoal::History } else { CompactionGoal::Settled };
    db.flush().map_err(|error| failed(&error))?;
    db.compact(goal).map_err(|error| failed(&error))?;
    let version = db.version();
    let stats = db.stats().compaction;
    db.close().map_err(CliError::failed)?;
    let dropped = match stats.dropped_rows {
        0 => String::new(),
        rows => format!(", dropped {} ({})", text::count(rows, "row"), text::bytes(stats.dropped_bytes)),
    };
    shared.log(format!(
        "moved {}, rewrote {} into {}{dropped}; there are {} and {} in {}",
        text::count(stats.moves, "file"),
        text::bytes(stats.read_bytes),
        text::bytes(stats.written_bytes),
        text::count(version.tables().count() as u64, "SSTable"),
        text::count(version.history().count() as u64, "history file"),
        text::count(version.partitions().count() as u64, "partition"),
    ));
    Ok(())
}
