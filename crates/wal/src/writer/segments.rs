//! The segments behind the one that is written: sealed, and recycled when their entries are no longer needed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::{LogPosition, SegmentHeader};

/// A segment that takes no more frames.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClosedSegment {
    /// Its file.
    pub path: PathBuf,
    /// Its header.
    pub header: SegmentHeader,
    /// The last entry at its end; equal to the header's where it holds only notes.
    pub last_index: u64,
    /// The position behind its last frame.
    pub end: LogPosition,
    /// The checksum of its last frame.
    pub chain: u32,
}

/// The closed segments, oldest first, and the header of the current one.
#[derive(Debug)]
pub(crate) struct Segments {
    pub closed: Vec<ClosedSegment>,
    pub current: SegmentHeader,
}

/// The last segment whose file may have been recycled; shared with readers.
#[derive(Debug, Default)]
pub(crate) struct PurgedThrough {
    segment_id: AtomicU64,
}

impl PurgedThrough {
    pub fn includes(&self, segment_id: u64) -> bool {
        segment_id <= self.segment_id.load(Ordering::Acquire)
    }

    pub fn advance(&self, segment_id: u64) {
        self.segment_id.fetch_max(segment_id, Ordering::AcqRel);
    }
}
