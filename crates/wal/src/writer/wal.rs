//! The log, as its owner sees it.

use std::fmt;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tapebook_vfs::{OpenMode, Vfs};

use super::admit::IfFull;
use super::plan::Plan;
use super::prepare::{Preparation, Spare, prepare_spare};
use super::queue::Queue;
use super::segments::{ClosedSegment, PurgedThrough, Segments};
use super::shared::{Shared, lock, wait};
use super::stats::{Counters, WalStats};
use super::tail::{Tail, begin_segment};
use super::threads;
use crate::format::{LogPosition, SegmentHeader};
use crate::layout::{segment_path, spare_path};
use crate::{
    AppendError, DurableSink, LogIdentity, LogReader, Proposal, Recovered, SegmentFacts, WalError, WalOptions,
};

/// The write-ahead log of one node, open for writing.
///
/// Shared by reference between threads. One process writes a log; the owner holds the directory's lock.
pub struct Wal<S: DurableSink> {
    pub(super) shared: Arc<Shared<S>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<S: DurableSink> Wal<S> {
    /// Goes on where recovery ended; a new log gets its first segment here.
    pub fn start(
        vfs: Arc<dyn Vfs>,
        options: WalOptions,
        recovered: Recovered,
        sink: Arc<S>,
    ) -> Result<Self, WalError> {
        options.validate()?;
        let Recovered { dir, identity, state, end, mut segments, tail: recovered_tail, .. } = recovered;
        let mut preparation = Preparation::new(recovered_tail.next_spare);
        let mut spares = open_spares(
            &*vfs,
            &dir,
            &recovered_tail.spares,
            options.segment_bytes,
            options.spare_segments_max,
        )?;
        let (header, end, file) = match segments.pop() {
            Some(header) => {
                let path = segment_path(&dir, header.identity.segment_id);
                let opened = vfs.open(&path, OpenMode::ReadWrite);
                (header, end, opened.map_err(|source| WalError::io("open the segment", &path, source))?)
            }
            None => {
                let spare = match spares.pop() {
                    Some(spare) => spare,
                    None => prepare_spare(&*vfs, &dir, preparation.take_number(), options.segment_bytes)?,
                };
                let header = first_header(identity, options.segment_bytes, vfs.clock().unix_nanos());
                let (_, file) = begin_segment(&*vfs, &dir, &spare, &header)?;
                let end = header.frames_start();
                (header, end, file)
            }
        };
        let queue = Queue {
            entries: Default::default(),
            unsynced_bytes: 0,
            writing: false,
            poisoned: None,
            closing: false,
            next_index: state.next_index(),
            last_proposed_at: state.last_proposed_at,
            synced_index: state.last_log_id.index,
            truncations: Default::default(),
            plan: Plan::behind(end, &header, options.segment_bytes),
            spares,
            reserved: 0,
            preparation,
        };
        let path = segment_path(&dir, header.identity.segment_id);
        let closed = closed_segments(&dir, segments, &header);
        let tail = Tail::at(path, file, header.clone(), end, state, recovered_tail.mark);
        let shared = Arc::new(Shared {
            vfs,
            dir,
            identity,
            sink,
            queue: Mutex::new(queue),
            queued_entries: Default::default(),
            work: Default::default(),
            room: Default::default(),
            prepare: Default::default(),
            tail: Mutex::new(tail),
            completion: Default::default(),
            segments: Mutex::new(Segments { closed, current: header }),
            maintenance: Default::default(),
            purged: Arc::new(PurgedThrough::default()),
            synced: end.0.into(),
            counters: Counters::default(),
            options,
        });
        let mut running = Vec::new();
        if shared.options.background {
            running = threads::spawn(&shared)
                .map_err(|source| WalError::io("start the log's threads", &shared.dir, source))?;
        }
        Ok(Self { shared, threads: Mutex::new(running) })
    }

    /// Appends a proposal. Where nobody is writing, this thread writes and syncs it and calls the sink before it
    /// returns; otherwise the entry is queued, and whoever writes takes it along. Waits while too many bytes are
    /// unsynced.
    ///
    /// `Ok` says only that the proposal was admitted: the ticket's way through the sink says how it ended.
    pub fn append(&self, proposal: Proposal, ticket: S::Ticket) -> Result<(), AppendError<S::Ticket>> {
        let mut queue = self.shared.admit(proposal, ticket, IfFull::Wait)?;
        if queue.writing {
            return Ok(());
        }
        queue.writing = true;
        drop(queue);
        self.shared.write_group();
        if !self.shared.options.background {
            self.write_all();
        }
        Ok(())
    }

    /// Hands a proposal over to the log's thread; never writes in the caller. Waits while too many bytes are unsynced,
    /// or answers [`WalError::Busy`] where the log has no thread.
    pub fn enqueue(&self, proposal: Proposal, ticket: S::Ticket) -> Result<(), AppendError<S::Ticket>> {
        let if_full = if self.shared.options.background { IfFull::Wait } else { IfFull::Refuse };
        self.hand_over(proposal, ticket, if_full)
    }

    /// As [`Wal::enqueue`], and answers [`WalError::Busy`] instead of waiting.
    pub fn try_enqueue(&self, proposal: Proposal, ticket: S::Ticket) -> Result<(), AppendError<S::Ticket>> {
        self.hand_over(proposal, ticket, IfFull::Refuse)
    }

    /// As [`Wal::try_enqueue`], with many proposals at once: as many are taken, in order, as there is room for. `next` is asked for
    /// each, with the log locked; the first that is refused comes back.
    pub fn try_enqueue_all(
        &self,
        next: impl FnMut() -> Option<(Proposal, S::Ticket)>,
    ) -> Result<(), AppendError<S::Ticket>> {
        let (queue, admitted) = self.shared.admit_all(next);
        let wake = !queue.writing && !queue.entries.is_empty();
        drop(queue);
        if wake {
            self.shared.work.notify_one();
        }
        admitted
    }

    fn hand_over(
        &self,
        proposal: Proposal,
        ticket: S::Ticket,
        if_full: IfFull,
    ) -> Result<(), AppendError<S::Ticket>> {
        let queue = self.shared.admit(proposal, ticket, if_full)?;
        let idle = !queue.writing;
        drop(queue);
        if idle {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Writes and completes everything queued, in this thread; the number of entries that became durable.
    pub fn drive(&self) -> Result<usize, WalError> {
        let completed = self.write_all();
        match self.poisoned() {
            Some(error) => Err(error),
            None => Ok(completed),
        }
    }

    fn write_all(&self) -> usize {
        let mut completed = 0;
        while self.shared.try_take_role() {
            completed += self.shared.write_group();
        }
        completed
    }

    /// The index of the last admitted entry.
    pub fn last_index(&self) -> u64 {
        lock(&self.shared.queue).next_index - 1
    }

    /// Everything before this position is durable.
    pub fn synced_position(&self) -> LogPosition {
        LogPosition(self.shared.synced.load(Ordering::Acquire))
    }

    /// The last entry that is durable and that no truncation on its way makes void.
    pub fn synced_index(&self) -> u64 {
        let queue = lock(&self.shared.queue);
        queue.truncations.iter().copied().fold(queue.synced_index, u64::min)
    }

    /// Why the log takes no more entries, where it is poisoned.
    pub fn poisoned(&self) -> Option<WalError> {
        lock(&self.shared.queue).poisoned.clone()
    }

    /// Whose log it is.
    pub fn identity(&self) -> LogIdentity {
        self.shared.identity
    }

    /// Counters since the start.
    pub fn stats(&self) -> WalStats {
        let queue = lock(&self.shared.queue);
        WalStats {
            unsynced_bytes: queue.unsynced_bytes,
            queued_entries: queue.entries.len() as u64,
            ..self.shared.counters.snapshot()
        }
    }

    /// Why nothing will be written any more, where that is so: a write or sync has failed, and a restart reads the disk.
    pub fn failure(&self) -> Option<WalError> {
        lock(&self.shared.queue).poisoned.clone()
    }

    /// The segments that take no more frames, oldest first.
    pub fn closed_segments(&self) -> Vec<ClosedSegment> {
        lock(&self.shared.segments).closed.clone()
    }

    /// The header of the segment that is written.
    pub fn current_segment(&self) -> SegmentHeader {
        lock(&self.shared.segments).current.clone()
    }

    /// Reads what is durable now, from the entry with `from_index` on.
    pub fn reader(&self, from_index: u64) -> LogReader {
        let synced = self.synced_position();
        let segments = lock(&self.shared.segments);
        let headers = segments.closed.iter().map(|closed| closed.header.clone());
        let headers = headers.chain([segments.current.clone()]).collect();
        LogReader::over(
            self.shared.vfs.clone(),
            self.shared.dir.clone(),
            headers,
            from_index,
            Some(synced),
            self.shared.purged.clone(),
        )
    }

    /// Writes all that is queued, then ends the log's threads. Where the log is poisoned, says why.
    pub fn close(self) -> Result<(), WalError> {
        self.stop();
        match self.poisoned() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn stop(&self) {
        lock(&self.shared.queue).closing = true;
        self.shared.work.notify_all();
        self.shared.room.notify_all();
        self.shared.prepare.notify_all();
        self.write_all();
        let mut queue = lock(&self.shared.queue);
        while queue.writing {
            queue = wait(&self.shared.room, queue);
        }
        drop(queue);
        // The log's thread may have gone back to sleep when it found this one writing.
        self.shared.work.notify_all();
        for thread in mem::take(&mut *lock(&self.threads)) {
            // A thread that has panicked has poisoned the log, which is what its owner hears.
            let _ = thread.join();
        }
        drop(lock(&self.shared.completion));
    }
}

impl<S: DurableSink> fmt::Debug for Wal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

/// Without [`Wal::close`], what is queued is not written where the log has no thread.
impl<S: DurableSink> Drop for Wal<S> {
    fn drop(&mut self) {
        if self.shared.options.background {
            self.stop();
            return;
        }
        let tickets = {
            let mut queue = lock(&self.shared.queue);
            queue.closing = true;
            self.shared.take_tickets(&mut queue)
        };
        if !tickets.is_empty() {
            self.shared.sink.failed(tickets, &WalError::Closed);
        }
    }
}

fn first_header(identity: LogIdentity, segment_bytes: u64, created_at: i64) -> SegmentHeader {
    SegmentHeader {
        identity: identity.segment(1),
        segment_bytes,
        base: LogPosition(0),
        previous_end: LogPosition(0),
        created_at,
        chain: 0,
        last_log_id: Default::default(),
        last_proposed_at: 0,
        commit_index: 0,
        vote: None,
        purge: None,
        membership: None,
        facts: SegmentFacts::default(),
    }
}

fn closed_segments(dir: &Path, headers: Vec<SegmentHeader>, current: &SegmentHeader) -> Vec<ClosedSegment> {
    let mut next = current.clone();
    let mut closed = Vec::with_capacity(headers.len());
    for header in headers.into_iter().rev() {
        closed.push(ClosedSegment {
            path: segment_path(dir, header.identity.segment_id),
            last_index: next.last_log_id.index,
            end: next.previous_end,
            chain: next.chain,
            header: header.clone(),
        });
        next = header;
    }
    closed.reverse();
    closed
}

/// Keeps the spares that fit and removes the others.
fn open_spares(
    vfs: &dyn Vfs,
    dir: &Path,
    found: &[(u64, u64)],
    segment_bytes: u64,
    spares_max: usize,
) -> Result<Vec<Spare>, WalError> {
    let mut spares = Vec::new();
    for (number, len) in found {
        let path = spare_path(dir, *number);
        let opened: io::Result<()> = if *len == segment_bytes && spares.len() < spares_max {
            vfs.open(&path, OpenMode::ReadWrite).map(|file| spares.push(Spare { path: path.clone(), file }))
        } else {
            vfs.remove_file(&path)
        };
        opened.map_err(|source| WalError::io("open a spare segment", &path, source))?;
    }
    Ok(spares)
}
