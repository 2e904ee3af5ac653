//! What is whole in one segment, also in a damaged one. Judges nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::{File, Vfs};

use super::{SegmentScanner, Step, read_header_block};
use crate::format::{
    FrameError, FrameMeta, HeaderError, LogPosition, SEGMENT_BLOCK_BYTES, SegmentFooter, SegmentHeader,
    decode_segment_footer, decode_segment_header,
};

/// What a segment's file says of itself.
#[derive(Debug)]
pub struct SegmentInspection {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub file_bytes: u64,
    /// Its header, or what is wrong with it. Without a header nothing else can be checked.
    pub header: Result<SegmentHeader, HeaderError>,
    /// Its footer, where it was sealed.
    pub footer: Option<SegmentFooter>,
    file: Arc<dyn File>,
}

/// A frame, or a place where one should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FrameReport {
    /// Where it begins in the file.
    pub offset: u64,
    /// Where it begins in the log.
    pub position: LogPosition,
    /// What was found.
    pub frame: Result<FrameSummary, FrameError>,
}

/// A whole frame without its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameSummary {
    /// What it says.
    pub meta: FrameMeta,
    /// The length of its payload.
    pub payload_bytes: usize,
    /// Its checksum.
    pub crc: u32,
    /// The checksum of the frame before it.
    pub prev_crc: u32,
    /// What was durable when it was written.
    pub synced_through: LogPosition,
}

/// Opens a segment's file, whatever its state.
pub fn inspect_segment(vfs: &dyn Vfs, path: &Path) -> io::Result<SegmentInspection> {
    let (file, block) = read_header_block(vfs, path)?;
    let file_bytes = file.len()?;
    let header = decode_segment_header(&block);
    let mut footer = None;
    if let Ok(header) = &header
        && header.segment_bytes <= file_bytes
    {
        let mut block = vec![0; SEGMENT_BLOCK_BYTES];
        file.read_exact_at(header.segment_bytes - SEGMENT_BLOCK_BYTES as u64, &mut block)?;
        footer = decode_segment_footer(&block, &header.identity);
    }
    Ok(SegmentInspection { path: path.to_owned(), file_bytes, header, footer, file })
}

impl SegmentInspection {
    /// The frames in the order of their offsets. A damaged one is reported once, and the search goes on behind it; the
    /// unwritten rest of a segment is not reported. Empty where the header is damaged.
    pub fn frames(&self) -> Frames {
        let header = self.header.as_ref().ok();
        Frames {
            scanner: header.map(|header| SegmentScanner::new(self.file.clone(), header)),
            chain: header.map_or(0, |header| header.chain),
            damaged: false,
        }
    }
}

/// The frames of one segment; see [`SegmentInspection::frames`].
#[derive(Debug)]
pub struct Frames {
    scanner: Option<SegmentScanner>,
    chain: u32,
    /// The last frame reported was damaged, so that the next one's chain cannot be right.
    damaged: bool,
}

impl Frames {
    fn read(&mut self) -> io::Result<Option<FrameReport>> {
        let Some(scanner) = &mut self.scanner else { return Ok(None) };
        loop {
            let (offset, position) = (scanner.offset(), scanner.position());
            let error = match scanner.step()? {
                Step::End => return Ok(None),
                Step::Invalid(error) => error,
                Step::Frame(frame) => {
                    let summary = FrameSummary {
                        meta: frame.meta,
                        payload_bytes: frame.payload.len(),
                        crc: frame.crc,
                        prev_crc: frame.prev_crc,
                        synced_through: frame.synced_through,
                    };
                    let error = FrameError::Chain { expected: self.chain, found: frame.prev_crc };
                    let follows = frame.prev_crc == self.chain || self.damaged;
                    (self.chain, self.damaged) = (frame.crc, false);
                    let frame = if follows { Ok(summary) } else { Err(error) };
                    return Ok(Some(FrameReport { offset, position, frame }));
                }
            };
            scanner.seek(offset + 16);
            let more = scanner.seek_candidate()?;
            let unwritten = matches!(error, FrameError::Empty | FrameError::Position { .. });
            if self.damaged || (unwritten && !more) {
                if more {
                    continue;
                }
                return Ok(None);
            }
            self.damaged = true;
            return Ok(Some(FrameReport { offset, position, frame: Err(error) }));
        }
    }
}

impl Iterator for Frames {
    type Item = io::Result<FrameReport>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.scanner = None;
        }
        read.transpose()
    }
}
