//! Opens the data directory that the user named.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook::{Db, OpenReport, Options, RetentionOptions};
use tapebook_vfs::{RealVfs, Vfs};

use crate::error::{CliError, advice};
use crate::settings::JOURNAL_RETENTION;
use crate::text;

/// The most characters of its own command line that a process leaves in the lock file.
const COMMAND_CHARS_MAX: usize = 160;

/// A replay of so many bytes takes long enough that somebody may ask what the command waits for.
const REPLAY_TOLD_BYTES: u64 = 16 << 20;

/// Each import is a producer, and there may be more files than producers usually are.
const PRODUCERS_MAX: usize = 1_000_000;

/// The data directory of this run.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    quiet: bool,
    retention: RetentionOptions,
}

impl DataDir {
    pub(crate) fn new(path: PathBuf, quiet: bool, retention: RetentionOptions) -> Self {
        Self { path, quiet, retention }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// True where something has that name already.
    pub(crate) fn exists(&self) -> bool {
        RealVfs::new().exists(&self.path).unwrap_or(true)
    }

    /// Opens the database and makes it where there is none.
    pub(crate) fn open_or_create(&self) -> Result<Db, CliError> {
        self.open_with(Options::default())
    }

    /// Opens the database; a directory that does not exist is an error and not a new database.
    pub(crate) fn open_existing(&self) -> Result<Db, CliError> {
        self.must_exist()?;
        self.open_or_create()
    }

    /// Refuses a directory that does not exist, which nearly always is a name mistyped.
    pub(crate) fn must_exist(&self) -> Result<(), CliError> {
        if self.exists() {
            return Ok(());
        }
        Err(CliError::failed(format!(
            "{}: no such data directory; choose one with --data, or begin one with `tapebook import`",
            self.path.display()
        )))
    }

    /// How this command opens a data directory, with what `options` say besides.
    pub(crate) fn options(&self, options: Options) -> Options {
        Options {
            vfs: Arc::new(RealVfs::new()),
            retention: self.retention.clone(),
            journal_retention: Some(JOURNAL_RETENTION),
            producers_max: PRODUCERS_MAX,
            command: command_line(),
            ..options
        }
    }

    /// Opens the database as `options` say.
    pub(crate) fn open_with(&self, options: Options) -> Result<Db, CliError> {
        let db = Db::open_with(&self.path, self.options(options)).map_err(|error| match advice(&error) {
            Some(advice) => CliError::failed(format!("{error}; {advice}")),
            None => CliError::failed(error),
        })?;
        let report = db.open_report();
        if !self.quiet {
            for line in recovered(report, &self.path) {
                eprintln!("{line}");
            }
            if let Some(replay) = replay_told(report) {
                eprintln!("{}: {replay}", self.path.display());
            }
        }
        Ok(db)
    }
}

/// What is said of the replay, where it was long enough to be spoken of.
fn replay_told(report: &OpenReport) -> Option<String> {
    let entries = text::count(report.replayed_entries, "log entry");
    let (bytes, seconds) = (text::bytes(report.replayed_bytes), report.took.as_secs_f64());
    (report.replayed_bytes >= REPLAY_TOLD_BYTES)
        .then(|| format!("replayed {entries} ({bytes}), opened in {seconds:.2} s"))
}

/// What opening a data directory after a crash did, a line for each.
pub(crate) fn recovered(report: &OpenReport, root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(torn) = &report.torn {
        let (path, offset, bytes) = (torn.path.display(), torn.offset, text::bytes(torn.bytes));
        lines.push(format!(
            "{path}: recovered after a crash: cut {bytes} at byte {offset} that nobody was told of"
        ));
    }
    if !report.removed.is_empty() {
        let files = text::count(report.removed.len() as u64, "unfinished file");
        lines.push(format!("{}: recovered after a crash: removed {files}", root.display()));
    }
    lines
}

/// What the lock file says that this process does.
pub(crate) fn command_line() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let line = ["tapebook".to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ");
    line.chars().take(COMMAND_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_a_replay_of_some_length_is_told() {
        let report = |replayed_bytes| OpenReport {
            replayed_entries: 190_000,
            replayed_bytes,
            took: Duration::from_millis(254),
            ..OpenReport::default()
        };
        assert_eq!(replay_told(&report(REPLAY_TOLD_BYTES - 1)), None);
        let told = replay_told(&report(47 << 20));
        assert_eq!(told.as_deref(), Some("replayed 190000 log entries (47.0 MiB), opened in 0.25 s"));
    }
}
