//! The log, as the consensus library wants it: the replica's own log, and nothing beside it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, Stream};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use tapebook::replica::{Logged, Replica, ReplicaReader};
use tapebook_wal::{LogId, Vote, WalError};
use tokio::sync::{Notify, oneshot};

use crate::disk::Disk;
use crate::entry::RaftEntry;
use crate::raft::{
    Raft, RaftLogId, RaftVoteOf, from_raft, from_raft_or_none, to_raft, vote_from_raft, vote_to_raft,
};

/// Bytes of entries that are read or sent at a time, about.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// How often it is looked whether the log has room again.
pub(crate) const RETRY_EVERY: Duration = Duration::from_millis(20);

/// Tells that the log has synced something, or failed. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Synced {
    told: Arc<Notify>,
}

impl Synced {
    fn tell(&self) {
        self.told.notify_waiters();
    }

    /// Waits until an entry is durable here.
    pub async fn wait(&self, replica: &Replica, index: u64) -> Result<(), io::Error> {
        loop {
            let mut told = pin!(self.told.notified());
            told.as_mut().enable();
            if index <= replica.durable_index() {
                return Ok(());
            }
            if let Some(failure) = replica.db().failure() {
                return Err(io::Error::other(failure));
            }
            told.await;
        }
    }
}

/// Tells that the node ends, so that nobody waits for room any more. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending {
    begun: Arc<AtomicBool>,
}

impl Ending {
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }
}

/// The replica's log. Clones are the same log.
#[derive(Clone)]
pub(crate) struct LogStore {
    replica: Arc<Replica>,
    disk: Disk,
    vote: Arc<Mutex<Option<Vote>>>,
    synced: Synced,
    ending: Ending,
}

impl LogStore {
    pub fn new(replica: Arc<Replica>, disk: Disk, synced: Synced, ending: Ending) -> Self {
        let vote = Arc::new(Mutex::new(starting_vote(&replica)));
        Self { replica, disk, vote, synced, ending }
    }

    /// Writes down a vote.
    async fn log_vote(&self, vote: Vote) -> Result<(), WalError> {
        let (sender, receiver) = oneshot::channel();
        self.replica.log_vote(vote, Box::new(move |outcome| drop(sender.send(outcome))));
        self.disk.write(&self.replica);
        receiver.await.unwrap_or(Err(WalError::Closed))
    }

    /// Waits a moment where the log had no room, and so is as it was; other errors are for good.
    ///
    /// Meanwhile this node takes no part in anything. That is what a node is worth that can neither vote nor log, and it goes on by itself
    /// when there is room.
    async fn wait_for_room(&self, error: WalError) -> Result<(), io::Error> {
        let is_full = matches!(error, WalError::NoSpace { .. } | WalError::Prepare { .. });
        if !is_full || self.ending.begun.load(Ordering::Acquire) {
            return Err(io::Error::other(error));
        }
        tokio::time::sleep(RETRY_EVERY).await;
        Ok(())
    }

    fn vote(&self) -> Option<Vote> {
        *self.vote.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The vote that was written down. Where none was for the term of the last entry, because the database was alone when it wrote
/// that, its leader stands for it.
fn starting_vote(replica: &Replica) -> Option<Vote> {
    let log = replica.opened_log();
    let led = (log.last != LogId::default()).then_some(Vote {
        term: log.last.term,
        node: log.last.leader_node,
        committed: true,
    });
    [log.vote, led].into_iter().flatten().max_by_key(|vote| (vote.term, vote.node, vote.committed))
}

impl RaftLogStorage<Raft> for LogStore {
    type LogReader = LogStoreReader;

    async fn get_log_state(&mut self) -> Result<LogState<Raft>, io::Error> {
        let before_first = self.replica.before_first().map_err(io::Error::other)?;
        Ok(LogState {
            last_purged_log_id: to_raft(before_first),
            last_log_id: to_raft(self.replica.last_logged()),
        })
    }

    async fn get_log_reader(&mut self) -> LogStoreReader {
        LogStoreReader { log: self.clone(), reader: ReplicaReader::default() }
    }

    async fn save_vote(&mut self, vote: &RaftVoteOf) -> Result<(), io::Error> {
        let vote = vote_from_raft(vote);
        while let Err(error) = self.log_vote(vote).await {
            self.wait_for_room(error).await?;
        }
        *self.vote.lock().unwrap_or_else(PoisonError::into_inner) = Some(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> Result<(), io::Error> {
        self.replica.committed(from_raft_or_none(committed.as_ref()));
        Ok(())
    }

    /// What a restart has applied by itself is committed, and it has applied all that was marked.
    async fn read_committed(&mut self) -> Result<Option<RaftLogId>, io::Error> {
        Ok(to_raft(self.replica.applied().0))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Raft>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = RaftEntry> + Send,
        I::IntoIter: Send,
    {
        let synced = self.synced.clone();
        let done: Logged = Box::new(move |outcome: Result<(), WalError>| {
            callback.io_completed(outcome.map_err(io::Error::other));
            synced.tell();
        });
        self.replica.log(entries.into_iter().map(RaftEntry::into_parts), done);
        self.disk.write(&self.replica);
        Ok(())
    }

    async fn truncate_after(&mut self, last_kept: Option<RaftLogId>) -> Result<(), io::Error> {
        while let Err(error) = self.replica.truncate_after(from_raft_or_none(last_kept.as_ref())) {
            self.wait_for_room(error).await?;
        }
        self.disk.write(&self.replica);
        Ok(())
    }

    async fn purge(&mut self, log_id: RaftLogId) -> Result<(), io::Error> {
        self.disk.purge(&self.replica, from_raft(&log_id).index);
        Ok(())
    }
}

/// Reads the log for one other node, or for applying.
pub(crate) struct LogStoreReader {
    log: LogStore,
    reader: ReplicaReader,
}

impl LogStoreReader {
    fn read(&mut self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<RaftEntry>, io::Error> {
        let read = self.reader.read(&self.log.replica, start + 1, end + 1, bytes_max);
        let read = read.map_err(io::Error::other)?;
        Ok(read.into_iter().map(|(log_id, entry)| RaftEntry::logged(log_id, entry)).collect())
    }

    /// The bounds of a range: the first index, and the one behind the last.
    fn bounds(&self, range: impl RangeBounds<u64>) -> (u64, u64) {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        (start, end.min(self.log.replica.last_logged().index))
    }
}

impl RaftLogReader<Raft> for LogStoreReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        let (mut start, end) = self.bounds(range);
        let mut entries = Vec::new();
        while start < end {
            let read = self.read(start, end, CHUNK_BYTES)?;
            start += read.len() as u64;
            entries.extend(read);
        }
        Ok(entries)
    }

    async fn read_vote(&mut self) -> Result<Option<RaftVoteOf>, io::Error> {
        Ok(self.log.vote().map(vote_to_raft))
    }

    /// The library would look for where leaders changed by reading single entries, each of which costs as much as all.
    async fn get_key_log_ids(
        &mut self,
        range: RangeInclusive<RaftLogId>,
    ) -> Result<Vec<RaftLogId>, io::Error> {
        let (from, through) = (from_raft(range.start()), from_raft(range.end()));
        let last = self.log.replica.last_of_leaders(from, through).map_err(io::Error::other)?;
        Ok(last.into_iter().filter_map(to_raft).collect())
    }

    /// For another node: as much as goes into one message.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<RaftEntry>, io::Error> {
        self.read(start, end, CHUNK_BYTES)
    }

    /// For applying: however much it is, only a part of it is in memory at a time.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<RaftEntry, io::Error>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (start, end) = self.bounds(range);
        let chunks = stream::unfold((self, start, false), move |(reader, start, failed)| async move {
            if start >= end || failed {
                return None;
            }
            match reader.read(start, end, CHUNK_BYTES) {
                Ok(entries) => {
                    let next = start + entries.len() as u64;
                    Some((entries.into_iter().map(Ok).collect::<Vec<_>>(), (reader, next, false)))
                }
                Err(error) => Some((vec![Err(error)], (reader, start, true))),
            }
        });
        futures::StreamExt::flat_map(chunks, stream::iter)
    }
}
