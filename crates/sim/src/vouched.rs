//! Whether what lies on a disk proves that more of the log was durable than its readers were shown.
//!
//! A disk that lies can lose the end of the log together with every trace of it; alone, a node cannot tell that from a
//! torn tail. Where a trace is left, the loss must be refused. This says where one is left, by reading the files
//! themselves and not by asking recovery.

use std::path::Path;

use tapebook::Layout;
use tapebook_lsm::manifest::{Identity, Manifest};
use tapebook_vfs::{MemoryVfs, Vfs};
use tapebook_wal::{
    ArchiveFile, FRAME_ALIGN, FRAME_HEADER_BYTES, LogIdentity, LogPosition, MARK_SLOT_BYTES,
    SEGMENT_BLOCK_BYTES, SegmentInspection, decode_mark, inspect_segment, list_archive,
};

/// What proves that entries behind `last_index` were durable; `None` where nothing does.
pub(crate) fn vouched_behind(disk: &MemoryVfs, layout: &Layout, last_index: u64) -> Option<String> {
    let identity = Identity::read(disk, layout.root()).ok()?;
    let log = LogIdentity { cluster_id: identity.cluster_id, node_id: identity.node_id };
    flushed(disk, layout, identity, last_index)
        .or_else(|| archived(disk, layout, log, last_index))
        .or_else(|| logged(disk, layout, log, last_index))
}

fn flushed(disk: &MemoryVfs, layout: &Layout, identity: Identity, last_index: u64) -> Option<String> {
    let version = Manifest::read(disk, layout.root(), identity).ok()?.version;
    let flushed = version.state()?.applied.index;
    (flushed > last_index).then(|| format!("the state file holds entry {flushed}"))
}

fn archived(disk: &MemoryVfs, layout: &Layout, log: LogIdentity, last_index: u64) -> Option<String> {
    let dir = layout.archive();
    let first_index = *list_archive(disk, &dir).ok()?.last()?;
    let file = ArchiveFile::open(disk, &dir, log, first_index).ok()?;
    let archived = file.footer().through.entry.index;
    (archived > last_index).then(|| format!("the archive holds entry {archived}"))
}

fn logged(disk: &MemoryVfs, layout: &Layout, log: LogIdentity, last_index: u64) -> Option<String> {
    let dir = layout.wal();
    let names = disk.read_dir(&dir).ok()?;
    let last = names.iter().rfind(|entry| entry.name.ends_with(".log"))?;
    let segment = inspect_segment(disk, &dir.join(&last.name)).ok()?;
    let header = segment.header.as_ref().ok()?;
    if header.last_log_id.index > last_index {
        return Some(format!("{} was begun behind entry {}", last.name, header.last_log_id.index));
    }
    let end = end_of(&segment, last_index)?;
    if let Some(mark) = newest_mark(disk, &dir, log).filter(|mark| *mark > end) {
        return Some(format!("the mark says that everything before {mark} was, the log ends at {end}"));
    }
    let later = segment.frames().map_while(Result::ok).find_map(|report| {
        let synced = report.frame.ok()?.synced_through;
        (report.position > end && synced > end).then_some((report.position, synced))
    });
    later.map(|(position, synced)| {
        format!("the frame at {position} says that everything before {synced} was, the log ends at {end}")
    })
}

/// The position behind an entry in the last segment; its first frame where the entry lies in an earlier one.
fn end_of(segment: &SegmentInspection, last_index: u64) -> Option<LogPosition> {
    let base = segment.header.as_ref().ok()?.base.0;
    let mut end = LogPosition(base + SEGMENT_BLOCK_BYTES as u64);
    for report in segment.frames().map_while(Result::ok) {
        let Ok(frame) = report.frame else { break };
        if frame.meta.index > last_index {
            break;
        }
        let bytes = (FRAME_HEADER_BYTES + frame.payload_bytes).next_multiple_of(FRAME_ALIGN);
        end = LogPosition(report.position.0 + bytes as u64);
    }
    Some(end)
}

fn newest_mark(disk: &MemoryVfs, dir: &Path, log: LogIdentity) -> Option<LogPosition> {
    let bytes = disk.file_bytes(dir.join("MARK")).ok()?;
    let slots = [0, 4096].into_iter().filter_map(|at| bytes.get(at..at + MARK_SLOT_BYTES));
    let marks = slots.filter_map(|slot| decode_mark(slot, log));
    marks.max_by_key(|mark| mark.counter).map(|mark| mark.position)
}
