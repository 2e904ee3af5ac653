//! What can go wrong, with file, row and column.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::report::FileReport;
use crate::sink::SinkError;

/// Why a file was not imported, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file could not be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Reading or unpacking failed in the middle: the file is damaged or cut short.
    #[error("{file}: cannot read on after row {row}: {reason}; the file is damaged or cut short")]
    Damaged {
        /// The file, with the member of an archive.
        file: String,
        /// The last row (for text the last line) that was read.
        row: u64,
        /// What the decoder says.
        reason: String,
    },
    /// The file is of a kind that is not read here.
    #[error("{file}: {reason}")]
    Format {
        /// The file, with the member of an archive.
        file: String,
        /// What was found, and what to do.
        reason: String,
    },
    /// The first line is data, and nobody said what the columns are.
    #[error(
        "{file}: the first line is no header ({first_line}); \
         name the columns in their order with --columns a,b,c"
    )]
    NoHeader {
        /// The file, with the member of an archive.
        file: String,
        /// The first line, cut short.
        first_line: String,
    },
    /// A column that every row needs has no source.
    #[error("{file}: nothing to take column {column} of table {table} from; {advice}. The file has: {found}")]
    MissingSource {
        /// The file, with the member of an archive.
        file: String,
        /// The table.
        table: String,
        /// The column.
        column: &'static str,
        /// How to say where it comes from.
        advice: &'static str,
        /// The file's columns.
        found: String,
    },
    /// `map` or `set` names a column that the table does not have.
    #[error("table {table} has no column {column}; it has: {known}")]
    UnknownColumn {
        /// The table.
        table: String,
        /// The name that was given.
        column: String,
        /// The table's columns.
        known: String,
    },
    /// `map` names a column that the file does not have.
    #[error("{file}: no column {source_name} (wanted for {column}); the file has: {found}")]
    UnknownSource {
        /// The file, with the member of an archive.
        file: String,
        /// The table's column.
        column: String,
        /// The name that was given.
        source_name: String,
        /// The file's columns.
        found: String,
    },
    /// A source that the column can never hold.
    #[error("{file}: column {column}: {reason}")]
    BadSource {
        /// The file, with the member of an archive.
        file: String,
        /// The table's column.
        column: String,
        /// Why not.
        reason: String,
    },
    /// Columns without a place, and the import is strict.
    #[error(
        "{file}: no place in table {table} for: {columns}; give one with --map, or import without --strict"
    )]
    Unplaced {
        /// The file, with the member of an archive.
        file: String,
        /// The table.
        table: String,
        /// The columns.
        columns: String,
    },
    /// `--date name`, and there is no date in the name.
    #[error("{file}: the name has no date (eight digits or YYYY-MM-DD); give it with --date YYYY-MM-DD")]
    NoDateInName {
        /// The file, with the member of an archive.
        file: String,
    },
    /// A bad row, and the import stops at the first.
    #[error(transparent)]
    Row(Box<RowError>),
    /// The sink did not take a batch.
    #[error("{0}")]
    Sink(#[source] SinkError),
}

/// A row that cannot be imported.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RowError {
    /// The file, with the member of an archive.
    pub file: String,
    /// The line in the file (a header is line 1), or the row from 1 in Parquet.
    pub row: u64,
    /// The table's column, where the fault lies in one.
    pub column: Option<String>,
    /// The file's column that it comes from.
    pub source: Option<String>,
    /// What stands there, cut short.
    pub value: Option<String>,
    /// What is wrong with it, and what to do.
    pub problem: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, row {}", self.file, self.row)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(source) = self.source.as_ref().filter(|source| Some(*source) != self.column.as_ref()) {
            write!(f, " (from {source})")?;
        }
        match &self.value {
            Some(value) => write!(f, ": {value:?} {}", self.problem),
            None => write!(f, ": {}", self.problem),
        }
    }
}

impl std::error::Error for RowError {}

/// An import that ended early: why, and what it had done by then.
#[derive(Debug)]
pub struct ImportFailure {
    /// Why it ended.
    pub error: ImportError,
    /// What was done before.
    pub report: FileReport,
}

impl fmt::Display for ImportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for ImportFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Text of unknown length for a message.
pub(crate) fn cut_short(bytes: &[u8]) -> String {
    const SHOWN_CHARS: usize = 48;
    let head = &bytes[..bytes.len().min(SHOWN_CHARS * 4)];
    let text = String::from_utf8_lossy(head);
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if head.len() < bytes.len() || text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
