//! What callers and the log's threads share, and the steps of a group: take, write, hand over, complete.
//!
//! Locks are taken in this order: tail (the writer's role), completion, queue; segments last and alone.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use tapebook_vfs::Vfs;

use super::queue::{Queue, Queued};
use super::segments::{ClosedSegment, PurgedThrough, Segments};
use super::stats::Counters;
use super::tail::Tail;
use crate::format::{EntryKind, frame_bytes};
use crate::{DurableEntry, DurableSink, LogIdentity, WalError, WalOptions};

/// Looks at the queue between two reads of the clock; bounds the wait where the clock stands still.
const LINGER_LOOKS_MAX: u32 = 4096;

pub(crate) struct Shared<S: DurableSink> {
    pub vfs: Arc<dyn Vfs>,
    pub dir: PathBuf,
    pub identity: LogIdentity,
    pub options: WalOptions,
    pub sink: Arc<S>,
    pub queue: Mutex<Queue<S::Ticket>>,
    /// The length of the queue, for a leader that waits for company without taking the lock.
    pub queued_entries: AtomicUsize,
    /// Something is queued and nobody writes; or the log is closing.
    pub work: Condvar,
    /// Bytes were synced, a spare is ready, an attempt at one has failed; or nothing is admitted any more.
    pub room: Condvar,
    /// A spare is wanted; or the log is closing.
    pub prepare: Condvar,
    pub tail: Mutex<Tail<S::Ticket>>,
    /// Held while the sink is called.
    pub completion: Mutex<Vec<DurableEntry<S::Ticket>>>,
    pub segments: Mutex<Segments>,
    /// One purge or seal at a time.
    pub maintenance: Mutex<()>,
    pub purged: Arc<PurgedThrough>,
    pub synced: AtomicU64,
    pub counters: Counters,
}

/// Locks, also after a panic elsewhere: what a panic leaves behind is judged by [`Queue::poisoned`], which it sets.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

impl<S: DurableSink> Shared<S> {
    /// Writes and completes one group. The caller holds the writer's role (`queue.writing`), which is given up before
    /// the sink is called. Returns the number of entries that are durable.
    pub fn write_group(&self) -> usize {
        let mut on_panic = PoisonOnPanic { shared: self, holds_role: true };
        let mut tail = lock(&self.tail);
        self.linger(tail.last_group_entries);
        let written = self.take_group(&mut tail).and_then(|()| tail.write_group(&*self.vfs));
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                on_panic.holds_role = false;
                self.fail(tail, error);
                return 0;
            }
        };
        self.counters.group(tail.group.len(), written.bytes, written.sync);
        self.synced.store(tail.synced.0, Ordering::Release);
        // Taken before the role is given up: so groups complete in the order in which they were written.
        let mut completion = lock(&self.completion);
        let truncations = tail.group.iter().filter(|queued| queued.meta.kind == EntryKind::Truncate).count();
        completion.extend(tail.group.drain(..).map(durable_entry));
        let synced_index = tail.state.last_log_id.index;
        drop(tail);
        let left = self.give_up_role(written.bytes, synced_index, truncations, written.mark_failed.clone());
        on_panic.holds_role = false;
        let entries = completion.len();
        self.sink.durable(&mut completion);
        completion.clear();
        if let Some(error) = written.mark_failed {
            self.sink.failed(left, &error);
        }
        entries
    }

    /// Waits a moment for as many entries as the last group had: its writers were just woken.
    fn linger(&self, wanted: usize) {
        if wanted <= 1 || !self.options.background || self.options.linger_max.is_zero() {
            return;
        }
        let clock = self.vfs.clock();
        let deadline = clock.monotonic() + self.options.linger_max;
        for _ in 0..LINGER_LOOKS_MAX {
            if self.queued_entries.load(Ordering::Acquire) >= wanted || clock.monotonic() >= deadline {
                return;
            }
            thread::yield_now();
        }
    }

    /// Moves what is queued into the tail's group, up to the end of the segment; rolls first where it has to.
    fn take_group(&self, tail: &mut Tail<S::Ticket>) -> Result<(), WalError> {
        let mut spare = None;
        {
            let mut queue = lock(&self.queue);
            let mut bytes = 0;
            while let Some(next) = queue.entries.front() {
                let first = tail.group.is_empty();
                let fits = first
                    || (!next.placement.begins_segment
                        && bytes + next.frame_bytes() <= self.options.group_bytes_max);
                if !fits {
                    break;
                }
                bytes += next.frame_bytes();
                if next.placement.begins_segment {
                    spare = Some(queue.spares.remove(0));
                    queue.reserved -= 1;
                }
                tail.group.extend(queue.entries.pop_front());
            }
            self.queued_entries.store(queue.entries.len(), Ordering::Release);
        }
        let Some(spare) = spare else { return Ok(()) };
        let created_at = self.vfs.clock().unix_nanos();
        let header = tail.next_header(self.options.segment_bytes, created_at, self.sink.segment_facts());
        let closed = ClosedSegment {
            path: tail.path.clone(),
            header: tail.header.clone(),
            last_index: tail.state.last_log_id.index,
            end: tail.end,
            chain: tail.state.chain,
        };
        tail.roll(&*self.vfs, &self.dir, spare, header.clone())?;
        self.counters.segments_begun.fetch_add(1, Ordering::Relaxed);
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        let mut segments = lock(&self.segments);
        segments.closed.push(closed);
        segments.current = header;
        Ok(())
    }

    /// Lets the next group begin. Where the log is poisoned, returns the tickets of all that is still queued.
    fn give_up_role(
        &self,
        bytes: usize,
        synced_index: u64,
        truncations: usize,
        poison: Option<WalError>,
    ) -> Vec<S::Ticket> {
        let mut queue = lock(&self.queue);
        queue.synced_index = synced_index;
        queue.truncations.drain(..truncations);
        queue.unsynced_bytes = queue.unsynced_bytes.saturating_sub(bytes as u64);
        queue.writing = false;
        let left = if poison.is_some() {
            queue.poisoned = queue.poisoned.take().or(poison);
            self.take_tickets(&mut queue)
        } else {
            Vec::new()
        };
        self.room.notify_all();
        if self.options.background && !queue.entries.is_empty() {
            self.work.notify_one();
        }
        left
    }

    /// Poisons the log: the group and all that is queued fail with an unknown outcome.
    fn fail(&self, mut tail: MutexGuard<'_, Tail<S::Ticket>>, error: WalError) {
        let _completion = lock(&self.completion);
        let mut tickets: Vec<_> = tail.group.drain(..).map(|queued| queued.ticket).collect();
        drop(tail);
        tickets.extend(self.poison(error.clone(), true));
        self.sink.failed(tickets, &error);
    }

    /// Admits nothing from now on; returns the tickets of all that is queued.
    pub fn poison(&self, error: WalError, gives_up_role: bool) -> Vec<S::Ticket> {
        let mut queue = lock(&self.queue);
        queue.poisoned.get_or_insert(error);
        queue.writing &= !gives_up_role;
        let tickets = self.take_tickets(&mut queue);
        drop(queue);
        self.work.notify_all();
        self.room.notify_all();
        self.prepare.notify_all();
        tickets
    }

    pub fn take_tickets(&self, queue: &mut Queue<S::Ticket>) -> Vec<S::Ticket> {
        self.queued_entries.store(0, Ordering::Release);
        queue.unsynced_bytes = 0;
        queue.entries.drain(..).map(|queued| queued.ticket).collect()
    }

    /// Takes the writer's role where it is free and something is queued.
    pub fn try_take_role(&self) -> bool {
        let mut queue = lock(&self.queue);
        let free = !queue.writing && !queue.entries.is_empty();
        queue.writing |= free;
        free
    }
}

fn durable_entry<T>(queued: Queued<T>) -> DurableEntry<T> {
    debug_assert!(queued.frame_bytes() == frame_bytes(queued.payload.len()));
    DurableEntry {
        position: queued.placement.position,
        meta: queued.meta,
        payload: queued.payload,
        ticket: queued.ticket,
    }
}

/// A panic while a group is written or completed leaves nobody who would go on: nothing may wait for it.
struct PoisonOnPanic<'a, S: DurableSink> {
    shared: &'a Shared<S>,
    holds_role: bool,
}

impl<S: DurableSink> Drop for PoisonOnPanic<'_, S> {
    fn drop(&mut self) {
        if thread::panicking() {
            let source = io::Error::other("a panic while a group was written or completed");
            let error = WalError::poisoned("go on", &self.shared.dir, source);
            drop(self.shared.poison(error, self.holds_role));
            // Their writers hear of it when the tickets are dropped: nobody would ever do so later.
            if self.holds_role {
                lock(&self.shared.tail).group.clear();
            }
            lock(&self.shared.completion).clear();
        }
    }
}
