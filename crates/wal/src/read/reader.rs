//! Entries in log order, from an index on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tapebook_record::SharedBytes;
use tapebook_vfs::{OpenMode, Vfs, without_path};

use super::{SegmentScanner, Step};
use crate::format::{FrameError, FrameMeta, LogId, LogIdentity, LogPosition, SegmentHeader};
use crate::layout::{Listing, segment_path};
use crate::recovery::{RecoveryError, read_segment_headers};
use crate::writer::PurgedThrough;

/// An entry or note of the log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Where it lies.
    pub position: LogPosition,
    /// What it says.
    pub meta: FrameMeta,
    /// The payload.
    pub payload: SharedBytes,
}

impl LogEntry {
    /// Names the entry; of a note, what it speaks about.
    pub fn log_id(&self) -> LogId {
        LogId { term: self.meta.term, leader_node: self.meta.leader_node, index: self.meta.index }
    }
}

/// Why reading ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file could not be read.
    #[error("{}: {}", path.display(), without_path(source, path))]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The entry is no longer in the log.
    #[error("entry {wanted} was purged from the log, the first one kept is {first_index}")]
    Purged {
        /// The entry that was to be read.
        wanted: u64,
        /// The first entry that was in the log when the reader was made.
        first_index: u64,
    },
    /// What is durable is damaged.
    #[error("{}: at byte {offset}: {reason}", path.display())]
    Damaged {
        /// The segment's file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was found.
        reason: FrameError,
    },
}

/// Reads entries and notes in log order. Entries below the index that was asked for are left out; entries that a
/// later truncation makes void are not, the note follows them.
///
/// After an error the iterator ends.
#[derive(Debug)]
pub struct LogReader {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    /// Still to be read, the next one last.
    segments: Vec<SegmentHeader>,
    open: Option<OpenSegment>,
    from_index: u64,
    first_index: u64,
    chain: u32,
    /// Everything before it is durable; `None`: read up to the first invalid frame of the last segment.
    limit: Option<LogPosition>,
    purged: Arc<PurgedThrough>,
    ended: bool,
}

#[derive(Debug)]
struct OpenSegment {
    path: PathBuf,
    segment_id: u64,
    scanner: SegmentScanner,
    /// Where its frames end, and with what checksum where another segment follows.
    end: Option<(LogPosition, Option<u32>)>,
}

impl LogReader {
    /// Reads a log that nobody writes. It ends at the first invalid frame of the last segment; whether that is
    /// the right end is what [`recover`](crate::recover) decides.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: impl Into<PathBuf>,
        identity: LogIdentity,
        from_index: u64,
    ) -> Result<Self, RecoveryError> {
        let dir = dir.into();
        let listing = Listing::read(&*vfs, &dir).map_err(|source| RecoveryError::io(&dir, source))?;
        let segments = read_segment_headers(&*vfs, &dir, identity, &listing.segment_ids)?;
        let headers = segments.into_iter().map(|segment| segment.header).collect();
        Ok(Self::over(vfs, dir, headers, from_index, None, Arc::default()))
    }

    pub(crate) fn over(
        vfs: Arc<dyn Vfs>,
        dir: PathBuf,
        mut segments: Vec<SegmentHeader>,
        from_index: u64,
        limit: Option<LogPosition>,
        purged: Arc<PurgedThrough>,
    ) -> Self {
        let from_index = from_index.max(1);
        let first_index = segments.first().map_or(1, |first| first.last_log_id.index.saturating_add(1));
        let start = segments.iter().rposition(|segment| segment.last_log_id.index < from_index);
        segments.drain(..start.unwrap_or(0));
        segments.reverse();
        let chain = segments.last().map_or(0, |first| first.chain);
        Self { vfs, dir, segments, open: None, from_index, first_index, chain, limit, purged, ended: false }
    }

    /// The next entry or note; `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<LogEntry>, ReadError> {
        if self.from_index < self.first_index {
            return Err(ReadError::Purged { wanted: self.from_index, first_index: self.first_index });
        }
        loop {
            if self.open.is_none() {
                let Some(header) = self.segments.pop() else { return Ok(None) };
                self.open = Some(self.open_segment(&header)?);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            match open.next(&mut self.chain, self.from_index) {
                Ok(Some(entry)) => {
                    return Ok(Some(entry));
                }
                Ok(None) => self.open = None,
                Err(_) if self.purged.includes(open.segment_id) => {
                    return Err(ReadError::Purged { wanted: self.from_index, first_index: self.first_index });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The checksum of the frame that was read last.
    pub(crate) fn last_crc(&self) -> u32 {
        self.chain
    }

    fn open_segment(&self, header: &SegmentHeader) -> Result<OpenSegment, ReadError> {
        let segment_id = header.identity.segment_id;
        let path = segment_path(&self.dir, segment_id);
        let file = match self.vfs.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(_) if self.purged.includes(segment_id) => {
                return Err(ReadError::Purged { wanted: self.from_index, first_index: self.first_index });
            }
            Err(source) => return Err(ReadError::Io { path, source }),
        };
        let mut scanner = SegmentScanner::new(file, header);
        let end = match self.segments.last() {
            Some(next) => Some((next.previous_end, Some(next.chain))),
            None => self.limit.map(|limit| (limit, None)),
        };
        if let Some((end, _)) = end {
            scanner.limit(end);
        }
        Ok(OpenSegment { path, segment_id, scanner, end })
    }
}

impl Iterator for LogReader {
    type Item = Result<LogEntry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_entry().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl OpenSegment {
    fn next(&mut self, chain: &mut u32, from_index: u64) -> Result<Option<LogEntry>, ReadError> {
        loop {
            let offset = self.scanner.offset();
            let damaged = |reason| Err(ReadError::Damaged { path: self.path.clone(), offset, reason });
            if let Some((end, end_chain)) = self.end
                && self.scanner.position() >= end
            {
                return match end_chain.filter(|expected| *expected != *chain) {
                    Some(expected) => damaged(FrameError::Chain { expected, found: *chain }),
                    None => Ok(None),
                };
            }
            let step = self.scanner.step();
            let frame = match step.map_err(|source| ReadError::Io { path: self.path.clone(), source })? {
                Step::Frame(frame) => frame,
                Step::Invalid(_) | Step::End if self.end.is_none() => return Ok(None),
                Step::Invalid(reason) => return damaged(reason),
                Step::End => return damaged(FrameError::Empty),
            };
            if frame.prev_crc != *chain {
                if self.end.is_none() {
                    return Ok(None);
                }
                return damaged(FrameError::Chain { expected: *chain, found: frame.prev_crc });
            }
            *chain = frame.crc;
            if frame.meta.kind.is_entry() && frame.meta.index < from_index {
                continue;
            }
            let payload = SharedBytes::from(frame.payload);
            return Ok(Some(LogEntry { position: frame.position, meta: frame.meta, payload }));
        }
    }
}
