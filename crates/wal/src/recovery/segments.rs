//! The headers of all segments, and whether the segments follow one another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::{File, Vfs};

use super::{Damage, RecoveryError, Vouch};
use crate::format::{HeaderError, LogIdentity, SegmentHeader, decode_segment_header};
use crate::layout::segment_path;
use crate::read::read_header_block;

/// A segment whose header is sound.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub path: PathBuf,
    pub file: Arc<dyn File>,
    pub header: SegmentHeader,
}

/// Opens the segments with these numbers, which are sorted.
pub(crate) fn read_segment_headers(
    vfs: &dyn Vfs,
    dir: &Path,
    identity: LogIdentity,
    segment_ids: &[u64],
) -> Result<Vec<SegmentFile>, RecoveryError> {
    let mut segments: Vec<SegmentFile> = Vec::with_capacity(segment_ids.len());
    for segment_id in segment_ids {
        let segment = read_segment(vfs, dir, identity, *segment_id)?;
        if let Some(before) = segments.last() {
            check_succession(dir, before, &segment)?;
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn read_segment(
    vfs: &dyn Vfs,
    dir: &Path,
    identity: LogIdentity,
    segment_id: u64,
) -> Result<SegmentFile, RecoveryError> {
    let path = segment_path(dir, segment_id);
    let (file, block) = read_header_block(vfs, &path).map_err(|source| RecoveryError::io(&path, source))?;
    let header = match decode_segment_header(&block) {
        Ok(header) => header,
        Err(newer @ HeaderError::Newer { .. }) => {
            return Err(RecoveryError::NewerFormat { path, offset: 0, reason: newer.to_string() });
        }
        Err(damage) => return Err(RecoveryError::corruption(&path, 0, damage.into(), Vouch::Name)),
    };
    if header.identity.log != identity {
        return Err(RecoveryError::ForeignLog { path, expected: identity, found: header.identity.log });
    }
    if header.identity.segment_id != segment_id {
        let damage = Damage::SegmentId { expected: segment_id, found: header.identity.segment_id };
        return Err(RecoveryError::corruption(&path, 0, damage, Vouch::Name));
    }
    let found = file.len().map_err(|source| RecoveryError::io(&path, source))?;
    if found < header.segment_bytes {
        let damage = Damage::SegmentBytes { expected: header.segment_bytes, found };
        return Err(RecoveryError::corruption(&path, found, damage, Vouch::Name));
    }
    Ok(SegmentFile { path, file, header })
}

fn check_succession(dir: &Path, before: &SegmentFile, segment: &SegmentFile) -> Result<(), RecoveryError> {
    let next_id = before.header.identity.segment_id + 1;
    let vouch = Vouch::NextSegment { path: segment.path.clone() };
    if segment.header.identity.segment_id != next_id {
        let missing = segment_path(dir, next_id);
        return Err(RecoveryError::corruption(&missing, 0, Damage::MissingSegment, vouch));
    }
    if segment.header.base != before.header.next_base() {
        let damage = Damage::Base { expected: before.header.next_base(), found: segment.header.base };
        return Err(RecoveryError::corruption(&segment.path, 0, damage, Vouch::Checksum));
    }
    Ok(())
}
