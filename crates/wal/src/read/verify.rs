//! Every checksum, chain and promise of a whole log, without changing anything.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::Vfs;

use super::inspect::{FrameReport, SegmentInspection, inspect_segment};
use crate::format::{FrameError, LogIdentity, LogPosition};
use crate::layout::{Listing, segment_path};
use crate::mark_file::read_mark;

/// More problems than this are counted and not listed.
const PROBLEMS_MAX: usize = 1000;

/// What a log's files say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VerifyReport {
    /// Segments read.
    pub segments: u64,
    /// Whole frames.
    pub frames: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
    /// Bytes behind the end of the log that look like frames and that nothing vouches for; the next recovery cuts them.
    pub torn_bytes: u64,
    /// What is wrong, the first thousand.
    pub problems: Vec<Problem>,
    /// All problems.
    pub problem_count: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: at byte {offset}: {reason}", path.display())]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What was found, and expected.
    pub reason: String,
}

/// Reads every segment of the log in `dir`, which nobody may write meanwhile.
pub fn verify(vfs: &Arc<dyn Vfs>, dir: &Path, identity: LogIdentity) -> io::Result<VerifyReport> {
    let listing = Listing::read(&**vfs, dir)?;
    let mark = read_mark(&**vfs, dir, identity)?;
    let mut verification = Verification::default();
    let mut before: Option<SegmentInspection> = None;
    for (place, segment_id) in listing.segment_ids.iter().enumerate() {
        let inspection = inspect_segment(&**vfs, &segment_path(dir, *segment_id))?;
        verification.header(&inspection, *segment_id, identity);
        if let Some(before) = &before {
            verification.succession(before, &inspection);
        }
        let last = place + 1 == listing.segment_ids.len();
        let vouched = if last { mark.map(|mark| mark.position) } else { Some(LogPosition(u64::MAX)) };
        verification.frames(&inspection, vouched)?;
        before = Some(inspection);
    }
    if let (None, Some(mark)) = (&before, mark.filter(|mark| mark.position > LogPosition(0))) {
        let reason = format!("missing; the mark says that everything before {} is durable", mark.position);
        verification.problem(&segment_path(dir, mark.segment_id), 0, reason);
    }
    Ok(verification.report)
}

#[derive(Default)]
struct Verification {
    report: VerifyReport,
    /// Where the frames of the segment before ended, and with what checksum.
    end: LogPosition,
    chain: u32,
}

impl Verification {
    fn problem(&mut self, path: &Path, offset: u64, reason: String) {
        self.report.problem_count += 1;
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(Problem { path: path.to_owned(), offset, reason });
        }
    }

    fn header(&mut self, inspection: &SegmentInspection, segment_id: u64, identity: LogIdentity) {
        self.report.segments += 1;
        let header = match &inspection.header {
            Ok(header) => header,
            Err(error) => return self.problem(&inspection.path, 0, format!("segment header: {error}")),
        };
        let expected = identity.segment(segment_id);
        if header.identity != expected {
            let (found, wanted) = (header.identity, expected);
            let reason = format!(
                "segment {} of {}, expected segment {} of {}",
                found.segment_id, found.log, wanted.segment_id, wanted.log
            );
            self.problem(&inspection.path, 0, reason);
        }
        if inspection.file_bytes < header.segment_bytes {
            let reason = format!("the file ends here, expected {} bytes", header.segment_bytes);
            self.problem(&inspection.path, inspection.file_bytes, reason);
        }
    }

    fn succession(&mut self, before: &SegmentInspection, inspection: &SegmentInspection) {
        let before_path = &before.path;
        let (Ok(before), Ok(header)) = (&before.header, &inspection.header) else { return };
        let (next_id, found_id) = (before.identity.segment_id + 1, header.identity.segment_id);
        if found_id != next_id || header.base != before.next_base() {
            let reason = format!(
                "segment {found_id} at position {}, expected segment {next_id} at position {}",
                header.base,
                before.next_base()
            );
            self.problem(&inspection.path, 0, reason);
        } else if header.previous_end != self.end || header.chain != self.chain {
            let reason = format!(
                "the frames end at position {} with checksum {:#010x}, expected {} and {:#010x}",
                self.end, self.chain, header.previous_end, header.chain
            );
            self.problem(before_path, self.end.0.saturating_sub(before.base.0), reason);
        }
    }

    /// An invalid frame is a problem where something vouches for it: a later frame, or `vouched`.
    fn frames(&mut self, inspection: &SegmentInspection, vouched: Option<LogPosition>) -> io::Result<()> {
        let Ok(header) = &inspection.header else { return Ok(()) };
        self.end = header.frames_start();
        self.chain = header.chain;
        let mut vouched = vouched.unwrap_or_default();
        let mut suspects: Vec<FrameReport> = Vec::new();
        let mut suspect_count = 0_u64;
        let mut whole_end = self.end;
        for report in inspection.frames() {
            let report = report?;
            match &report.frame {
                Ok(frame) => {
                    let bytes = crate::format::frame_bytes(frame.payload_bytes) as u64;
                    whole_end = LogPosition(report.position.0 + bytes);
                    vouched = vouched.max(frame.synced_through);
                    if suspect_count == 0 {
                        self.report.frames += 1;
                        self.report.bytes += bytes;
                        (self.end, self.chain) = (whole_end, frame.crc);
                    }
                }
                Err(_) => {
                    suspect_count += 1;
                    if suspects.len() < PROBLEMS_MAX {
                        suspects.push(report);
                    }
                }
            }
        }
        let first = suspects.first().map(|suspect| suspect.position);
        if let Some(first) = first.filter(|first| vouched <= *first) {
            self.report.torn_bytes += whole_end.0.saturating_sub(first.0);
            return Ok(());
        }
        for suspect in suspects {
            if let Err(error) = suspect.frame {
                self.problem(&inspection.path, suspect.offset, error.to_string());
            }
        }
        if first.is_none() && vouched > self.end && vouched != LogPosition(u64::MAX) {
            let reason = format!(
                "{}, but the mark says that everything before {vouched} is durable",
                FrameError::Empty
            );
            self.problem(&inspection.path, self.end.0 - header.base.0, reason);
        }
        Ok(())
    }
}
