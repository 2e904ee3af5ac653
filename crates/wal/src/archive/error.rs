//! Why an archive file cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::without_path;

use crate::format::LogIdentity;

/// Why bytes are not a part of an archive file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveFormatError {
    /// Too few bytes.
    #[error("{found} bytes, expected {expected}")]
    TooShort {
        /// What the structure needs.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// Another kind of file.
    #[error("no archive file: found {found:02x?}")]
    Magic {
        /// What stands where the magic should.
        found: [u8; 8],
    },
    /// A whole file of a version that this program does not know.
    #[error("archive format {found}, this program reads up to {supported}")]
    Newer {
        /// What the header says.
        found: u32,
        /// The newest that this program reads.
        supported: u32,
    },
    /// The checksum does not match.
    #[error("checksum {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Computed from the bytes.
        expected: u32,
        /// What is stored.
        found: u32,
    },
    /// A value that no writer produces, under a checksum that is right.
    #[error("expected {expected}, found {found}")]
    Field {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: u64,
    },
    /// A block's bytes cannot be decompressed.
    #[error("cannot be decompressed: {reason}")]
    Compression {
        /// What the decoder said.
        reason: String,
    },
}

/// Why an archive file could not be read or written. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The operating system refused.
    #[error("{}: cannot {operation}: {}", path.display(), without_path(source, path))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The answer.
        source: Arc<io::Error>,
    },
    /// The file is not what was written.
    #[error("{}: at byte {offset}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        source: ArchiveFormatError,
    },
    /// The file of another cluster or node.
    #[error("{}: belongs to {found}, expected {expected}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Who reads it.
        expected: LogIdentity,
        /// Whose it is.
        found: LogIdentity,
    },
    /// The entry is not the one behind the last.
    #[error("{}: entry {found} where {expected} was expected", path.display())]
    Order {
        /// The file that is written, or read.
        path: PathBuf,
        /// The next index.
        expected: u64,
        /// The entry's.
        found: u64,
    },
}

impl ArchiveError {
    pub(super) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn damaged(path: &Path, offset: u64, source: ArchiveFormatError) -> Self {
        Self::Damaged { path: path.to_owned(), offset, source }
    }
}
