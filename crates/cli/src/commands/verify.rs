//! `tapebook verify`: every checksum, chain and count, without changing anything.

use std::io::{self, Write};
use std::sync::Arc;

use tapebook_vfs::{RealVfs, Vfs};

use crate::args::Shared;
use crate::error::{CliError, advice, stdout_error};
use crate::text::{count, one_line};

pub(crate) fn run(shared: &Shared) -> Result<(), CliError> {
    let dir = shared.data_dir();
    dir.must_exist()?;
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let report =
        tapebook::verify(&vfs, dir.path(), "tapebook verify").map_err(|error| match advice(&error) {
            Some(advice) => CliError::failed(format!("{error}; {advice}")),
            None => CliError::failed(error),
        })?;
    let mut out = io::stdout().lock();
    let mut told = || {
        for problem in &report.problems {
            writeln!(out, "{}", one_line(problem))?;
        }
        let mut checked = vec![
            count(report.tables, "SSTable"),
            count(report.table_rows, "row"),
            count(report.segments, "log segment"),
            count(report.frames, "log frame"),
        ];
        if report.history_files > 0 {
            checked.push(count(report.history_files, "history file"));
            checked.push(count(report.history_rows, "row"));
        }
        if report.archive_files > 0 {
            checked.push(count(report.archive_files, "archive file"));
        }
        let problems = count(report.problems.len() as u64, "problem");
        writeln!(out, "verified {}: {}: {problems}", dir.path().display(), checked.join(", "))?;
        out.flush()
    };
    match told() {
        Ok(()) => {}
        // Whoever closed the pipe still learns from the exit status.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(stdout_error(&error)),
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "{}: {} found; restore the files that are named from a copy, `tapebook inspect` shows what is whole in them",
        dir.path().display(),
        count(report.problems.len() as u64, "problem")
    )))
}
