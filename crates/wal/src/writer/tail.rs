//! The end of the log: the open segment, and how a group gets behind it.
//!
//! Knows nothing of queues, callers and threads: whoever holds the writer's role holds the tail.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tapebook_record::Crc32c;
use tapebook_vfs::{File, OpenMode, Vfs};

use super::group::GroupBytes;
use super::prepare::Spare;
use super::queue::Queued;
use crate::WalError;
use crate::format::{FrameLinks, LogPosition, SegmentHeader, encode_segment_header};
use crate::layout::segment_path;
use crate::mark_file::MarkFile;
use crate::state::LogState;

/// The end of the log. `synced == end` between two groups.
#[derive(Debug)]
pub(crate) struct Tail<T> {
    pub path: PathBuf,
    file: Arc<dyn File>,
    pub header: SegmentHeader,
    seed: Crc32c,
    /// The position behind the last frame.
    pub end: LogPosition,
    /// Everything before this is durable.
    pub synced: LogPosition,
    pub state: LogState,
    mark: MarkFile,
    /// The group that is being written.
    pub group: Vec<Queued<T>>,
    bytes: GroupBytes,
    /// The length of the last group: as many are worth waiting for.
    pub last_group_entries: usize,
}

/// A group that is durable.
#[derive(Debug)]
pub(crate) struct Written {
    pub bytes: usize,
    pub sync: Duration,
    /// The mark could not be written. The group is durable, and the next one must not be tried.
    pub mark_failed: Option<WalError>,
}

/// Makes a spare the segment with this header: header first, and the name only when the header is durable. Returns
/// the file, opened by its new name, which is what errors about it should say.
pub(crate) fn begin_segment(
    vfs: &dyn Vfs,
    dir: &Path,
    spare: &Spare,
    header: &SegmentHeader,
) -> Result<(PathBuf, Arc<dyn File>), WalError> {
    let path = segment_path(dir, header.identity.segment_id);
    let block = encode_segment_header(header);
    spare
        .file
        .write_all_at(0, &[IoSlice::new(&block)])
        .map_err(|source| WalError::poisoned("write the segment header", &spare.path, source))?;
    spare
        .file
        .sync_data()
        .map_err(|source| WalError::poisoned("sync the segment header", &spare.path, source))?;
    vfs.rename(&spare.path, &path)
        .map_err(|source| WalError::poisoned("name the segment", &spare.path, source))?;
    vfs.sync_dir(dir).map_err(|source| WalError::poisoned("sync the directory", dir, source))?;
    let file = vfs.open(&path, OpenMode::ReadWrite);
    let file = file.map_err(|source| WalError::poisoned("open the segment", &path, source))?;
    Ok((path, file))
}

impl<T> Tail<T> {
    /// Stands at `end` of the segment with this header.
    pub fn at(
        path: PathBuf,
        file: Arc<dyn File>,
        header: SegmentHeader,
        end: LogPosition,
        state: LogState,
        mark: MarkFile,
    ) -> Self {
        Self {
            path,
            file,
            seed: header.identity.seed(),
            header,
            end,
            synced: end,
            state,
            mark,
            group: Vec::new(),
            bytes: GroupBytes::default(),
            last_group_entries: 0,
        }
    }

    /// The header of the segment after this one.
    pub fn next_header(
        &self,
        segment_bytes: u64,
        created_at: i64,
        facts: crate::SegmentFacts,
    ) -> SegmentHeader {
        SegmentHeader {
            identity: self.header.identity.log.segment(self.header.identity.segment_id + 1),
            segment_bytes,
            base: self.header.next_base(),
            previous_end: self.end,
            created_at,
            chain: self.state.chain,
            last_log_id: self.state.last_log_id,
            last_proposed_at: self.state.last_proposed_at,
            commit_index: self.state.commit_index,
            vote: self.state.vote,
            purge: self.state.purge,
            membership: self.state.membership.clone(),
            facts,
        }
    }

    /// Goes on in a new segment.
    pub fn roll(
        &mut self,
        vfs: &dyn Vfs,
        dir: &Path,
        spare: Spare,
        header: SegmentHeader,
    ) -> Result<(), WalError> {
        assert_eq!(self.synced, self.end, "a segment is closed only when all of it is durable");
        (self.path, self.file) = begin_segment(vfs, dir, &spare, &header)?;
        self.seed = header.identity.seed();
        self.end = header.frames_start();
        self.synced = self.end;
        self.header = header;
        Ok(())
    }

    /// Writes and syncs `group`. After an error its outcome is unknown and the tail must not be used again.
    pub fn write_group(&mut self, vfs: &dyn Vfs) -> Result<Written, WalError> {
        self.bytes.clear();
        for (entry, queued) in self.group.iter().enumerate() {
            let position = LogPosition(self.end.0 + self.bytes.len() as u64);
            assert_eq!(position, queued.placement.position, "a frame lies where it was admitted to");
            let links = FrameLinks { position, prev_crc: self.state.chain, synced_through: self.synced };
            let crc = self.bytes.push(&self.seed, &queued.meta, &links, &queued.payload, entry);
            let observed = self.state.observe(&queued.meta, &queued.payload, crc);
            assert_eq!(observed, Ok(()), "admission gives indexes that follow one another");
        }
        let offset = self.end.0 - self.header.base.0;
        self.bytes
            .write(&*self.file, offset, |entry| &*self.group[entry].payload)
            .map_err(|source| WalError::poisoned("write", &self.path, source))?;
        let began = vfs.clock().monotonic();
        self.file.sync_data().map_err(|source| WalError::poisoned("sync", &self.path, source))?;
        let sync = vfs.clock().monotonic().saturating_sub(began);
        self.end = LogPosition(self.end.0 + self.bytes.len() as u64);
        assert!(self.end <= self.header.frames_end(), "a group ends inside its segment");
        self.synced = self.end;
        self.last_group_entries = self.group.len();
        let marked = self.mark.write(self.synced, self.header.identity.segment_id);
        let mark_failed =
            marked.err().map(|source| WalError::poisoned("write the mark", &self.mark.path, source));
        Ok(Written { bytes: self.bytes.len(), sync, mark_failed })
    }
}
