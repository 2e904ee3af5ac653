//! `tapebook import`: files become rows of a table, in file order.
//!
//! One thread reads and encodes; the database's own thread writes and syncs meanwhile. It ends with
//! `imported N rows, skipped M, seq A..B`, or `seq -` where no row was imported.

#![allow(clippy::disallowed_methods, reason = "looks at the user's own files before anything is opened")]

mod options;
mod progress;
mod window;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook::{Batch, Db, Options, Schemas, TableSchema};
use tapebook_import::{BatchSink, FileReport, ImportError, SinkError, import_file};

use self::options::ReadArgs;
use self::progress::ImportBar;
use self::window::Window;
use crate::args::Shared;
use crate::data_dir::DataDir;
use crate::error::{CliError, stdout_error};
use crate::interrupt::Interrupt;
use crate::text::count;

/// Arguments of `tapebook import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Columns are found by their names and the usual aliases. Columns without a place are listed; \
                        --map gives them one.\n\
                        The last line is `imported N rows, skipped M, seq A..B`, with `seq -` where N is 0."
)]
pub(crate) struct ImportArgs {
    /// The table, such as trades or quotes
    table: String,
    /// CSV (plain, .gz, .zst, inside .zip) or Parquet
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
    /// Prints `receipt A..B` for each batch as soon as it is durable
    #[arg(long, hide = true)]
    progress_receipts: bool,
}

pub(crate) fn run(shared: &Shared, args: &ImportArgs) -> Result<(), CliError> {
    let bytes_total = args.files.iter().map(|file| look_at(file)).sum::<Result<u64, CliError>>()?;
    let dir = shared.data_dir();
    if !dir.exists() {
        // A mistyped table does not leave a new data directory behind.
        find_table(&Schemas::standard(), &args.table)?;
    }
    let db = open(&dir, args.read.allow_future)?;
    let schema = find_table(db.snapshot().schemas(), &args.table)?;
    let bar = ImportBar::new(bytes_total, shared.quiet);
    let window = Window::new(&db, args.progress_receipts);
    let mut import =
        Import { schema, args, shared, bar, window, interrupt: Interrupt::install()?, skipped: 0 };
    let result = args.files.iter().try_for_each(|file| import.file(file));
    import.bar.clear();
    result?;
    let (imported, skipped) = (import.window.imported(), import.skipped);
    drop(import);
    db.close().map_err(CliError::failed)?;
    writeln!(io::stdout(), "imported {} rows, skipped {skipped}, seq {imported}", imported.rows)
        .map_err(|error| stdout_error(&error))
}

/// The length of a file that can be read.
fn look_at(path: &Path) -> Result<u64, CliError> {
    let fail = |reason: String| {
        CliError::failed(format!("{}: cannot read: {reason}; nothing was imported", path.display()))
    };
    let found = fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if found.is_dir() {
        return Err(fail("it is a directory, name the files in it".to_owned()));
    }
    fs::File::open(path).map_err(|error| fail(error.to_string()))?;
    Ok(found.len())
}

fn open(dir: &DataDir, allow_future: bool) -> Result<Db, CliError> {
    let mut options = Options::default();
    if allow_future {
        options.max_future = None;
    }
    dir.open_with(options)
}

/// The table of that name, or an error that lists those that there are.
pub(super) fn find_table(schemas: &Schemas, name: &str) -> Result<Arc<TableSchema>, CliError> {
    schemas.by_name(name).cloned().ok_or_else(|| {
        let known = schemas.iter().map(|table| &*table.name).collect::<Vec<_>>().join(", ");
        CliError::failed(format!("there is no table {name}; the tables are {known}"))
    })
}

/// One run over all files.
struct Import<'a> {
    schema: Arc<TableSchema>,
    args: &'a ImportArgs,
    shared: &'a Shared,
    bar: ImportBar,
    window: Window<'a>,
    interrupt: Interrupt,
    skipped: u64,
}

/// Hands the batches of one file to the window, until the user wants to stop.
struct Sink<'i, 'a> {
    window: &'i mut Window<'a>,
    interrupt: &'i Interrupt,
}

impl BatchSink for Sink<'_, '_> {
    fn take(&mut self, batch: Batch) -> Result<(), SinkError> {
        self.window.append(&batch)?;
        if self.interrupt.is_requested() { Err("stopped by the user".into()) } else { Ok(()) }
    }
}

impl Import<'_> {
    fn file(&mut self, path: &Path) -> Result<(), CliError> {
        let options = self.args.read.to_options();
        let mut sink = Sink { window: &mut self.window, interrupt: &self.interrupt };
        let bar = &self.bar;
        let read = import_file(path, &self.schema, &options, &mut sink, &mut |progress| bar.show(progress));
        let drained = self.window.drain();
        match read {
            Ok(report) => {
                drained.map_err(|error| self.failure(path, &error.to_string(), ""))?;
                self.tell(path, &report);
                self.skipped += report.rows_skipped;
                self.bar.advance(report.bytes, report.rows_imported);
                Ok(())
            }
            Err(failure) => {
                self.tell_skipped(&failure.report);
                let advice = match &failure.error {
                    ImportError::Row(_) => "; correct it, or leave bad rows out with --on-error skip",
                    _ => "",
                };
                // What the log says explains more than that a batch was not taken.
                let reason = match drained {
                    Err(error) => error.to_string(),
                    Ok(()) => failure.error.to_string(),
                };
                Err(self.failure(path, &reason, advice))
            }
        }
    }

    /// Says what went wrong, where, and how much is in the database.
    fn failure(&self, path: &Path, reason: &str, advice: &str) -> CliError {
        let file = path.display().to_string();
        let place = if reason.contains(&file) { String::new() } else { format!("{file}: ") };
        let imported = self.window.imported();
        let done = match imported.rows {
            0 => "nothing was imported".to_owned(),
            rows => {
                format!("{} before that {} imported, seq {imported}", count(rows, "row"), is_or_are(rows))
            }
        };
        CliError::failed(format!("{place}{reason}{advice}; {done}"))
    }

    fn tell(&self, path: &Path, report: &FileReport) {
        self.tell_skipped(report);
        if !report.unplaced_columns.is_empty() {
            let message = format!(
                "{}: no place in {} for: {}",
                path.display(),
                self.schema.name,
                report.unplaced_columns.join(", ")
            );
            self.bar.log(self.shared.quiet, &message);
        }
    }

    fn tell_skipped(&self, report: &FileReport) {
        for error in &report.first_errors {
            self.bar.log(self.shared.quiet, &format!("skipped: {error}"));
        }
        let more = report.rows_skipped.saturating_sub(report.first_errors.len() as u64);
        if more > 0 {
            self.bar.log(self.shared.quiet, &format!("skipped: and {more} more"));
        }
    }
}

fn is_or_are(rows: u64) -> &'static str {
    if rows == 1 { "is" } else { "are" }
}
