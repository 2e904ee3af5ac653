//! `tapebook inspect`: what is in a file of the database, in words. It takes no lock and changes nothing.

mod archive;
mod backup;
mod batch;
mod history;
mod manifest;
mod state;
mod table;
mod wal;

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};

use tapebook_wal::LogId;

use crate::error::{CliError, stdout_error};
use crate::text::rfc3339;

/// Arguments of `tapebook inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    #[command(subcommand)]
    file: InspectFile,
}

#[derive(Debug, clap::Subcommand)]
enum InspectFile {
    /// A log segment (wal/*.log), or all segments of a folder: header, frames, footer
    Wal {
        /// The segment or the folder
        path: PathBuf,
    },
    /// An SSTable (tables/*.sst): what it holds of which table, its filters and indexes
    Table {
        /// The file
        path: PathBuf,
    },
    /// A file of history (*.parquet): what it holds, how its columns are encoded, its filters and series
    History {
        /// The file
        path: PathBuf,
    },
    /// The manifest of a data directory: which files there are
    Manifest {
        /// The data directory, or the manifest in it
        path: PathBuf,
    },
    /// An encoded batch: header and rows
    Batch {
        /// A file with the batch, or with --offset a log segment
        path: PathBuf,
        /// Where its frame begins in the segment, as `inspect wal` says
        #[arg(long, value_name = "BYTES")]
        offset: Option<u64>,
    },
    /// A file of the archive (archive/*.tape): where it begins and ends, its entries
    Archive {
        /// The file
        path: PathBuf,
    },
    /// Records of backups: what each holds, and the objects that it needs
    Backup {
        /// The target of backups: a directory, or s3://BUCKET/PREFIX; or one record (backups/*.backup)
        #[arg(value_name = "TARGET")]
        target: PathBuf,
        /// Only this backup
        #[arg(long, value_name = "N")]
        number: Option<u64>,
    },
    /// A state file (state/*.state): what it includes, and its sections
    State {
        /// The file
        path: PathBuf,
    },
}

pub(crate) fn run(args: &InspectArgs) -> Result<(), CliError> {
    let mut page = Page { out: BufWriter::new(io::stdout().lock()) };
    match &args.file {
        InspectFile::Wal { path } => wal::inspect(path, &mut page),
        InspectFile::Table { path } => table::inspect(path, &mut page),
        InspectFile::History { path } => history::inspect(path, &mut page),
        InspectFile::Manifest { path } => manifest::inspect(path, &mut page),
        InspectFile::Batch { path, offset } => batch::inspect(path, *offset, &mut page),
        InspectFile::Archive { path } => archive::inspect(path, &mut page),
        InspectFile::Backup { target, number } => backup::inspect(target, *number, &mut page),
        InspectFile::State { path } => state::inspect(path, &mut page),
    }?;
    page.out.flush().map_err(|error| stdout_error(&error))
}

/// Where the description goes.
struct Page<'a> {
    out: BufWriter<StdoutLock<'a>>,
}

impl Page<'_> {
    fn line(&mut self, line: impl Display) -> Result<(), CliError> {
        writeln!(self.out, "{line}").map_err(|error| stdout_error(&error))
    }

    /// `name: value`, indented.
    fn field(&mut self, name: &str, value: impl Display) -> Result<(), CliError> {
        self.line(format_args!("  {name}: {value}"))
    }

    /// Writes out what there is before an error is told.
    fn fail<T>(&mut self, error: impl Display) -> Result<T, CliError> {
        self.out.flush().map_err(|error| stdout_error(&error))?;
        Err(CliError::failed(error))
    }
}

fn damaged(path: &Path, reason: impl Display) -> String {
    format!("{}: {reason}; what stands above is whole", path.display())
}

/// A clock in the format of files, where the smallest value means that there was none yet.
fn clock(nanos: i64) -> String {
    if nanos == i64::MIN { "none".to_owned() } else { rfc3339(nanos) }
}

fn log_id(id: &LogId) -> String {
    format!("index {} of term {} by node {}", id.index, id.term, id.leader_node)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
