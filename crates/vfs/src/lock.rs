//! The lock that keeps a second process out of a data directory.

use std::fmt::{self, Debug, Display};
use std::io;
use std::path::PathBuf;

use crate::path_error::without_path;

/// Holds a directory for this process until it is dropped.
pub trait DirLock: Debug + Send + Sync {}

/// Who holds a directory, as written in its lock file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LockOwner {
    /// Process id; 0 where the lock file could not be read.
    pub pid: u32,
    /// The command that the owner runs.
    pub command: String,
}

/// The file that carries the lock, inside its directory.
pub(crate) const LOCK_FILE: &str = "LOCK";
/// Longer lock files are cut when read.
pub(crate) const LOCK_LINE_BYTES_MAX: usize = 4096;

impl LockOwner {
    /// This process, running `command`.
    pub(crate) fn this_process(command: &str) -> Self {
        Self { pid: std::process::id(), command: command.to_owned() }
    }

    /// The content of a lock file: `pid=1234 command=tapebook import trades.csv`, one line.
    pub(crate) fn to_line(&self) -> String {
        let command = self.command.replace(char::is_control, " ");
        let mut line = format!("pid={} command={command}", self.pid);
        line.truncate(line.floor_char_boundary(LOCK_LINE_BYTES_MAX - 1));
        line.push('\n');
        line
    }

    /// Reads a lock file's content; what cannot be read is 0 and `unknown`.
    pub(crate) fn from_line(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line);
        let line = line.lines().next().unwrap_or_default();
        let (pid, command) = line.split_once(" command=").unwrap_or((line, "unknown"));
        let pid = pid.strip_prefix("pid=").and_then(|pid| pid.parse().ok()).unwrap_or(0);
        Self { pid, command: command.to_owned() }
    }
}

impl Display for LockOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.command)
    }
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has the directory open.
    #[error("{} is in use by {owner}; stop it or choose another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it.
        owner: LockOwner,
    },
    /// The lock file could not be opened or locked.
    #[error("{}: cannot take the directory lock: {}", path.display(), without_path(source, path))]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}
