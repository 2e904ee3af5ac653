//! `tapebook import`: files become rows of a table, in file order.
//!
//! Started again with the same files, it goes on where it was cut off. One thread reads and encodes; the database's own thread,
//! or the server, writes and syncs meanwhile. It ends with `imported N rows, skipped M, seq A..B`, or `seq -` where no row was
//! imported.

#![allow(clippy::disallowed_methods, reason = "looks at the user's own files before anything is opened")]

mod identity;
mod numbers;
mod options;
mod progress;
mod window;
mod writer;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook::{Batch, Db, FeedNumbers, Options, PendingAppend, ProducerState, Schemas, TableSchema};
use tapebook_client::{ClientOptions, FeedNumbers as FeedOfClient, ProducerOptions};
use tapebook_import::{BatchSink, FileReport, ImportError, SinkError, import_file};

use self::identity::producer_id;
use self::numbers::{Fate, Numbers};
use self::options::ReadArgs;
use self::progress::ImportBar;
use self::window::{Imported, Window};
use self::writer::Writer;
use crate::args::Shared;
use crate::connect;
use crate::data_dir::DataDir;
use crate::error::{CliError, stdout_error};
use crate::interrupt::Interrupt;
use crate::remote::RemoteArgs;
use crate::text::count;

/// Arguments of `tapebook import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Columns are found by their names and the usual aliases. Columns without a place are listed; \
                        --map gives them one.\n\
                        The same files into the same table, read in the same way, are the same import: one that was cut off \
                        goes on, one that is complete is not repeated.\n\
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
    #[command(flatten)]
    remote: RemoteArgs,
    /// Imports the files anew, whatever was imported of them before
    #[arg(long)]
    again: bool,
    /// Fills the gaps of this producer's feed with these rows
    #[arg(long, value_name = "PRODUCER")]
    backfill: Option<u64>,
    /// Prints `receipt A..B` for each batch as soon as it is durable
    #[arg(long, hide = true)]
    progress_receipts: bool,
}

pub(crate) fn run(shared: &Shared, args: &ImportArgs) -> Result<(), CliError> {
    let bytes_total = args.files.iter().map(|file| look_at(file)).sum::<Result<u64, CliError>>()?;
    let (imported, skipped) = match args.remote.options()? {
        Some(options) => into_server(shared, args, options, bytes_total)?,
        None => into_directory(shared, args, bytes_total)?,
    };
    writeln!(io::stdout(), "imported {} rows, skipped {skipped}, seq {imported}", imported.rows)
        .map_err(|error| stdout_error(&error))
}

/// Imports into the database of a data directory; what is durable, and how many rows were left out.
fn into_directory(shared: &Shared, args: &ImportArgs, bytes_total: u64) -> Result<(Imported, u64), CliError> {
    let dir = shared.data_dir();
    if !dir.exists() {
        // A mistyped table does not leave a new data directory behind.
        find_table(&Schemas::standard(), &args.table)?;
    }
    let db = open(&dir, args.read.allow_future)?;
    let schema = find_table(db.snapshot().schemas(), &args.table)?;
    let id = producer_id(&args.table, &args.files, &args.read)?;
    if let Some(of) = args.backfill {
        declare_backfill(&db, id, of)?;
    }
    let numbers = Numbers::new(id, db.producer(id), Some(&db), args.again);
    let window = Window::new(Writer::Database(&db), args.progress_receipts);
    let done = Import::new(shared, args, schema, numbers, window, bytes_total)?.run()?;
    db.close().map_err(CliError::failed)?;
    Ok(done)
}

/// Imports into the database of a server.
fn into_server(
    shared: &Shared,
    args: &ImportArgs,
    options: ClientOptions,
    bytes_total: u64,
) -> Result<(Imported, u64), CliError> {
    let schema = find_table(&Schemas::standard(), &args.table)?;
    let id = producer_id(&args.table, &args.files, &args.read)?;
    let (runtime, client) = connect::connect(options)?;
    let known = runtime.block_on(client.known_producer(id)).map_err(CliError::failed)?;
    let known = known.map(|known| ProducerState {
        epoch: known.epoch,
        last_number: known.last_batch_number,
        ..ProducerState::default()
    });
    let numbers = Numbers::new(id, known, None, args.again);
    let producer = ProducerOptions {
        epoch: Some(numbers.next().epoch),
        feed: args.backfill.map(|of| FeedOfClient::Backfill { of }),
        // What comes behind a refused batch must not be imported without it.
        end_at_refusal: true,
        ..ProducerOptions::new(id)
    };
    let producer = runtime.block_on(client.producer(producer)).map_err(CliError::failed)?;
    let window = Window::new(Writer::Server(&runtime, producer), args.progress_receipts);
    Import::new(shared, args, schema, numbers, window, bytes_total)?.run()
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

/// From now on the import's rows close gaps of the producer `of`.
fn declare_backfill(db: &Db, id: u64, of: u64) -> Result<(), CliError> {
    if db.producer(of).is_none_or(|known| known.feed == FeedNumbers::None) {
        return Err(CliError::failed(format!(
            "producer {of} has declared no feed, so it has no gaps; sys.producers lists all that there are"
        )));
    }
    let declared = db.declare_feed(id, FeedNumbers::Backfill { of }).and_then(PendingAppend::wait);
    declared.map(drop).map_err(CliError::failed)
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
    numbers: Numbers<'a>,
    window: Window<'a>,
    interrupt: Interrupt,
    skipped: u64,
}

/// Hands the batches of one file to the window, as far as they are not imported yet, until the user wants to stop.
struct Sink<'i, 'a> {
    numbers: &'i mut Numbers<'a>,
    window: &'i mut Window<'a>,
    bar: &'i ImportBar,
    quiet: bool,
    interrupt: &'i Interrupt,
}

impl BatchSink for Sink<'_, '_> {
    fn begin(&mut self) -> Batch {
        Batch::from_producer(self.numbers.next())
    }

    fn take(&mut self, batch: Batch) -> Result<(), SinkError> {
        match self.numbers.decide(&batch)? {
            Fate::LeftOut => {}
            Fate::GoesOn => {
                let rows = count(self.numbers.left_out(), "row");
                self.bar.log(self.quiet, &format!("continues an import that was cut off after {rows}"));
                self.window.append(batch)?;
            }
            Fate::Imported => self.window.append(batch)?,
        }
        if self.interrupt.is_requested() { Err("stopped by the user".into()) } else { Ok(()) }
    }
}

impl<'a> Import<'a> {
    fn new(
        shared: &'a Shared,
        args: &'a ImportArgs,
        schema: Arc<TableSchema>,
        numbers: Numbers<'a>,
        window: Window<'a>,
        bytes_total: u64,
    ) -> Result<Self, CliError> {
        let bar = ImportBar::new(bytes_total, shared.quiet);
        let interrupt = Interrupt::install()?;
        Ok(Self { schema, args, shared, bar, numbers, window, interrupt, skipped: 0 })
    }

    /// Imports all files; what is durable, and how many rows were left out.
    fn run(mut self) -> Result<(Imported, u64), CliError> {
        let result = self.args.files.iter().try_for_each(|file| self.file(file));
        self.bar.clear();
        result?;
        if let Some(told) = self.numbers.all_there()? {
            self.shared.log(told);
        }
        Ok((self.window.imported(), self.skipped))
    }

    fn file(&mut self, path: &Path) -> Result<(), CliError> {
        let options = self.args.read.to_options();
        let bar = &self.bar;
        let mut sink = Sink {
            numbers: &mut self.numbers,
            window: &mut self.window,
            bar,
            quiet: self.shared.quiet,
            interrupt: &self.interrupt,
        };
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
            0 if self.numbers.left_out() > 0 => {
                format!("{} before that were imported earlier", count(self.numbers.left_out(), "row"))
            }
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
