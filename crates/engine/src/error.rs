//! Why an operation of the database was refused or failed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tapebook_history::HistoryError;
use tapebook_lsm::manifest::{ManifestError, StorageError};
use tapebook_lsm::snapshot::ReadError;
use tapebook_lsm::sstable::{TableError, WriteError};
use tapebook_record::codec::DecodeError;
use tapebook_vfs::{LockError, without_path};
use tapebook_wal::{ArchiveError, RecoveryError, WalError};

use crate::{ArchivingError, ProducerRefusal};

/// Why a data directory could not be opened. Nothing in it was changed, unless the error is one of writing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory is in use, or cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The identity record or the state file is damaged, missing or of a newer format.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The manifest is damaged, missing or of a newer format.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A section of the state file does not say what it should.
    #[error("{}: {source}", path.display())]
    StateSection {
        /// The state file.
        path: PathBuf,
        /// What is wrong.
        source: DecodeError,
    },
    /// An SSTable is damaged or missing.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An SSTable is whole, but not the one that the manifest names: an older or newer file under the same name.
    #[error("{}: not the file that the manifest names: footer checksum {found:#010x}, expected {expected:#010x}", path.display())]
    OtherTable {
        /// The SSTable.
        path: PathBuf,
        /// What the manifest says.
        expected: u32,
        /// What the file says.
        found: u32,
    },
    /// The log is damaged or does not reach back as far as it must.
    #[error(transparent)]
    Log(#[from] RecoveryError),
    /// The log could not be begun or written.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The newest file of the archive is damaged, so that it cannot go on.
    #[error("{0}; move the archive away to begin another one")]
    Archive(#[from] ArchiveError),
    /// A directory or file could not be made or read.
    #[error("{}: cannot {operation}: {}", path.display(), without_path(source, path))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A history file is damaged or unreadable.
    #[error(transparent)]
    History(#[from] Box<HistoryError>),
    /// The manifest names a history file of a table that the database does not have.
    #[error("{}: of table number {table}, which this database does not have", path.display())]
    UnknownTable {
        /// The file.
        path: PathBuf,
        /// The table's number.
        table: u16,
    },
    /// The options say how much is kept of a table that there is not.
    #[error("retention is set for a table {name:?}, which there is not; the tables are {known}")]
    RetentionOfUnknownTable {
        /// What the options name.
        name: String,
        /// The tables that there are.
        known: String,
    },
    /// The directory holds something, but not a database.
    #[error("{}: not a Tapebook data directory: it has {found:?} but no IDENTITY; choose an empty directory", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// The directory was to become a copy of a database, and that was interrupted.
    #[error("{}: an interrupted copy of a database, which holds nothing to open; make the copy again", path.display())]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// The directory belongs to a node of a cluster, where a database alone must not write.
    #[error("{}: node {node_id} of a cluster with {voters} voters; start it with `tapebook serve`", path.display())]
    Clustered {
        /// The directory.
        path: PathBuf,
        /// Which node.
        node_id: u64,
        /// How many nodes vote.
        voters: usize,
    },
    /// The membership in the log or the state file does not say what it should.
    #[error("{}: the membership of the cluster: {source}", path.display())]
    Membership {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        source: DecodeError,
    },
    /// The first entry of a new database could not be written.
    #[error("cannot write the first entry of the log: {0}")]
    FirstEntry(AppendError),
}

/// Why a batch was not appended, or why its outcome is unknown. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// It has no rows.
    #[error("the batch has no rows")]
    Empty,
    /// A row lies too far in the future.
    #[error("row {row}: ts {ts} is more than {max_future_seconds} s ahead of the clock ({now})")]
    Future {
        /// Position in the batch.
        row: usize,
        /// The row's time.
        ts: i64,
        /// The clock, nanoseconds since the epoch.
        now: i64,
        /// How far ahead is allowed.
        max_future_seconds: u64,
    },
    /// The producer's number or epoch says that it must not be applied.
    #[error(transparent)]
    Producer(#[from] ProducerRefusal),
    /// It has a new symbol, and there are too many already.
    #[error("symbol {name:?} is new, and there are already {max}")]
    TooManySymbols {
        /// The first new name.
        name: String,
        /// The bound.
        max: usize,
    },
    /// The MemTables cannot be flushed, and no more may pile up. Reads go on; writing resumes by itself when the
    /// cause is gone.
    #[error("writes are refused while MemTables cannot be flushed: {0}")]
    FlushFailing(Arc<FlushError>),
    /// More waits to be written or flushed than may. Whoever need not return at once has the call wait instead.
    #[error("more waits to be written or flushed than may; try again")]
    Busy,
    /// The log refused it or failed. Where it is poisoned, whether the batch survives a restart is unknown.
    #[error(transparent)]
    Log(#[from] WalError),
    /// Another node leads the cluster, or none does at the moment. Nothing was taken.
    #[error("this node does not lead the cluster{}", leads(leader))]
    NotLeader {
        /// Who does, as far as this node knows, and where it is reached.
        leader: Option<(u64, String)>,
    },
    /// This node was the leader when it took the batch, and another one came before the batch was committed. Whether it is in
    /// the journal is unknown; sent again with the same number by the same producer, it is there once.
    #[error(
        "this node lost the lead before the batch was committed; whether it is in the journal is unknown, and sending it \
         again under its number settles that"
    )]
    LeadershipLost,
    /// A panic ended the commit pipeline. Whether the batch survives a restart is unknown.
    #[error("a panic ended the writing of the log; whether the batch survives a restart is unknown")]
    Interrupted,
    /// The database is closed.
    #[error("the database is closed")]
    Closed,
}

fn leads(leader: &Option<(u64, String)>) -> String {
    match leader {
        Some((node_id, address)) => format!("; node {node_id} at {address} does"),
        None => "; at the moment no node is known to".to_owned(),
    }
}

/// Why MemTables could not be flushed. They stay, and so does the log that holds their rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The SSTable could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The SSTable could not be opened after it was written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The history file could not be written.
    #[error(transparent)]
    WriteHistory(#[from] tapebook_history::WriteError),
    /// The history file could not be opened after it was written.
    #[error(transparent)]
    History(#[from] Box<HistoryError>),
    /// The state file could not be written.
    #[error(transparent)]
    State(#[from] StorageError),
    /// The version edit could not be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file could not be renamed or its directory synced.
    #[error("{}: cannot {operation}: {}", path.display(), without_path(source, path))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The log could not drop what is flushed.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The entries could not be archived, and without that nothing may be dropped from the log.
    #[error(transparent)]
    Archive(#[from] ArchivingError),
    /// A panic ended applying or flushing; what is in memory is not to be trusted, and a restart reads the disk.
    #[error("a panic ended applying or flushing; nothing is flushed until a restart")]
    Interrupted,
    /// The database is closed.
    #[error("the database is closed")]
    Closed,
    /// An earlier attempt, told again.
    #[error(transparent)]
    Again(Arc<FlushError>),
}

/// Why files could not be compacted. They stay as they are, and it is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactionError {
    /// A file that was to be merged is damaged or unreadable.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A new file or the version edit could not be written.
    #[error(transparent)]
    Files(#[from] FlushError),
    /// A panic ended an earlier step; a restart reads the disk.
    #[error("a panic ended compacting; nothing is compacted until a restart")]
    Interrupted,
}

impl From<tapebook_history::WriteError> for CompactionError {
    fn from(error: tapebook_history::WriteError) -> Self {
        Self::Files(error.into())
    }
}

impl From<WriteError> for CompactionError {
    fn from(error: WriteError) -> Self {
        Self::Files(error.into())
    }
}
