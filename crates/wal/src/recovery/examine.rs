//! The decision: where the log ends, and whether it may end there. Reads only.

use std::path::Path;

use super::{
    Damage, RecoveredEntry, RecoveryError, RecoveryOptions, SegmentFile, TornTail, VisitResult, Vouch,
};
use crate::format::{FrameError, LogPosition, Mark};
use crate::layout::segment_path;
use crate::read::{SegmentScanner, Step};
use crate::state::LogState;

/// A sound log.
#[derive(Debug)]
pub(crate) struct Examined {
    pub state: LogState,
    /// The position behind the last frame.
    pub end: LogPosition,
    /// Everything before this is known to have been durable already.
    pub durable: LogPosition,
    /// The position behind the last thing that looked like a frame of the last segment.
    pub remains_end: LogPosition,
    pub torn: Option<TornTail>,
}

/// Reads the segments from the one that holds `replay_from` on.
pub(crate) fn examine(
    dir: &Path,
    segments: &[SegmentFile],
    mark: Option<Mark>,
    options: &RecoveryOptions,
    visit: &mut dyn FnMut(RecoveredEntry) -> VisitResult,
) -> Result<Examined, RecoveryError> {
    let replay_from = options.replay_from.max(1);
    let Some(first) = segments.first() else {
        return examine_nothing(dir, mark, options);
    };
    let before_first = first.header.last_log_id.index;
    if before_first >= replay_from {
        let found_index = before_first.saturating_add(1);
        return Err(RecoveryError::MissingStart {
            path: dir.to_owned(),
            expected_index: replay_from,
            found_index,
        });
    }
    let start =
        segments.iter().rposition(|segment| segment.header.last_log_id.index < replay_from).unwrap_or(0);
    let mut examination = Examination {
        state: LogState::before_segment(&segments[start].header),
        durable: LogPosition(0),
        replay_from,
        visit,
    };
    for pair in segments[start..].windows(2) {
        examination.closed_segment(&pair[0], &pair[1])?;
    }
    let last = &segments[segments.len() - 1];
    let examined = examination.last_segment(last, mark)?;
    check_durable_index(dir, options, examined.state.last_log_id.index)?;
    Ok(examined)
}

fn examine_nothing(
    dir: &Path,
    mark: Option<Mark>,
    options: &RecoveryOptions,
) -> Result<Examined, RecoveryError> {
    if let Some(mark) = mark.filter(|mark| mark.position > LogPosition(0)) {
        let vouch = Vouch::Mark { position: mark.position };
        let missing = segment_path(dir, mark.segment_id);
        return Err(RecoveryError::corruption(&missing, 0, Damage::MissingSegment, vouch));
    }
    check_durable_index(dir, options, 0)?;
    if options.replay_from > 1 {
        return Err(RecoveryError::MissingStart {
            path: dir.to_owned(),
            expected_index: options.replay_from,
            found_index: 1,
        });
    }
    let zero = LogPosition(0);
    Ok(Examined { state: LogState::default(), end: zero, durable: zero, remains_end: zero, torn: None })
}

fn check_durable_index(dir: &Path, options: &RecoveryOptions, found_index: u64) -> Result<(), RecoveryError> {
    if found_index < options.durable_index {
        let expected_index = options.durable_index;
        return Err(RecoveryError::LostTail { path: dir.to_owned(), expected_index, found_index });
    }
    Ok(())
}

struct Examination<'v> {
    state: LogState,
    durable: LogPosition,
    replay_from: u64,
    visit: &'v mut dyn FnMut(RecoveredEntry) -> VisitResult,
}

impl Examination<'_> {
    /// Reads frames up to the first invalid one, and says what is wrong with it; `None` at the segment's end.
    fn frames(
        &mut self,
        segment: &SegmentFile,
        scanner: &mut SegmentScanner,
    ) -> Result<Option<FrameError>, RecoveryError> {
        loop {
            let offset = scanner.offset();
            let frame = match scanner.step().map_err(|source| RecoveryError::io(&segment.path, source))? {
                Step::Frame(frame) => frame,
                Step::End => return Ok(None),
                Step::Invalid(newer @ FrameError::Newer { .. }) => {
                    let (path, reason) = (segment.path.clone(), newer.to_string());
                    return Err(RecoveryError::NewerFormat { path, offset, reason });
                }
                Step::Invalid(error) => return Ok(Some(error)),
            };
            if frame.prev_crc != self.state.chain {
                let error = FrameError::Chain { expected: self.state.chain, found: frame.prev_crc };
                scanner.seek(offset);
                return Ok(Some(error));
            }
            self.state.observe(&frame.meta, frame.payload, frame.crc).map_err(|gap| {
                let damage = Damage::Index { expected: gap.expected, found: gap.found };
                RecoveryError::corruption(&segment.path, offset, damage, Vouch::Checksum)
            })?;
            self.durable = self.durable.max(frame.synced_through);
            if frame.meta.kind.is_entry() && frame.meta.index < self.replay_from {
                continue;
            }
            let (position, meta) = (frame.position, frame.meta);
            let entry = RecoveredEntry { position, meta, payload: scanner.shared_payload() };
            (self.visit)(entry).map_err(|source| RecoveryError::Visitor {
                path: segment.path.clone(),
                offset,
                source,
            })?;
        }
    }

    /// A segment that is followed by another one ends where that one says.
    fn closed_segment(&mut self, segment: &SegmentFile, next: &SegmentFile) -> Result<(), RecoveryError> {
        let mut scanner = SegmentScanner::new(segment.file.clone(), &segment.header);
        let invalid = self.frames(segment, &mut scanner)?;
        let (found, expected) = (scanner.position(), next.header.previous_end);
        if found == expected && self.state.chain == next.header.chain {
            return Ok(());
        }
        let damage = match invalid {
            Some(error) if found < expected => Damage::Frame(error),
            _ => Damage::SegmentEnd {
                expected,
                found,
                expected_chain: next.header.chain,
                found_chain: self.state.chain,
            },
        };
        let vouch = Vouch::NextSegment { path: next.path.clone() };
        Err(RecoveryError::corruption(&segment.path, scanner.offset(), damage, vouch))
    }

    /// The last segment may end anywhere, unless something vouches for more.
    fn last_segment(mut self, segment: &SegmentFile, mark: Option<Mark>) -> Result<Examined, RecoveryError> {
        let mut scanner = SegmentScanner::new(segment.file.clone(), &segment.header);
        let invalid = self.frames(segment, &mut scanner)?;
        let (end, end_offset) = (scanner.position(), scanner.offset());
        let corruption = |vouch| {
            let damage = Damage::Frame(invalid.clone().unwrap_or(FrameError::Empty));
            Err(RecoveryError::corruption(&segment.path, end_offset, damage, vouch))
        };
        if let Some(mark) = mark.filter(|mark| mark.position > end) {
            return corruption(Vouch::Mark { position: mark.position });
        }
        let io = |source| RecoveryError::io(&segment.path, source);
        let (mut remains_end, mut frames) = (end, 0);
        while scanner.seek_candidate().map_err(io)? {
            let offset = scanner.offset();
            let seek_on = match scanner.step().map_err(io)? {
                Step::Frame(frame)
                    if frame.synced_through > end && frame.position > end && !planted_deafness() =>
                {
                    let (position, synced_through) = (frame.position, frame.synced_through);
                    return corruption(Vouch::Frame { position, synced_through });
                }
                Step::Frame(frame) => {
                    frames += 1;
                    remains_end = remains_end.max(frame.end());
                    offset + frame.bytes() as u64
                }
                _ => {
                    remains_end = remains_end.max(LogPosition(segment.header.base.0 + offset + 64));
                    offset + 16
                }
            };
            scanner.seek(seek_on);
        }
        if remains_end > end && planted_distrust() {
            return corruption(Vouch::Checksum);
        }
        let torn = (remains_end > end).then(|| TornTail {
            path: segment.path.clone(),
            offset: end_offset,
            bytes: remains_end.0 - end.0,
            frames,
        });
        let durable = self
            .durable
            .max(segment.header.frames_start())
            .max(mark.map_or(LogPosition(0), |mark| mark.position))
            .min(end);
        Ok(Examined { state: self.state, end, durable, remains_end, torn })
    }
}

/// True where a test has planted the bug that a later frame is not heard. Never in a release build.
fn planted_deafness() -> bool {
    #[cfg(debug_assertions)]
    return crate::planted::is(crate::planted::RecoveryBug::CutDespiteVouch);
    #[cfg(not(debug_assertions))]
    false
}

/// True where a test has planted the bug that every torn tail is damage. Never in a release build.
fn planted_distrust() -> bool {
    #[cfg(debug_assertions)]
    return crate::planted::is(crate::planted::RecoveryBug::RefuseTornTail);
    #[cfg(not(debug_assertions))]
    false
}
