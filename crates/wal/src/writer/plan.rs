//! Where the next frame will lie. Pure: decided when an entry is admitted, carried out when its group is written.

use crate::format::{LogPosition, SEGMENT_BLOCK_BYTES, SegmentHeader};

/// The place behind the last admitted frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    next: u64,
    frames_end: u64,
    next_base: u64,
    /// The length of segments to come.
    segment_bytes: u64,
}

/// Where an entry goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Placement {
    pub position: LogPosition,
    /// True for the first frame of a new segment.
    pub begins_segment: bool,
}

impl Plan {
    /// Goes on at `end` in the segment with this header.
    pub fn behind(end: LogPosition, header: &SegmentHeader, segment_bytes: u64) -> Self {
        Self {
            next: end.0,
            frames_end: header.frames_end().0,
            next_base: header.next_base().0,
            segment_bytes,
        }
    }

    /// True where a frame of this length needs a new segment.
    pub fn needs_segment(&self, frame_bytes: usize) -> bool {
        self.next + frame_bytes as u64 > self.frames_end
    }

    /// Places a frame.
    pub fn place(&mut self, frame_bytes: usize) -> Placement {
        let begins_segment = self.needs_segment(frame_bytes);
        if begins_segment {
            let base = self.next_base;
            self.next = base + SEGMENT_BLOCK_BYTES as u64;
            self.next_base = base + self.segment_bytes;
            self.frames_end = self.next_base - SEGMENT_BLOCK_BYTES as u64;
        }
        let position = LogPosition(self.next);
        self.next += frame_bytes as u64;
        assert!(self.next <= self.frames_end, "the options let no payload be longer than a segment");
        Placement { position, begins_segment }
    }
}
