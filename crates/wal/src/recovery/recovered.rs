//! What recovery is asked, and what it found.

use std::path::PathBuf;

use tapebook_record::SharedBytes;

use crate::format::{FrameMeta, LogIdentity, LogPosition, SegmentHeader};
use crate::mark_file::MarkFile;
use crate::state::LogState;

/// What the owner of the log needs and knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecoveryOptions {
    /// The first entry to show; 0 or 1 for all. The log must reach back to it.
    pub replay_from: u64,
    /// The last entry known to have been durable, because SSTables hold it; 0 where nothing is known.
    pub durable_index: u64,
}

/// An entry or note, while recovery reads it.
#[derive(Clone, Debug)]
pub struct RecoveredEntry {
    /// Where it lies.
    pub position: LogPosition,
    /// What it says.
    pub meta: FrameMeta,
    /// The payload. It shares recovery's buffer with its neighbours: whoever keeps one payload in a hundred should copy it.
    pub payload: SharedBytes,
}

/// The end of the log that was cut, because nobody was ever told about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TornTail {
    /// The segment's file.
    pub path: PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// Bytes from there to the end of the last thing that looked like a frame.
    pub bytes: u64,
    /// Whole frames among them.
    pub frames: u64,
}

/// A log that was read, found sound and made ready: what [`Wal::start`](crate::Wal::start) goes on from.
#[derive(Debug)]
pub struct Recovered {
    /// The log's directory.
    pub dir: PathBuf,
    /// Whose log it is.
    pub identity: LogIdentity,
    /// What the log says at its end.
    pub state: LogState,
    /// The first entry that is still in the log; `state.next_index()` where there is none.
    pub first_index: u64,
    /// The position behind the last frame.
    pub end: LogPosition,
    /// What was cut.
    pub torn: Option<TornTail>,
    /// The headers of all segments, oldest first. The last one's facts are the newest.
    pub segments: Vec<SegmentHeader>,
    pub(crate) tail: RecoveredTail,
}

/// What only the writer needs.
#[derive(Debug)]
pub(crate) struct RecoveredTail {
    pub mark: MarkFile,
    /// Numbers and lengths of the spares.
    pub spares: Vec<(u64, u64)>,
    pub next_spare: u64,
}
