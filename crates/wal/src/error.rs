//! Why the log refuses.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::without_path;

/// Why an operation of the log was refused or failed. Cheap to clone, because one failure concerns many writers.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// There is no room for another segment. Nothing was written, the log is whole, and the next append that needs
    /// a segment tries again.
    #[error("{}: no room for a log segment of {needed} bytes: {}", path.display(), without_path(source, path))]
    NoSpace {
        /// The file that could not be prepared.
        path: PathBuf,
        /// The length of a segment.
        needed: u64,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// A segment could not be prepared for another reason. As [`WalError::NoSpace`] otherwise.
    #[error("{}: cannot prepare a log segment: {}", path.display(), without_path(source, path))]
    Prepare {
        /// The file that could not be prepared.
        path: PathBuf,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// An operation beside the log's tail failed: at start, while sealing or purging.
    #[error("{}: cannot {operation}: {}", path.display(), without_path(source, path))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// A write or sync of the log failed, now or earlier. It is not tried again: whether the entry survives a restart
    /// is unknown, and only a restart finds out.
    #[error("{}: cannot {operation}: {}; the log takes no more entries until a restart", path.display(), without_path(source, path))]
    Poisoned {
        /// What failed first.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
    /// The call would have to wait.
    #[error("{unsynced_bytes} bytes wait for the disk, at most {unsynced_bytes_max} may")]
    Busy {
        /// Bytes that are queued or being written.
        unsynced_bytes: u64,
        /// The bound.
        unsynced_bytes_max: u64,
    },
    /// The payload is longer than the options or the format allow.
    #[error("a payload of {found} bytes, expected at most {max}")]
    PayloadTooLong {
        /// The payload's length.
        found: usize,
        /// The longest allowed.
        max: usize,
    },
    /// The index that the proposal asks for cannot be the next.
    #[error("index {found}, expected {expected}")]
    Index {
        /// The next index, or the last one for a truncation.
        expected: u64,
        /// What the proposal says.
        found: u64,
    },
    /// The options contradict the format or each other.
    #[error("log options: {reason}")]
    Options {
        /// Which, and how.
        reason: &'static str,
    },
    /// No closed segment has this number.
    #[error("there is no closed segment {segment_id}")]
    UnknownSegment {
        /// The number.
        segment_id: u64,
    },
    /// A closed segment is not what was written.
    #[error("{}: at byte {offset}: {reason}", path.display())]
    Damaged {
        /// The segment's file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was found there.
        reason: String,
    },
}

impl WalError {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn poisoned(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Poisoned { operation, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn preparing(path: &Path, needed: u64, source: io::Error) -> Self {
        let (path, full) = (path.to_owned(), source.kind());
        let source = Arc::new(source);
        match full {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path, needed, source }
            }
            _ => Self::Prepare { path, source },
        }
    }

    /// True where the log is poisoned: the process must stop, and a restart reads the disk.
    pub fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }
}

/// A proposal that was not taken. Nothing of it was written, and its ticket comes back.
pub struct AppendError<T> {
    /// Why.
    pub error: WalError,
    /// The ticket that was handed in.
    pub ticket: T,
}

impl<T> fmt::Debug for AppendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for AppendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> std::error::Error for AppendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
