//! Frames of one segment, in order or searched for, through one bounded buffer.
//!
//! Knows checksums, identities and positions. Whether one frame follows another is for its users to judge.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tapebook_record::{AlignedBytes, Crc32c, SharedBytes};
use tapebook_vfs::{File, OpenMode, Vfs};

use crate::format::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, Frame, FrameError, LogPosition, SEGMENT_BLOCK_BYTES, SegmentHeader,
    decode_frame_seeded, decode_payload_bytes, frame_bytes, peek_position,
};

const READ_BYTES: usize = 1 << 20;

/// What lies at the scanner's place.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A whole frame; the scanner now stands behind it.
    Frame(Frame<'a>),
    /// No frame of this place; the scanner stays where it is.
    Invalid(FrameError),
    /// No room for a frame up to the end.
    End,
}

/// Reads the frames of one segment.
#[derive(Debug)]
pub(crate) struct SegmentScanner {
    file: Arc<dyn File>,
    seed: Crc32c,
    base: u64,
    /// The file offset of the next frame.
    offset: u64,
    /// The file offset behind the last frame.
    end: u64,
    /// Payloads that were shared keep it in memory; it is read into again only where there are none.
    buffer: Arc<AlignedBytes>,
    buffer_offset: u64,
    buffered: usize,
    /// Where in the buffer the payload of the last frame lies.
    payload: Range<usize>,
}

impl SegmentScanner {
    /// Stands in front of the segment's first frame.
    pub fn new(file: Arc<dyn File>, header: &SegmentHeader) -> Self {
        Self {
            file,
            seed: header.identity.seed(),
            base: header.base.0,
            offset: SEGMENT_BLOCK_BYTES as u64,
            end: header.segment_bytes - SEGMENT_BLOCK_BYTES as u64,
            buffer: Arc::default(),
            buffer_offset: 0,
            buffered: 0,
            payload: 0..0,
        }
    }

    /// Where the next frame begins, in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the next frame begins, in the log.
    pub fn position(&self) -> LogPosition {
        LogPosition(self.base + self.offset)
    }

    /// Moves in front of a frame, or to where one could begin.
    pub fn seek(&mut self, offset: u64) {
        debug_assert!(offset.is_multiple_of(FRAME_ALIGN as u64));
        self.offset = offset;
    }

    /// Reads no frame at or behind this position.
    pub fn limit(&mut self, end: LogPosition) {
        self.end = self.end.min(end.0.saturating_sub(self.base));
    }

    /// The frame at the scanner's place.
    pub fn step(&mut self) -> io::Result<Step<'_>> {
        if self.offset + FRAME_HEADER_BYTES as u64 > self.end {
            return Ok(Step::End);
        }
        let position = self.position();
        let ahead = self.ahead(FRAME_HEADER_BYTES)?;
        let total = match decode_payload_bytes(ahead, position) {
            Ok(payload_bytes) => frame_bytes(payload_bytes),
            Err(error) => return Ok(Step::Invalid(error)),
        };
        let at = self.offset;
        self.ahead(total)?;
        let start = (at - self.buffer_offset) as usize;
        let available = self.buffered.min((self.end - self.buffer_offset) as usize);
        match decode_frame_seeded(&self.buffer[start..available], &self.seed, position) {
            Ok(frame) => {
                self.offset = at + total as u64;
                let payload_start = start + FRAME_HEADER_BYTES;
                self.payload = payload_start..payload_start + frame.payload.len();
                Ok(Step::Frame(frame))
            }
            Err(error) => Ok(Step::Invalid(error)),
        }
    }

    /// The payload of the frame that the last step found. Nothing was sought or stepped over since.
    pub fn shared_payload(&self) -> SharedBytes {
        SharedBytes::part(&self.buffer, self.payload.clone())
    }

    /// Moves on to the next place whose bytes claim to be a frame of this place; false where there is none up to the
    /// end. The claim is still to be checked by [`SegmentScanner::step`].
    pub fn seek_candidate(&mut self) -> io::Result<bool> {
        while self.offset + FRAME_HEADER_BYTES as u64 <= self.end {
            let (base, offset) = (self.base, self.offset);
            let ahead = self.ahead(FRAME_HEADER_BYTES)?;
            if ahead.len() < FRAME_HEADER_BYTES {
                return Ok(false);
            }
            let places = (0..=ahead.len() - FRAME_HEADER_BYTES).step_by(FRAME_ALIGN);
            let mut last = 0;
            for place in places {
                last = place;
                let here = LogPosition(base + offset + place as u64);
                if peek_position(&ahead[place..]) == Some(here) {
                    self.offset = offset + place as u64;
                    return Ok(self.offset + FRAME_HEADER_BYTES as u64 <= self.end);
                }
            }
            self.offset = offset + (last + FRAME_ALIGN) as u64;
        }
        Ok(false)
    }

    /// The bytes from the scanner's place on: at least `wanted`, or all that the file has.
    fn ahead(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let inside = self.offset >= self.buffer_offset
            && self.offset + wanted as u64 <= self.buffer_offset + self.buffered as u64;
        if !inside {
            self.fill(wanted)?;
        }
        Ok(&self.buffer[(self.offset - self.buffer_offset) as usize..self.buffered])
    }

    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let buffered_end = self.buffer_offset + self.buffered as u64;
        let kept = if (self.buffer_offset..buffered_end).contains(&self.offset) {
            (self.offset - self.buffer_offset) as usize..self.buffered
        } else {
            0..0
        };
        let capacity = READ_BYTES.max(wanted);
        self.buffer_offset = self.offset;
        self.buffered = kept.len();
        let same = self.buffer.len() >= capacity && Arc::get_mut(&mut self.buffer).is_some();
        if !same {
            let mut next = AlignedBytes::zeroed(capacity);
            next[..kept.len()].copy_from_slice(&self.buffer[kept.clone()]);
            self.buffer = Arc::new(next);
        }
        let buffer = Arc::get_mut(&mut self.buffer).expect("no payload of this buffer is in use");
        if same {
            buffer.copy_within(kept, 0);
        }
        let room = (self.end + SEGMENT_BLOCK_BYTES as u64 - self.offset).min(capacity as u64) as usize;
        while self.buffered < room.min(capacity) {
            let at = self.offset + self.buffered as u64;
            match self.file.read_at(at, &mut buffer[self.buffered..room])? {
                0 => break,
                read => self.buffered += read,
            }
        }
        Ok(())
    }
}

/// The first bytes of a segment's file, as many as there are up to a header's length.
pub(crate) fn read_header_block(vfs: &dyn Vfs, path: &Path) -> io::Result<(Arc<dyn File>, Vec<u8>)> {
    let file = vfs.open(path, OpenMode::Read)?;
    let mut block = vec![0; SEGMENT_BLOCK_BYTES];
    let mut done = 0;
    while done < block.len() {
        match file.read_at(done as u64, &mut block[done..])? {
            0 => break,
            read => done += read,
        }
    }
    block.truncate(done);
    Ok((file, block))
}
