//! Why metadata is refused: what is wrong with bytes, with a file, and with a commit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_record::codec::DecodeError;
use tapebook_vfs::without_path;

use super::VersionError;

/// Why bytes are not the structure that they should be. Offsets count from the first byte of the structure.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Another number of bytes.
    #[error("{found} bytes, expected {expected}")]
    Length {
        /// What the structure needs.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// Another kind of file.
    #[error("begins with {found:02x?}, expected {expected:02x?}")]
    Magic {
        /// The first bytes of this structure.
        expected: [u8; 8],
        /// What is there.
        found: [u8; 8],
    },
    /// The checksum does not match.
    #[error("at byte {offset}: checksum {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Where the checked bytes begin.
        offset: u64,
        /// Computed from the bytes.
        expected: u32,
        /// What is stored.
        found: u32,
    },
    /// A whole structure of a version that this program does not know.
    #[error("format version {found}, this program reads up to {supported}")]
    Newer {
        /// What is stored.
        found: u32,
        /// The newest that this program reads.
        supported: u32,
    },
    /// A field that a reader must understand and this one does not: a newer program wrote it.
    #[error("at byte {offset}: unknown mandatory field {tag:#06x}; a newer program wrote it")]
    UnknownField {
        /// Where it stands.
        offset: u64,
        /// Its tag.
        tag: u16,
    },
    /// A value that no writer produces, under a checksum that is right.
    #[error("at byte {offset}: expected {reason}")]
    Field {
        /// Where it stands.
        offset: u64,
        /// What was expected there.
        reason: &'static str,
    },
}

impl From<DecodeError> for FormatError {
    fn from(error: DecodeError) -> Self {
        Self::Field { offset: error.offset as u64, reason: error.reason }
    }
}

impl FormatError {
    /// The same error, of a structure that begins at `base` of another one.
    pub(crate) fn moved(self, base: u64) -> Self {
        match self {
            Self::Checksum { offset, expected, found } => {
                Self::Checksum { offset: base + offset, expected, found }
            }
            Self::UnknownField { offset, tag } => Self::UnknownField { offset: base + offset, tag },
            Self::Field { offset, reason } => Self::Field { offset: base + offset, reason },
            other => other,
        }
    }
}

/// Why a metadata file could not be read or written. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
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
    #[error("{}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: FormatError,
    },
    /// The file belongs to another database or another node.
    #[error("{}: belongs to {found}, expected {expected}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it should be.
        expected: String,
        /// Whose it is.
        found: String,
    },
    /// The file must exist and does not.
    #[error("{}: is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
}

impl StorageError {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound && operation == "read" {
            return Self::Missing { path: path.to_owned() };
        }
        Self::Io { operation, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn damaged(path: &Path, source: FormatError) -> Self {
        Self::Damaged { path: path.to_owned(), source }
    }

    /// True where the disk, or the user's share of it, is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// Why a manifest could not be created, opened or changed. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A file could not be read, or is not what was written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The manifest contradicts itself: something durable is broken. Nothing is cut off or deleted.
    #[error("{}: at byte {offset}: edit {ordinal}: {reason}", path.display())]
    Corrupt {
        /// The manifest.
        path: PathBuf,
        /// Where the broken edit begins.
        offset: u64,
        /// Its number in this manifest, from 0.
        ordinal: u64,
        /// What is wrong, and what proves that it was durable.
        reason: String,
    },
    /// The edit contradicts the version. Nothing was written; the manifest goes on.
    #[error("the edit is refused: {0}")]
    Refused(#[from] VersionError),
    /// The edit needs a new manifest, and that could not be prepared. Nothing changed; a later commit tries again.
    #[error("cannot begin a new manifest: {0}")]
    NotPrepared(StorageError),
    /// A write or sync failed, now or earlier. Whether the edit survives is unknown until the manifest is opened
    /// again.
    #[error("{0}; the manifest takes no more edits until it is opened again")]
    Poisoned(StorageError),
    /// The directory has had a manifest in use.
    #[error("{}: a manifest is or was in use here, none is created over it", path.display())]
    Exists {
        /// The file that shows it.
        path: PathBuf,
    },
}

impl ManifestError {
    /// True where the manifest takes no more edits until it is opened again.
    pub fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned(_))
    }

    /// True where nothing was changed because the disk is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NotPrepared(source) if source.is_no_space())
    }
}
