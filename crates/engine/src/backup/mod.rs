//! Backups: moments of a database and its journal in another place, from which any sequence in between comes back.
//!
//! A backup copies what the target lacks: files never change, so an SSTable or a file of the archive is copied once. Its
//! record is written last; a backup without one never was. A restore begins with the newest backup within the bound and
//! appends entries of the archive up to it, proving the rolling hash on the way.

mod checked;
mod create;
mod held;
mod record;
mod restore;
mod target;
mod verify;

use std::io;
use std::path::Path;

use tapebook_lsm::manifest::{ManifestError, StorageError};
use tapebook_record::codec::DecodeError;
use tapebook_vfs::without_path;
use tapebook_wal::{ArchiveError, CopyError};

pub use checked::BackupFile;
pub use create::BackupReport;
pub use record::{BACKUP_RECORD_BYTES_MAX, Backup, BackupArchiveFile};
pub(crate) use restore::new_epoch;
pub use restore::{RestoreBound, RestoreReport, restore};
pub use target::{BackupTarget, DirectoryTarget, TargetObject};
pub use verify::{BackupVerifyReport, verify_backups};

use self::record::{record_name, record_number};
use crate::{BuildError, FlushError};

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// An object could not be read or written.
    #[error("{place}: cannot {operation}: {}", without_path(source, Path::new(place)))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The object.
        place: String,
        /// The answer.
        source: io::Error,
    },
    /// An object is missing.
    #[error("{place}: is missing; the backups that need it cannot be restored")]
    Missing {
        /// The object.
        place: String,
    },
    /// An object is not what was written.
    #[error("{place}: {reason}; the backups that need it cannot be restored")]
    Damaged {
        /// The object.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A record is not what was written.
    #[error("{place}: {source}; remove it to use the other backups")]
    Record {
        /// The record.
        place: String,
        /// What is wrong.
        source: DecodeError,
    },
    /// The target holds backups of another database.
    #[error(
        "{place}: holds backups of cluster {found:032x}, this database is of cluster {expected:032x}; choose another target"
    )]
    Foreign {
        /// The target's newest record.
        place: String,
        /// This database's cluster.
        expected: u128,
        /// The backups' cluster.
        found: u128,
    },
    /// Somebody else wrote a record of the same number meanwhile.
    #[error("{place}: another backup was made there at the same time, which is whole; make this one again")]
    Overtaken {
        /// The record.
        place: String,
    },
    /// There is no backup.
    #[error("{place}: there is no backup")]
    None {
        /// The target.
        place: String,
    },
    /// Nothing lies within the bound.
    #[error(
        "nothing lies within the bound: the oldest backup ends at seq {oldest_seq}, and no archive reaches back to the beginning"
    )]
    TooEarly {
        /// What the oldest backup holds.
        oldest_seq: u64,
    },
    /// The archive does not reach from a backup to the bound.
    #[error(
        "the journal between seq {reached_seq} and the next backup, at seq {next_seq}, was not archived; \
         restore to one of the two"
    )]
    Unreachable {
        /// How far a restore would come.
        reached_seq: u64,
        /// What the next backup holds.
        next_seq: u64,
    },
    /// The archive does not lead to the rolling hash that it states.
    #[error("{place}: leads to another rolling hash at seq {seq} than was recorded")]
    Hash {
        /// The file of the archive.
        place: String,
        /// Where.
        seq: u64,
    },
    /// What is in memory could not be flushed.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// The data directory could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A manifest could not be read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file of the database could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The log could not be copied.
    #[error(transparent)]
    Log(#[from] CopyError),
    /// A file of the archive is damaged.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl BackupError {
    fn io(operation: &'static str, place: String, source: io::Error) -> Self {
        Self::Io { operation, place, source }
    }
}

/// One backup of a target, by its number.
pub fn read_backup(target: &dyn BackupTarget, number: u64) -> Result<Backup, BackupError> {
    read_record(target, number)
}

/// The backups of a target, oldest first. A record that is damaged is an error that names it.
pub fn list_backups(target: &dyn BackupTarget) -> Result<Vec<Backup>, BackupError> {
    record_numbers(target)?.into_iter().map(|number| read_record(target, number)).collect()
}

fn record_numbers(target: &dyn BackupTarget) -> Result<Vec<u64>, BackupError> {
    let listed = target.list("backups");
    let listed = listed.map_err(|source| BackupError::io("list", target.place("backups"), source))?;
    let mut numbers: Vec<u64> = listed.iter().filter_map(|object| record_number(&object.name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn read_record(target: &dyn BackupTarget, number: u64) -> Result<Backup, BackupError> {
    let name = record_name(number);
    let io = |source| BackupError::io("read", target.place(&name), source);
    let mut bytes = Vec::new();
    let object = target.get(&name).map_err(io)?;
    io::Read::read_to_end(&mut io::Read::take(object, BACKUP_RECORD_BYTES_MAX), &mut bytes).map_err(io)?;
    let record = Backup::decode(&bytes);
    let record = record.map_err(|source| BackupError::Record { place: target.place(&name), source })?;
    if record.number != number {
        let source = DecodeError { offset: 16, reason: "the number of its name" };
        return Err(BackupError::Record { place: target.place(&name), source });
    }
    Ok(record)
}
