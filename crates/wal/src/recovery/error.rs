//! Why a log does not open.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tapebook_vfs::without_path;

use crate::format::{FrameError, HeaderError, LogIdentity, LogPosition};

/// Why a log does not open. Nothing was cut or overwritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// A file could not be read or written.
    #[error("{}: {}", path.display(), without_path(source, path))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Something that was once durable is damaged or gone.
    #[error(transparent)]
    Corruption(Box<Corruption>),
    /// The log of another cluster or node.
    #[error("{}: belongs to {found}, expected {expected}", path.display())]
    ForeignLog {
        /// The segment's file.
        path: PathBuf,
        /// Who opens it.
        expected: LogIdentity,
        /// Whose it is.
        found: LogIdentity,
    },
    /// The log was written by a newer version of this program.
    #[error("{}: at byte {offset}: {reason}", path.display())]
    NewerFormat {
        /// The segment's file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// Which version was found where.
        reason: String,
    },
    /// The log is whole and ends before something that its owner has seen durable.
    #[error(
        "{}: the log ends at index {found_index}, but entries up to {expected_index} were durable: \
         the disk has lost what it had reported as synced", path.display()
    )]
    LostTail {
        /// The log's directory.
        path: PathBuf,
        /// What the owner knows to have been durable.
        expected_index: u64,
        /// The last index in the log.
        found_index: u64,
    },
    /// The log begins behind the first entry that its owner needs.
    #[error("{}: the log begins at index {found_index}, but entries from {expected_index} on are needed", path.display())]
    MissingStart {
        /// The log's directory.
        path: PathBuf,
        /// The first entry needed.
        expected_index: u64,
        /// The first entry there is.
        found_index: u64,
    },
    /// The visitor refused an entry.
    #[error("{}: at byte {offset}: {source}", path.display())]
    Visitor {
        /// The segment's file.
        path: PathBuf,
        /// Where the entry's frame begins.
        offset: u64,
        /// What the visitor said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl RecoveryError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn corruption(path: &Path, offset: u64, damage: Damage, vouch: Vouch) -> Self {
        Self::Corruption(Box::new(Corruption { path: path.to_owned(), offset, damage, vouch }))
    }

    /// The damage, where that is the reason.
    pub fn as_corruption(&self) -> Option<&Corruption> {
        match self {
            Self::Corruption(corruption) => Some(corruption),
            _ => None,
        }
    }
}

/// What is damaged, and how it is known to have been whole once.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{}: at byte {offset}: {damage}; it was durable once ({vouch}), so it is not cut off; \
     `tapebook inspect wal {}` shows what is whole", path.display(), path.display()
)]
pub struct Corruption {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What was found there.
    pub damage: Damage,
    /// What proves that it was durable.
    pub vouch: Vouch,
}

/// What was found instead of what was written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Not the frame that was there.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not the segment header that was there.
    #[error("segment header: {0}")]
    Header(#[from] HeaderError),
    /// The file is gone.
    #[error("the segment is missing")]
    MissingSegment,
    /// The file is shorter than its header says.
    #[error("the file has {found} bytes, expected {expected}")]
    SegmentBytes {
        /// What the header says.
        expected: u64,
        /// The file's length.
        found: u64,
    },
    /// The header of another segment.
    #[error("the header of segment {found}, expected {expected}")]
    SegmentId {
        /// What the file's name says.
        expected: u64,
        /// What the header says.
        found: u64,
    },
    /// The segment does not begin where the one before it ends.
    #[error("a segment that begins at position {found}, expected {expected}")]
    Base {
        /// The end of the segment before.
        expected: LogPosition,
        /// What the header says.
        found: LogPosition,
    },
    /// The frames end elsewhere than the next segment's header says.
    #[error(
        "the frames end at position {found} with checksum {found_chain:#010x}, expected position {expected} and checksum {expected_chain:#010x}"
    )]
    SegmentEnd {
        /// What the next header says.
        expected: LogPosition,
        /// Where the frames end.
        found: LogPosition,
        /// The last checksum, as the next header says.
        expected_chain: u32,
        /// The checksum of the last frame found.
        found_chain: u32,
    },
    /// The frame is whole and its index does not follow.
    #[error("index {found}, expected {expected}")]
    Index {
        /// The next index.
        expected: u64,
        /// What the frame says.
        found: u64,
    },
}

/// What proves that something was durable once.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Vouch {
    /// A later frame was written when everything up to `synced_through` was durable.
    Frame {
        /// Where that frame lies.
        position: LogPosition,
        /// What it says.
        synced_through: LogPosition,
    },
    /// A later segment was begun, which happens only when the one before is durable.
    NextSegment {
        /// The later segment's file.
        path: PathBuf,
    },
    /// The mark file says so.
    Mark {
        /// How far.
        position: LogPosition,
    },
    /// The file has its name, which it gets only when its header is durable.
    Name,
    /// Its checksum and its place in the chain are right.
    Checksum,
}

impl fmt::Display for Vouch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { position, synced_through } => {
                write!(f, "the frame at position {position} says that everything before {synced_through} was")
            }
            Self::NextSegment { path } => write!(f, "{} was begun after it", path.display()),
            Self::Mark { position } => write!(f, "the mark says that everything before {position} was"),
            Self::Name => write!(f, "a segment gets its name after its header"),
            Self::Checksum => write!(f, "its checksum is right"),
        }
    }
}
