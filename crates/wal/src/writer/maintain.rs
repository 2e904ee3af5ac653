//! Sealing and purging closed segments, beside the writing of the current one.

use std::io::IoSlice;
use std::sync::atomic::Ordering;

use tapebook_vfs::OpenMode;

use super::prepare::Spare;
use super::segments::ClosedSegment;
use super::shared::lock;
use super::wal::Wal;
use crate::format::{SEGMENT_BLOCK_BYTES, SegmentFooter, SegmentSummary, encode_segment_footer};
use crate::layout::spare_path;
use crate::read::{SegmentScanner, Step};
use crate::{DurableSink, WalError};

impl<S: DurableSink> Wal<S> {
    /// Ends a closed segment with its footer. Reads the segment and checks it on the way.
    pub fn seal_segment(&self, segment_id: u64, summary: SegmentSummary) -> Result<SegmentFooter, WalError> {
        let _maintenance = lock(&self.shared.maintenance);
        let closed = self.closed_segments().into_iter().find(|s| s.header.identity.segment_id == segment_id);
        let closed = closed.ok_or(WalError::UnknownSegment { segment_id })?;
        let io = |source| WalError::io("seal the segment", &closed.path, source);
        let file = self.shared.vfs.open(&closed.path, OpenMode::ReadWrite).map_err(io)?;
        let mut scanner = SegmentScanner::new(file.clone(), &closed.header);
        scanner.limit(closed.end);
        let footer = summarize(&mut scanner, &closed, summary)?;
        let block = encode_segment_footer(&footer, &closed.header.identity);
        let offset = closed.header.segment_bytes - SEGMENT_BLOCK_BYTES as u64;
        file.write_all_at(offset, &[IoSlice::new(&block)]).map_err(io)?;
        file.sync_data().map_err(io)?;
        Ok(footer)
    }

    /// Gives up the closed segments whose entries all have an index up to `index`, oldest first: their files become
    /// spares, or are removed where there are enough. Returns how many.
    ///
    /// Whoever needs the entries elsewhere has copied them before.
    pub fn purge_through(&self, index: u64) -> Result<usize, WalError> {
        let _maintenance = lock(&self.shared.maintenance);
        let mut purged = 0;
        loop {
            let oldest = lock(&self.shared.segments).closed.first().cloned();
            let Some(oldest) = oldest.filter(|oldest| oldest.last_index <= index) else {
                return Ok(purged);
            };
            self.purge_segment(&oldest)?;
            purged += 1;
        }
    }

    /// One segment at a time is durable before the next: so a crash never leaves a hole.
    fn purge_segment(&self, oldest: &ClosedSegment) -> Result<(), WalError> {
        let shared = &self.shared;
        shared.purged.advance(oldest.header.identity.segment_id);
        let number = {
            let mut queue = lock(&shared.queue);
            let keep = queue.free_spares() < shared.options.spare_segments_max
                && oldest.header.segment_bytes == shared.options.segment_bytes;
            keep.then(|| queue.preparation.take_number())
        };
        let io = |source| WalError::io("purge the segment", &oldest.path, source);
        let spare = match number {
            None => {
                shared.vfs.remove_file(&oldest.path).map_err(io)?;
                None
            }
            Some(number) => {
                let file = shared.vfs.open(&oldest.path, OpenMode::ReadWrite).map_err(io)?;
                let path = spare_path(&shared.dir, number);
                shared.vfs.rename(&oldest.path, &path).map_err(io)?;
                Some(Spare { path, file })
            }
        };
        lock(&shared.segments).closed.remove(0);
        if let Err(source) = shared.vfs.sync_dir(&shared.dir) {
            // Whether the old name is gone is unknown: neither the spare nor the directory may be used any more.
            let error = WalError::poisoned("sync the directory", &shared.dir, source);
            let tickets = shared.poison(error.clone(), false);
            let _completion = lock(&shared.completion);
            shared.sink.failed(tickets, &error);
            return Err(error);
        }
        if let Some(spare) = spare {
            shared.counters.segments_recycled.fetch_add(1, Ordering::Relaxed);
            let mut queue = lock(&shared.queue);
            queue.spares.push(spare);
            queue.preparation.failed = None;
            shared.room.notify_all();
        }
        Ok(())
    }
}

fn summarize(
    scanner: &mut SegmentScanner,
    closed: &ClosedSegment,
    summary: SegmentSummary,
) -> Result<SegmentFooter, WalError> {
    let damaged = |offset, reason| WalError::Damaged { path: closed.path.clone(), offset, reason };
    let mut footer = SegmentFooter { end: closed.end, frames: 0, indexes: None, proposed_at: None, summary };
    loop {
        let offset = scanner.offset();
        if scanner.position() == closed.end {
            return Ok(footer);
        }
        let step = scanner.step().map_err(|source| WalError::io("read the segment", &closed.path, source))?;
        let frame = match step {
            Step::Frame(frame) => frame,
            Step::Invalid(error) => return Err(damaged(offset, error.to_string())),
            Step::End => return Err(damaged(offset, "the frames end here".into())),
        };
        footer.frames += 1;
        if frame.meta.kind.is_entry() {
            let (index, at) = (frame.meta.index, frame.meta.proposed_at);
            footer.indexes = Some(footer.indexes.map_or((index, index), |(first, _)| (first, index)));
            footer.proposed_at =
                Some(footer.proposed_at.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        }
    }
}
