//! The log of a replica: entries under the places that a leader gave them, votes, commit marks, truncations.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tapebook_wal::{LogId, Proposal, Vote, Wal, WalError};

use super::recent::Recent;
use super::{JournalEntry, Replica, WaitingWriter};
use crate::commit::{Committer, Ticket};
use crate::open::OpenedLog;
use crate::{AppendError, Db, Membership};

/// Bytes of the newest entries that stay in memory for other nodes.
const RECENT_BYTES: usize = 32 << 20;

/// Called once, in the log's thread, when something is durable or never will be.
pub type Logged = Box<dyn FnOnce(Result<(), WalError>) + Send>;

/// What the log of a replica says when it is opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSummary {
    /// What this node has voted for.
    pub vote: Option<Vote>,
    /// The last entry.
    pub last: LogId,
    /// The entry before the first one that is kept.
    pub before_first: LogId,
    /// The newest membership in the log or in what is applied, committed or not, and the entry that it came from.
    pub membership: Option<(LogId, Membership)>,
}

/// What the log is about to take, and what it took lately.
pub(super) struct ReplicaLog {
    shared: Arc<Shared>,
    opened: LogSummary,
}

struct Shared {
    wal: Weak<Wal<Committer>>,
    state: Mutex<State>,
    /// Counts truncations: what was read from the disk before one may be void.
    truncations: AtomicU64,
    /// True while entries wait because the log has no room.
    blocked: AtomicBool,
}

struct State {
    recent: Recent,
    /// Entries that are not handed to the log yet; the last ones of `recent`.
    unlogged: VecDeque<(LogId, Option<Logged>)>,
    /// Why the first of them was not taken.
    blocked_by: Option<WalError>,
    /// Who waits for which entry, by index.
    waiting: VecDeque<(u64, WaitingWriter)>,
    committed: LogId,
    marked_index: u64,
    /// Where the log left out entries for a snapshot, last.
    jumped: LogId,
    /// The last entry handed to the log.
    logged: LogId,
    last_proposed_at: i64,
}

impl ReplicaLog {
    pub(super) fn new(db: &Db, opened: OpenedLog) -> Self {
        let applied = db.committer.lock().applier.state.applied;
        let OpenedLog { vote, last, before_first, membership, last_proposed_at, commit_index } = opened;
        let state = State {
            recent: Recent::new(RECENT_BYTES),
            unlogged: VecDeque::new(),
            blocked_by: None,
            waiting: VecDeque::new(),
            committed: applied,
            marked_index: commit_index,
            jumped: before_first,
            logged: last,
            last_proposed_at,
        };
        let shared = Arc::new(Shared {
            wal: db.wal.as_ref().map_or_else(Weak::new, Arc::downgrade),
            state: Mutex::new(state),
            truncations: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
        });
        Self { shared, opened: LogSummary { vote, last, before_first, membership } }
    }

    /// Those who wait are told that it is over.
    pub(super) fn forget_all(&self) {
        let mut state = self.shared.lock();
        state.waiting.clear();
        state.recent.clear();
    }

    pub(super) fn with_recent<T>(&self, look: impl FnOnce(&Recent) -> T) -> T {
        look(&self.shared.lock().recent)
    }

    /// A snapshot up to this entry is in place.
    pub(super) fn installed(&self, applied: LogId) {
        let mut state = self.shared.lock();
        state.committed = if state.committed.index < applied.index { applied } else { state.committed };
        state.marked_index = state.marked_index.max(applied.index);
        state.recent.trim(applied.index);
    }

    pub(super) fn truncations(&self) -> u64 {
        self.shared.truncations.load(Ordering::Acquire)
    }

    /// Takes out those who wait for entries up to this one, which are applied now and need not stay in memory.
    pub(super) fn take_waiting(&self, through: u64) -> VecDeque<(u64, WaitingWriter)> {
        let mut state = self.shared.lock();
        let behind = state.waiting.partition_point(|(index, _)| *index <= through);
        let behind = state.waiting.split_off(behind);
        let taken = std::mem::replace(&mut state.waiting, behind);
        state.recent.trim(through);
        taken
    }
}

impl Replica {
    /// What the log said when the replica was opened.
    pub fn opened_log(&self) -> &LogSummary {
        &self.log.opened
    }

    /// Puts entries into the log, in order, behind everything before. `done` is called once all of them are durable. They can be
    /// read at once. Where the log has no room, they wait in memory until it has.
    ///
    /// An entry without a time gets this node's: it leads.
    pub fn log(
        &self,
        entries: impl IntoIterator<Item = (LogId, JournalEntry, Option<WaitingWriter>)>,
        done: Logged,
    ) {
        let shared = &self.log.shared;
        let now = self.db.vfs.clock().unix_nanos();
        let mut state = shared.lock();
        let mut some = false;
        for (log_id, mut entry, waiting) in entries {
            state.last_proposed_at = state.last_proposed_at.max(entry.stamp(now, state.last_proposed_at));
            state.waiting.extend(waiting.map(|waiting| (log_id.index, waiting)));
            state.recent.push(log_id, entry);
            state.unlogged.push_back((log_id, None));
            some = true;
        }
        if !some {
            drop(state);
            return done(Ok(()));
        }
        if let Some((_, told)) = state.unlogged.back_mut() {
            *told = Some(done);
        }
        shared.hand_over(&mut state);
    }

    /// Makes the log's end void behind `last_kept`. Whoever waits for what is cut hears that the lead was lost. Where the log has no
    /// room to say so, nothing is done, and it can be tried again.
    pub fn truncate_after(&self, last_kept: LogId) -> Result<(), WalError> {
        let shared = &self.log.shared;
        let mut state = shared.lock();
        if state.logged.index > last_kept.index {
            let wal = shared.wal()?;
            wal.enqueue(Proposal::truncate(last_kept), Ticket::Quiet).map_err(|refused| refused.error)?;
            state.logged = last_kept;
            shared.truncations.fetch_add(1, Ordering::AcqRel);
        }
        state.recent.truncate_after(last_kept.index);
        while state.unlogged.pop_back_if(|(log_id, _)| log_id.index > last_kept.index).is_some() {}
        let cut = state.waiting.partition_point(|(index, _)| *index <= last_kept.index);
        let cut = state.waiting.split_off(cut);
        drop(state);
        cut.into_iter().for_each(|(_, waiting)| waiting.refuse(AppendError::LeadershipLost));
        Ok(())
    }

    /// Lets the log go on behind an entry that it does not reach, because a snapshot takes the place of what is missing. `done` is called
    /// once that is durable; only then may the snapshot be installed ([`Replica::install`]), and only after that anything be logged
    /// behind it: a restart that does not find the snapshot takes the jump back.
    pub fn jump_log(&self, to: LogId, done: Logged) {
        let shared = &self.log.shared;
        let mut state = shared.lock();
        let wal = match shared.wal() {
            Ok(wal) if state.logged.index < to.index => wal,
            Ok(_) => return done(Ok(())),
            Err(error) => return done(Err(error)),
        };
        state.recent.clear();
        state.unlogged.clear();
        let lost = std::mem::take(&mut state.waiting);
        (state.logged, state.jumped) = (to, to);
        shared.truncations.fetch_add(1, Ordering::AcqRel);
        let refused = wal.enqueue(Proposal::purge(to), Ticket::Tell(done)).err();
        drop(state);
        lost.into_iter().for_each(|(_, waiting)| waiting.refuse(AppendError::LeadershipLost));
        if let Some(refused) = refused
            && let Ticket::Tell(done) = refused.ticket
        {
            done(Err(refused.error));
        }
    }

    /// Nobody will say any more what became of entries: whoever waits for one hears that its outcome is unknown.
    pub fn forget_waiting(&self) {
        let waiting = std::mem::take(&mut self.log.shared.lock().waiting);
        waiting.into_iter().for_each(|(_, waiting)| waiting.refuse(AppendError::LeadershipLost));
    }

    /// Writes down a vote. `done` is called once it is durable; nobody may hear of the vote before.
    pub fn log_vote(&self, vote: Vote, done: Logged) {
        let wal = match self.log.shared.wal() {
            Ok(wal) => wal,
            Err(error) => return done(Err(error)),
        };
        if let Err(refused) = wal.enqueue(Proposal::vote(vote), Ticket::Tell(done))
            && let Ticket::Tell(done) = refused.ticket
        {
            done(Err(refused.error));
        }
    }

    /// Takes note of what is committed. It is written with the next entries, or by [`Replica::log_commit_mark`]: a restart applies at
    /// least so much by itself.
    pub fn committed(&self, through: LogId) {
        let mut state = self.log.shared.lock();
        if through.index > state.committed.index {
            state.committed = through;
        }
    }

    /// Writes down what is committed, where that was not done yet.
    pub fn log_commit_mark(&self) {
        let shared = &self.log.shared;
        let mut state = shared.lock();
        if let (Ok(wal), Some(log_id)) = (shared.wal(), state.due_mark())
            && wal.try_enqueue(Proposal::commit_mark(log_id), Ticket::Quiet).is_ok()
        {
            state.marked_index = log_id.index;
        }
    }

    /// Tries again to hand over what the log had no room for; why it still has none.
    pub fn retry(&self) -> Option<WalError> {
        let shared = &self.log.shared;
        if !shared.blocked.load(Ordering::Acquire) {
            return None;
        }
        let mut state = shared.lock();
        shared.hand_over(&mut state);
        state.blocked_by.clone()
    }

    /// Lets the log drop entries up to this one, which files hold and no other node needs.
    pub fn purge_through(&self, index: u64) -> Result<(), WalError> {
        self.log.shared.wal()?.purge_through(index).map(drop)
    }

    /// The entry before the first one that is kept.
    pub fn before_first(&self) -> Result<LogId, WalError> {
        let wal = self.log.shared.wal()?;
        let oldest = wal.closed_segments().into_iter().next().map(|segment| segment.header);
        let oldest = oldest.unwrap_or_else(|| wal.current_segment()).last_log_id;
        let jumped = self.log.shared.lock().jumped;
        Ok(if jumped.index > oldest.index { jumped } else { oldest })
    }

    /// The last entry that is durable here and that no truncation on its way makes void.
    pub fn durable_index(&self) -> u64 {
        self.log.shared.wal().map_or(0, |wal| wal.synced_index())
    }

    /// The last entry that was logged, durable or not.
    pub fn last_logged(&self) -> LogId {
        let state = self.log.shared.lock();
        state.recent.last().map_or(state.logged, |(log_id, _)| *log_id)
    }

    /// Writes and completes everything that was logged, in this thread; for a replica without threads of its own.
    pub fn drive(&self) -> Result<(), WalError> {
        self.retry();
        self.log.shared.wal()?.drive().map(drop)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wal(&self) -> Result<Arc<Wal<Committer>>, WalError> {
        self.wal.upgrade().ok_or(WalError::Closed)
    }

    /// Hands over as much as the log takes. Under the lock, so that the order of entries is that of the log.
    fn hand_over(&self, state: &mut State) {
        let Ok(wal) = self.wal() else {
            state.unlogged.clear();
            return;
        };
        // With the entries and before them: one frame more in their group, and no sync of its own.
        let mut mark = state.due_mark().filter(|_| !state.unlogged.is_empty());
        let marks = mark.map(|log_id| log_id.index);
        let mut offered: Option<LogId> = None;
        let State { recent, unlogged, .. } = &mut *state;
        let taken = wal.try_enqueue_all(|| {
            if let Some(log_id) = mark.take() {
                return Some((Proposal::commit_mark(log_id), Ticket::Quiet));
            }
            let (log_id, told) = unlogged.pop_front()?;
            let (_, entry) = recent.get(log_id.index).expect("what is not logged yet is in memory");
            offered = Some(log_id);
            let proposal = Proposal {
                kind: entry.kind(),
                flags: entry.flags(),
                term: log_id.term,
                leader_node: log_id.leader_node,
                index: Some(log_id.index),
                proposed_at: entry.proposed_at(),
                payload: entry.payload().clone(),
            };
            Some((proposal, told.map_or(Ticket::Quiet, Ticket::Tell)))
        });
        if offered.is_some() || taken.is_ok() {
            state.marked_index = state.marked_index.max(marks.unwrap_or(0));
        }
        state.blocked_by = None;
        match (taken, offered) {
            (Ok(()), Some(last)) => state.logged = last,
            (Ok(()), None) => {}
            (Err(refused), offered) => {
                state.refused(offered, refused.ticket, &refused.error);
                state.blocked_by = Some(refused.error);
            }
        }
        self.blocked.store(state.blocked_by.is_some(), Ordering::Release);
    }
}

impl State {
    /// What is committed and in the log, where a restart would not know it yet.
    fn due_mark(&self) -> Option<LogId> {
        let index = self.committed.index.min(self.logged.index);
        if index <= self.marked_index {
            None
        } else if index == self.committed.index {
            Some(self.committed)
        } else {
            self.recent.get(index).map(|(log_id, _)| *log_id)
        }
    }

    /// The log did not take the entry that was offered last, nor those behind it.
    fn refused(&mut self, offered: Option<LogId>, ticket: Ticket, error: &WalError) {
        let told = match ticket {
            Ticket::Tell(told) => Some(told),
            _ => None,
        };
        if let Some(log_id) = offered {
            self.unlogged.push_front((log_id, told));
            if let Some((before, _)) = log_id.index.checked_sub(1).and_then(|index| self.recent.get(index)) {
                self.logged = *before;
            }
        }
        if error.is_poisoned() || matches!(error, WalError::Closed) {
            // It never takes them.
            for (_, told) in self.unlogged.drain(..) {
                told.into_iter().for_each(|told| told(Err(error.clone())));
            }
        }
    }
}
