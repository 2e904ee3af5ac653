//! Making a sound log ready: what is kept is made durable, what was torn becomes zeros. Writes, and decides nothing.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use tapebook_vfs::{File, OpenMode, Vfs};

use super::examine::Examined;
use super::{Recovered, RecoveredTail, RecoveryError, SegmentFile};
use crate::format::{FRAME_HEADER_BYTES, GROUP_BYTES_MAX, LogIdentity, LogPosition, Mark};
use crate::layout::{Listing, preparing_path};
use crate::mark_file::MarkFile;

const CHUNK_BYTES: usize = 256 << 10;

pub(crate) fn repair(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    identity: LogIdentity,
    listing: &Listing,
    mark: Option<Mark>,
    segments: Vec<SegmentFile>,
    examined: Examined,
) -> Result<Recovered, RecoveryError> {
    if let Some(last) = segments.last() {
        repair_tail(&**vfs, last, &examined).map_err(|source| RecoveryError::io(&last.path, source))?;
    }
    for number in &listing.preparing {
        let path = preparing_path(dir, *number);
        vfs.remove_file(&path).map_err(|source| RecoveryError::io(&path, source))?;
    }
    let at_dir = |source| RecoveryError::io(dir, source);
    let mut mark = MarkFile::open(&**vfs, dir, identity, mark).map_err(at_dir)?;
    if let Some(last) = segments.last() {
        let written = mark.write(examined.end, last.header.identity.segment_id).and_then(|()| mark.sync());
        written.map_err(|source| RecoveryError::io(&mark.path, source))?;
    }
    vfs.sync_dir(dir).map_err(at_dir)?;
    let before_first = segments.first().map_or(0, |first| first.header.last_log_id.index);
    Ok(Recovered {
        dir: dir.to_owned(),
        identity,
        first_index: before_first.saturating_add(1),
        end: examined.end,
        state: examined.state,
        torn: examined.torn,
        segments: segments.into_iter().map(|segment| segment.header).collect(),
        tail: RecoveredTail { mark, spares: listing.spares.clone(), next_spare: listing.next_spare() },
    })
}

fn repair_tail(vfs: &dyn Vfs, last: &SegmentFile, examined: &Examined) -> io::Result<()> {
    let file = vfs.open(&last.path, OpenMode::ReadWrite)?;
    let base = last.header.base.0;
    write_again(&*file, examined.durable.0 - base, examined.end.0 - base)?;
    // The last group began at or before the cut and is bounded; nothing torn lies further on.
    let torn_end = LogPosition(examined.end.0 + (GROUP_BYTES_MAX + FRAME_HEADER_BYTES) as u64);
    let zero_end = torn_end.max(examined.remains_end).min(last.header.frames_end());
    zero(&*file, examined.end.0 - base, zero_end.0 - base)?;
    file.sync_data()
}

/// Frames that no evidence covers may exist in the page cache only, and after a failed sync the kernel takes such
/// pages for clean: only a new write brings them to the disk.
fn write_again(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    for_chunks(file, from, to, |offset, chunk| file.write_all_at(offset, &[IoSlice::new(chunk)]))
}

fn zero(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    for_chunks(file, from, to, |offset, chunk| {
        if chunk.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        chunk.fill(0);
        file.write_all_at(offset, &[IoSlice::new(chunk)])
    })
}

fn for_chunks(
    file: &dyn File,
    from: u64,
    to: u64,
    mut each: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut offset = from;
    while offset < to {
        let len = (to - offset).min(CHUNK_BYTES as u64) as usize;
        let chunk = &mut buffer[..len];
        file.read_exact_at(offset, chunk)?;
        each(offset, chunk)?;
        offset += len as u64;
    }
    Ok(())
}
