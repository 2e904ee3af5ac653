//! What writers on this node want in the journal, on its way to the consensus library.
//!
//! What waits is handed over together, so that a thousand small batches cost the library one message and the log one group.

use std::any::Any;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tapebook::AppendError;
use tapebook::replica::{Consensus, ProposedEntry};
use tapebook_wal::LogId;
use tokio::sync::{Notify, Semaphore, watch};

use crate::entry::Proposed;
use crate::raft::Raft;
use crate::state_machine::StateMachine;

/// Bytes that wait to be handed over, and bytes of one hand-over, at most.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// What an entry takes beside its payload, about.
const ENTRY_BYTES: usize = 256;
/// Entries that are handed over together at most.
const TOGETHER_MAX: usize = 4096;
/// Hand-overs some of whose entries are not applied yet, at most.
const HANDED_OVER_MAX: usize = 32;

/// Who leads, as far as this node knows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Lead {
    /// This node.
    Here,
    /// Another node, at this address.
    There(u64, String),
    /// Nobody.
    #[default]
    Unknown,
}

/// The queue between writers and the library.
pub(crate) struct Intake {
    queue: Mutex<Queue>,
    /// There is room again, or nothing is taken any more.
    room: Condvar,
    /// Something waits.
    waiting: Notify,
    flushed: watch::Sender<LogId>,
}

#[derive(Default)]
struct Queue {
    entries: Vec<ProposedEntry>,
    bytes: usize,
    lead: Lead,
    closed: bool,
}

impl Intake {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            room: Condvar::new(),
            waiting: Notify::new(),
            flushed: watch::Sender::new(LogId::default()),
        })
    }

    /// Who leads from now on. Where it is not this node, what waits is refused.
    pub fn led_by(&self, lead: Lead) {
        let mut queue = self.lock();
        if queue.lead == lead {
            return;
        }
        queue.lead = lead;
        let refused = match queue.lead {
            Lead::Here => Vec::new(),
            _ => queue.take_all(),
        };
        let refusal = queue.refusal();
        drop(queue);
        self.room.notify_all();
        refuse(refused, refusal);
    }

    /// Takes nothing any more.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        let refused = queue.take_all();
        drop(queue);
        self.room.notify_all();
        self.waiting.notify_one();
        refuse(refused, Some(AppendError::Closed));
    }

    /// How far files reach, as that changes.
    pub fn flushed(&self) -> watch::Receiver<LogId> {
        self.flushed.subscribe()
    }

    /// Hands over what comes, until the intake is closed.
    pub async fn hand_over(self: Arc<Self>, raft: openraft::Raft<Raft, StateMachine>) {
        let handed_over = Arc::new(Semaphore::new(HANDED_OVER_MAX));
        loop {
            let Some(entries) = self.next().await else { return };
            let Ok(permit) = Arc::clone(&handed_over).acquire_owned().await else { return };
            let permit: Arc<dyn Any + Send + Sync> = Arc::new(permit);
            let proposed = entries.into_iter().map(|mut proposed| {
                proposed.waiting.hold(Arc::clone(&permit));
                Proposed(proposed)
            });
            // The writers hear of their outcomes when entries are applied or dropped, and from nobody else.
            if raft.client_write_many(proposed).await.is_err() {
                return;
            }
        }
    }

    /// What waits, at least one entry; `None` once the intake is closed.
    async fn next(&self) -> Option<Vec<ProposedEntry>> {
        loop {
            let some_wait = self.waiting.notified();
            {
                let mut queue = self.lock();
                if queue.closed {
                    return None;
                }
                if !queue.entries.is_empty() {
                    let together = queue.take(TOGETHER_MAX);
                    drop(queue);
                    self.room.notify_all();
                    return Some(together);
                }
            }
            some_wait.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consensus for Intake {
    fn propose(&self, proposed: ProposedEntry, may_wait: bool) -> Result<(), AppendError> {
        let bytes = proposed.entry.payload().len() + ENTRY_BYTES;
        let mut queue = self.lock();
        loop {
            if let Some(refusal) = queue.refusal() {
                return Err(refusal);
            }
            if queue.entries.is_empty() || queue.bytes + bytes <= WAITING_BYTES_MAX {
                break;
            }
            if !may_wait {
                return Err(AppendError::Busy);
            }
            queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.bytes += bytes;
        queue.entries.push(proposed);
        let first = queue.entries.len() == 1;
        drop(queue);
        if first {
            self.waiting.notify_one();
        }
        Ok(())
    }

    fn flushed(&self, through: LogId) {
        self.flushed.send_replace(through);
    }
}

impl Queue {
    /// Why nothing is taken, where that is so.
    fn refusal(&self) -> Option<AppendError> {
        match &self.lead {
            _ if self.closed => Some(AppendError::Closed),
            Lead::Here => None,
            Lead::There(node_id, address) => {
                Some(AppendError::NotLeader { leader: Some((*node_id, address.clone())) })
            }
            Lead::Unknown => Some(AppendError::NotLeader { leader: None }),
        }
    }

    fn take_all(&mut self) -> Vec<ProposedEntry> {
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }

    fn take(&mut self, count: usize) -> Vec<ProposedEntry> {
        if self.entries.len() <= count {
            return self.take_all();
        }
        let behind = self.entries.split_off(count);
        let taken = std::mem::replace(&mut self.entries, behind);
        let bytes = |entry: &ProposedEntry| entry.entry.payload().len() + ENTRY_BYTES;
        self.bytes -= taken.iter().map(bytes).sum::<usize>();
        taken
    }
}

fn refuse(entries: Vec<ProposedEntry>, refusal: Option<AppendError>) {
    let Some(refusal) = refusal else { return };
    entries.into_iter().for_each(|proposed| proposed.waiting.refuse(refusal.clone()));
}
