//! Admission: an entry gets its index and its place, or is refused before anything is written.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use super::prepare::prepare_spare;
use super::queue::{Queue, check_payload};
use super::shared::{Shared, lock, wait};
use crate::format::frame_bytes;
use crate::{AppendError, DurableSink, Proposal, WalError};

/// What to do where there is no room yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IfFull {
    Wait,
    Refuse,
}

type QueueGuard<'a, S> = MutexGuard<'a, Queue<<S as DurableSink>::Ticket>>;

impl<S: DurableSink> Shared<S> {
    /// Admits a proposal and returns with the queue still locked.
    pub fn admit(
        &self,
        proposal: Proposal,
        ticket: S::Ticket,
        if_full: IfFull,
    ) -> Result<QueueGuard<'_, S>, AppendError<S::Ticket>> {
        if let Err(error) = check_payload(&proposal, &self.options) {
            return Err(AppendError { error, ticket });
        }
        match self.find_room(&proposal, if_full) {
            Ok((mut queue, index)) => {
                queue.admit(proposal, index, self.vfs.clock().unix_nanos(), ticket);
                self.queued_entries.store(queue.entries.len(), Ordering::Release);
                if queue.free_spares() == 0 {
                    self.prepare.notify_one();
                }
                Ok(queue)
            }
            Err(error) => Err(AppendError { error, ticket }),
        }
    }

    /// Admits proposals in order, as many as there is room for now; `next` is asked for the next one, and the first that is
    /// refused comes back.
    pub fn admit_all(
        &self,
        mut next: impl FnMut() -> Option<(Proposal, S::Ticket)>,
    ) -> (QueueGuard<'_, S>, Result<(), AppendError<S::Ticket>>) {
        let now = self.vfs.clock().unix_nanos();
        let mut queue = lock(&self.queue);
        let admitted = loop {
            let Some((proposal, ticket)) = next() else { break Ok(()) };
            let room =
                check_payload(&proposal, &self.options).and_then(|()| self.room_now(&mut queue, &proposal));
            match room {
                Ok(index) => queue.admit(proposal, index, now, ticket),
                Err(error) => break Err(AppendError { error, ticket }),
            }
        };
        self.queued_entries.store(queue.entries.len(), Ordering::Release);
        if queue.free_spares() == 0 {
            self.prepare.notify_one();
        }
        (queue, admitted)
    }

    /// The index that the proposal gets where there is room for it now.
    fn room_now(&self, queue: &mut QueueGuard<'_, S>, proposal: &Proposal) -> Result<u64, WalError> {
        let bytes = frame_bytes(proposal.payload.len());
        if let Some(refusal) = queue.refusal() {
            return Err(refusal);
        }
        let index = queue.index_of(proposal)?;
        if queue.is_full(bytes, &self.options) {
            return Err(self.busy(queue));
        }
        if queue.plan.needs_segment(bytes) && queue.free_spares() == 0 {
            if !self.options.background {
                let number = queue.preparation.take_number();
                let spare = prepare_spare(&*self.vfs, &self.dir, number, self.options.segment_bytes)?;
                self.counters.segments_zeroed.fetch_add(1, Ordering::Relaxed);
                queue.spares.push(spare);
                return Ok(index);
            }
            queue.preparation.wanted = true;
            self.prepare.notify_one();
            return Err(queue.preparation.failed.clone().unwrap_or_else(|| self.busy(queue)));
        }
        Ok(index)
    }

    fn find_room(&self, proposal: &Proposal, if_full: IfFull) -> Result<(QueueGuard<'_, S>, u64), WalError> {
        let bytes = frame_bytes(proposal.payload.len());
        let mut queue = lock(&self.queue);
        loop {
            if let Some(refusal) = queue.refusal() {
                return Err(refusal);
            }
            let index = queue.index_of(proposal)?;
            if queue.is_full(bytes, &self.options) {
                queue = self.wait_for_sync(queue, if_full)?;
            } else if queue.plan.needs_segment(bytes) && queue.free_spares() == 0 {
                queue = self.wait_for_spare(queue, if_full)?;
            } else {
                return Ok((queue, index));
            }
        }
    }

    fn busy(&self, queue: &QueueGuard<'_, S>) -> WalError {
        let unsynced_bytes_max = self.options.unsynced_bytes_max;
        WalError::Busy { unsynced_bytes: queue.unsynced_bytes, unsynced_bytes_max }
    }

    fn wait_for_sync<'a>(
        &'a self,
        queue: QueueGuard<'a, S>,
        if_full: IfFull,
    ) -> Result<QueueGuard<'a, S>, WalError> {
        if if_full == IfFull::Refuse {
            return Err(self.busy(&queue));
        }
        self.counters.stalls.fetch_add(1, Ordering::Relaxed);
        if self.options.background || queue.writing {
            return Ok(wait(&self.room, queue));
        }
        drop(queue);
        while self.try_take_role() {
            self.write_group();
        }
        Ok(lock(&self.queue))
    }

    fn wait_for_spare<'a>(
        &'a self,
        mut queue: QueueGuard<'a, S>,
        if_full: IfFull,
    ) -> Result<QueueGuard<'a, S>, WalError> {
        if !self.options.background {
            return self.prepare_inline(queue);
        }
        queue.preparation.wanted = true;
        self.prepare.notify_one();
        if if_full == IfFull::Refuse {
            return Err(queue.preparation.failed.clone().unwrap_or_else(|| self.busy(&queue)));
        }
        self.counters.stalls.fetch_add(1, Ordering::Relaxed);
        let attempts = queue.preparation.attempts;
        while queue.free_spares() == 0 && queue.refusal().is_none() {
            if queue.preparation.attempts != attempts {
                match queue.preparation.failed.clone() {
                    Some(error) => return Err(error),
                    None => break,
                }
            }
            queue = wait(&self.room, queue);
        }
        Ok(queue)
    }

    fn prepare_inline<'a>(&'a self, mut queue: QueueGuard<'a, S>) -> Result<QueueGuard<'a, S>, WalError> {
        let number = queue.preparation.take_number();
        drop(queue);
        let spare = prepare_spare(&*self.vfs, &self.dir, number, self.options.segment_bytes)?;
        self.counters.segments_zeroed.fetch_add(1, Ordering::Relaxed);
        let mut queue = lock(&self.queue);
        queue.spares.push(spare);
        Ok(queue)
    }
}
