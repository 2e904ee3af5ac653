//! What can be wrong with a file, and what a writer refuses.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tapebook_record::symbol::SymbolError;
use tapebook_vfs::without_path;

use crate::HISTORY_FORMAT;
use crate::identity::HistoryIdentity;

/// A file that cannot be read, or not as the history that it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The operating system says no.
    #[error("{}: {}", path.display(), without_path(source, path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// The file is no Parquet file, or none that Tapebook wrote.
    #[error("{}: not a history file: {reason}", path.display())]
    NotHistory {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        reason: &'static str,
    },
    /// The file has a format that this version does not know.
    #[error("{}: history format {found}, this version reads up to {HISTORY_FORMAT}: use a newer version", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u16,
    },
    /// The file is history, but another one.
    #[error("{}: this is history file {found:?}, expected {expected:?}", path.display())]
    WrongIdentity {
        /// The file.
        path: PathBuf,
        /// Which file was asked for.
        expected: HistoryIdentity,
        /// Which file it is.
        found: HistoryIdentity,
    },
    /// The file holds rows of another table, or of a later layout of it.
    #[error("{}: rows of {found}, expected {expected}", path.display())]
    WrongTable {
        /// The file.
        path: PathBuf,
        /// Table and layout asked for.
        expected: String,
        /// Table and layout that it has.
        found: String,
    },
    /// The file is shorter or longer than it was.
    #[error("{}: {found} bytes, expected {expected}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// What it should have.
        expected: u64,
        /// Its length in bytes.
        found: u64,
    },
    /// Bytes are not those that were written.
    #[error("{}, byte {offset}: {part} has checksum {found:#010x}, expected {expected:#010x}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Where the part begins.
        offset: u64,
        /// What is damaged.
        part: Part,
        /// The checksum that was written.
        expected: u32,
        /// The checksum of what is there.
        found: u32,
    },
    /// A part says something that cannot be.
    #[error("{}: {part}: {reason}", path.display())]
    Structure {
        /// The file.
        path: PathBuf,
        /// The part.
        part: Part,
        /// What is wrong there.
        reason: String,
    },
}

/// A part of a file, for errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// A piece of the row groups, by its number from 0.
    Grain(u64),
    /// Everything behind the row groups.
    Tail,
    /// The list of series.
    Directory,
    /// The checksums of the grains.
    Checksums,
    /// Parquet's footer, with the metadata that stands in it.
    Footer,
    /// Pages of the columns.
    Pages,
    /// Bloom filters of the id columns.
    Filters,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grain(number) => write!(f, "grain {number}"),
            Self::Tail => f.write_str("tail"),
            Self::Directory => f.write_str("series directory"),
            Self::Checksums => f.write_str("checksums"),
            Self::Footer => f.write_str("footer"),
            Self::Pages => f.write_str("pages"),
            Self::Filters => f.write_str("Bloom filters"),
        }
    }
}

#[cold]
pub(crate) fn io_error(path: &Path, source: io::Error) -> HistoryError {
    HistoryError::Io { path: path.to_path_buf(), source }
}

#[cold]
pub(crate) fn structure(path: &Path, part: Part, reason: impl ToString) -> HistoryError {
    HistoryError::Structure { path: path.to_path_buf(), part, reason: reason.to_string() }
}

/// What a writer refuses. After [`WriteError::Io`] and [`WriteError::Encoder`] the file is useless and every further call
/// fails; after any other error it is as if none of the records of that call from the refused one on had been given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The operating system says no.
    #[error("{}: {}", path.display(), without_path(source, path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// The Parquet encoder gave up, or an earlier call failed.
    #[error("{}: {reason}", path.display())]
    Encoder {
        /// The file.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// A record does not come after the one before it.
    #[error(
        "record {symbol} ts {ts} seq {seq} does not come after {last_symbol} ts {last_ts} seq {last_seq}"
    )]
    OutOfOrder {
        /// The record's symbol.
        symbol: String,
        /// Its event time.
        ts: i64,
        /// Its position in the journal.
        seq: u64,
        /// The symbol of the last record written.
        last_symbol: String,
        /// Its event time.
        last_ts: i64,
        /// Its position in the journal.
        last_seq: u64,
    },
    /// The symbol's name is not possible.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// The row has something that its columns would not show: in history it would be lost.
    #[error("a row of {row_bytes} bytes with layout {layout} in table {table}: {reason}")]
    Row {
        /// The table's name.
        table: String,
        /// The row's layout version.
        layout: u16,
        /// The row's length.
        row_bytes: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}
