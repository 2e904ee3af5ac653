//! `tapebook backup`: backups in another place, and a database out of them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tapebook::{BackupError, BackupTarget, BuildError, RestoreBound, list_backups, restore, verify_backups};
use tapebook_vfs::{RealVfs, Vfs};

use crate::args::Shared;
use crate::backup_target::{existing_target, new_target};
use crate::error::{CliError, advice, stdout_error};
use crate::remote::RemoteArgs;
use crate::text::{bytes, count, one_line, rfc3339};

/// Arguments of `tapebook backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Copies to the target what it lacks
    Create {
        /// A directory for backups of this database (with --url one of the server), or s3://BUCKET/PREFIX
        #[arg(value_name = "TARGET")]
        target: PathBuf,
        #[command(flatten)]
        remote: Box<RemoteArgs>,
    },
    /// Shows the backups of a target, oldest first
    List {
        /// The directory of the backups, or s3://BUCKET/PREFIX
        #[arg(value_name = "TARGET")]
        target: PathBuf,
    },
    /// Checks every object of a target, and that each backup can be restored
    Verify {
        /// The directory of the backups, or s3://BUCKET/PREFIX
        #[arg(value_name = "TARGET")]
        target: PathBuf,
    },
    /// Fills the data directory, which must be missing or empty
    Restore {
        /// The directory of the backups, or s3://BUCKET/PREFIX
        #[arg(value_name = "TARGET")]
        target: PathBuf,
        /// Up to the last whole batch that ends at this sequence number or before it
        #[arg(long, value_name = "N", conflicts_with = "to")]
        to_seq: Option<u64>,
        /// Up to the last batch that was committed at this time or before it: 2024-08-09T12:00:00Z; UTC without a zone
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        to: Option<i64>,
    },
}

pub(crate) fn run(shared: &Shared, args: &BackupArgs) -> Result<(), CliError> {
    match &args.action {
        Action::Create { target, remote } => create(shared, target, remote),
        Action::List { target } => list(target),
        Action::Verify { target } => verify(target),
        Action::Restore { target, to_seq, to } => {
            let bound = match (to_seq, to) {
                (Some(seq), _) => RestoreBound::Seq(*seq),
                (None, Some(time)) => RestoreBound::Time(*time),
                (None, None) => RestoreBound::Latest,
            };
            fill(shared, target, bound)
        }
    }
}

fn create(shared: &Shared, target: &Path, remote: &RemoteArgs) -> Result<(), CliError> {
    let there = target.to_string_lossy();
    if let Some((number, last_seq)) = remote.administer(async |mut admin| admin.backup(&there).await)? {
        shared.log(format!("backup {number} in {there}, as the server sees it: seq 1..{last_seq}"));
        return Ok(());
    }
    let to = new_target(target)?;
    let db = shared.data_dir().open_existing()?;
    let report = db.backup(&*to).map_err(failed)?;
    db.close().map_err(CliError::failed)?;
    shared.log(format!(
        "backup {} in {}: seq 1..{}; copied {} ({}), {} there already",
        report.number,
        target.display(),
        report.last_seq,
        count(report.objects_copied, "file"),
        bytes(report.bytes_copied),
        report.objects_shared
    ));
    Ok(())
}

fn list(target: &Path) -> Result<(), CliError> {
    let backups = list_backups(&*existing_target(target)?).map_err(failed)?;
    let mut out = io::stdout().lock();
    for backup in backups {
        let archived = match backup.archive.last() {
            Some(newest) => format!("archive up to seq {}", newest.last_seq),
            None => "no archive".to_owned(),
        };
        let written = writeln!(
            out,
            "{:06}  {}  seq 1..{}  committed {}  epoch {}  {}  {}",
            backup.number,
            rfc3339(backup.created_at),
            backup.through.last_seq,
            rfc3339(backup.commit_clock),
            backup.epoch,
            bytes(backup.bytes()),
            archived
        );
        written.map_err(|error| stdout_error(&error))?;
    }
    Ok(())
}

fn verify(target: &Path) -> Result<(), CliError> {
    let report = verify_backups(&*existing_target(target)?).map_err(failed)?;
    let mut out = io::stdout().lock();
    for problem in &report.problems {
        writeln!(out, "{}", one_line(problem)).map_err(|error| stdout_error(&error))?;
    }
    let checked = [count(report.backups, "backup"), count(report.objects, "file"), bytes(report.bytes)];
    let problems = count(report.problems.len() as u64, "problem");
    writeln!(out, "verified {}: {}: {problems}", target.display(), checked.join(", "))
        .map_err(|error| stdout_error(&error))?;
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(CliError::failed(format!("{}: {problems} found; make a backup to another target", target.display())))
}

fn fill(shared: &Shared, target: &Path, bound: RestoreBound) -> Result<(), CliError> {
    let dir = shared.data_dir();
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let target: Box<dyn BackupTarget> = existing_target(target)?;
    let report = restore(&*target, &vfs, dir.path(), bound, "tapebook backup restore").map_err(failed)?;
    let from = match report.backup {
        0 => "from the archive".to_owned(),
        number => format!("from backup {number} and {}", count(report.archived_entries, "archived entry")),
    };
    writeln!(
        io::stdout(),
        "restored seq 1..{}, committed {}, epoch {}, {from}",
        report.last_seq,
        rfc3339(report.commit_clock),
        report.epoch
    )
    .map_err(|error| stdout_error(&error))
}

fn failed(error: BackupError) -> CliError {
    // What is in the way is a data directory, so another one can be chosen.
    let advice = match &error {
        BackupError::Build(BuildError::NotEmpty { .. }) => Some("--data chooses the directory"),
        _ => advice(&error),
    };
    match advice {
        Some(advice) => CliError::failed(format!("{error}; {advice}")),
        None => CliError::failed(error),
    }
}

/// RFC 3339; without a zone it is UTC, without a time midnight.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => Ok(moment),
        Err(error) => match text.parse::<DateTime>() {
            Ok(civil) => civil.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()),
            Err(_) => Err(error),
        },
    };
    let nanos = moment.map_err(|error| error.to_string())?.as_nanosecond();
    i64::try_from(nanos).map_err(|_| "the time is out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        let noon = 1_723_204_800_000_000_000;
        assert_eq!(parse_time("2024-08-09T12:00:00Z"), Ok(noon));
        assert_eq!(parse_time("2024-08-09T14:00:00+02:00"), Ok(noon));
        assert_eq!(parse_time("2024-08-09T12:00:00.000000001"), Ok(noon + 1));
        assert_eq!(parse_time("2024-08-09"), Ok(noon - 12 * 3_600_000_000_000));
        assert!(parse_time("yesterday").is_err());
    }
}
