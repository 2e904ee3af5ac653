//! What an import did, and how far it is.

use crate::plan::Plan;

/// How many messages about skipped rows a report keeps.
pub const FIRST_ERRORS_MAX: usize = 5;

/// What became of one file.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FileReport {
    /// Rows that were looked at: imported, skipped, or (where the import ended early) refused.
    pub rows_read: u64,
    /// Rows in batches that the sink took.
    pub rows_imported: u64,
    /// Bad rows that were left out.
    pub rows_skipped: u64,
    /// The first [`FIRST_ERRORS_MAX`] messages about bad rows.
    pub first_errors: Vec<String>,
    /// Columns of the file that found no place in the table; of an archive, of any of its members.
    pub unplaced_columns: Vec<String>,
    /// Bytes of the file as it lies on disk.
    pub bytes: u64,
    /// Which source went where; of an archive, in its last member.
    pub plan: Option<Plan>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Bytes read of the file as it lies on disk. For Parquet the share of the rows that is done, in bytes.
    pub bytes_read: u64,
    /// Bytes of the file.
    pub bytes_total: u64,
    /// Rows in batches that the sink took.
    pub rows_imported: u64,
    /// Bad rows that were left out.
    pub rows_skipped: u64,
}
