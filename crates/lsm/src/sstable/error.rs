//! What can be wrong with a file, and what a writer refuses.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_record::TableId;
use tapebook_record::symbol::SymbolError;
use tapebook_vfs::without_path;

use super::TABLE_FORMAT;
use super::identity::TableIdentity;

/// A file that cannot be read, or not as the table that it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The operating system says no.
    #[error("{}: {}", path.display(), without_path(source, path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// The file does not begin like a table.
    #[error("{}: not a table: {length} bytes that do not begin with TBKSST01", path.display())]
    NotATable {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
    },
    /// The file has a format that this version does not know.
    #[error("{}: table format {found}, this version reads up to {TABLE_FORMAT}: use a newer version", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u16,
    },
    /// The file is a table, but another one.
    #[error("{}: this is table {found:?}, expected {expected:?}", path.display())]
    WrongIdentity {
        /// The file.
        path: PathBuf,
        /// Which table was asked for.
        expected: TableIdentity,
        /// Which table it is.
        found: TableIdentity,
    },
    /// The file is shorter or longer than its footer says, or ends without one.
    #[error("{}: {found} bytes, {}", path.display(), match expected {
        Some(expected) => format!("expected {expected}"),
        None => "and no footer at the end: it was cut off or never finished".to_owned(),
    })]
    Length {
        /// The file.
        path: PathBuf,
        /// What its footer says, where there is one.
        expected: Option<u64>,
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
    #[error("{}, byte {offset}: {part}: {reason}", path.display())]
    Structure {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// The part.
        part: Part,
        /// What is wrong there.
        reason: &'static str,
    },
}

/// A part of a file, for errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// The first 64 bytes.
    Header,
    /// A block of rows, by its number from 0.
    Block(u32),
    /// A page of a filter or an id index, by its number from 0.
    Page(u32),
    /// The list of blocks.
    BlockIndex,
    /// The list of series.
    Directory,
    /// The symbols' names.
    Names,
    /// The list of filters and id indexes.
    IdColumns,
    /// The checksums of the pages.
    PageChecksums,
    /// The properties.
    Meta,
    /// The last 192 bytes.
    Footer,
    /// Zeros between two parts.
    Padding,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("file header"),
            Self::Block(number) => write!(f, "block {number}"),
            Self::Page(number) => write!(f, "id page {number}"),
            Self::BlockIndex => f.write_str("block index"),
            Self::Directory => f.write_str("series directory"),
            Self::Names => f.write_str("symbol names"),
            Self::IdColumns => f.write_str("id columns"),
            Self::PageChecksums => f.write_str("page checksums"),
            Self::Meta => f.write_str("properties"),
            Self::Footer => f.write_str("footer"),
            Self::Padding => f.write_str("padding"),
        }
    }
}

#[cold]
pub(super) fn io_error(path: &Arc<Path>, source: io::Error) -> TableError {
    TableError::Io { path: path.to_path_buf(), source }
}

#[cold]
pub(super) fn structure(path: &Arc<Path>, offset: u64, part: Part, reason: &'static str) -> TableError {
    TableError::Structure { path: path.to_path_buf(), offset, part, reason }
}

#[cold]
pub(super) fn checksum(path: &Arc<Path>, offset: u64, part: Part, expected: u32, found: u32) -> TableError {
    TableError::Checksum { path: path.to_path_buf(), offset, part, expected, found }
}

/// What a writer refuses. After [`WriteError::Io`] the file is useless and every further call fails; after any
/// other error it is as if the record had not been given.
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
    /// A record does not come after the one before it.
    #[error(
        "record {table:?} {symbol} ts {ts} seq {seq} does not come after {last_table:?} {last_symbol} \
         ts {last_ts} seq {last_seq}"
    )]
    OutOfOrder {
        /// The record's table.
        table: TableId,
        /// Its symbol.
        symbol: String,
        /// Its event time.
        ts: i64,
        /// Its position in the journal.
        seq: u64,
        /// The table of the last record written.
        last_table: TableId,
        /// Its symbol.
        last_symbol: String,
        /// Its event time.
        last_ts: i64,
        /// Its position in the journal.
        last_seq: u64,
    },
    /// The schemas do not have the record's table.
    #[error("table {0:?} is not known")]
    UnknownTable(TableId),
    /// The symbol's name is not possible.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// The row is not one of its table.
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
    /// The file has as much of something as its format can count.
    #[error("the table is full: it cannot have more {0}")]
    Full(&'static str),
}
