//! What is committed, applied by the engine.

use std::io;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tapebook::Membership;
use tapebook::replica::{JournalEntry, Received, Replica, ReplicaSnapshot, SnapshotHead};
use tapebook_wal::LogId;
use tokio::sync::oneshot;

use crate::disk::Disk;
use crate::log_store::{CHUNK_BYTES, Synced};
use crate::raft::{Raft, RaftLogId, RaftStoredMembership, stored_membership, to_raft};

type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Raft>;
type Snapshot = openraft::type_config::alias::SnapshotOf<Raft, SnapshotData>;

/// The engine of a replica.
pub(crate) struct StateMachine {
    pub replica: Arc<Replica>,
    pub synced: Synced,
    pub disk: Disk,
}

/// A snapshot, on its way out or in.
pub(crate) enum SnapshotData {
    /// Only that there is one: it is opened when somebody needs it.
    Announced,
    /// Its files, open.
    Outgoing(Arc<ReplicaSnapshot>),
    /// Its files, received and checked.
    Received(Box<Received>),
}

impl StateMachine {
    /// Applies entries once this node has them on its disk, too.
    async fn apply_chunk(
        &self,
        chunk: Vec<(LogId, JournalEntry)>,
        responders: &mut Vec<ApplyResponder<Raft>>,
    ) -> Result<(), io::Error> {
        if let Some((last, _)) = chunk.last() {
            self.synced.wait(&self.replica, last.index).await?;
        }
        self.replica.apply(chunk);
        responders.drain(..).for_each(|responder| responder.send(()));
        Ok(())
    }
}

impl RaftStateMachine<Raft> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, RaftStoredMembership), io::Error> {
        let (applied, membership) = self.replica.applied();
        Ok((to_raft(applied), stored_membership(membership.as_ref())))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Raft>, io::Error>> + Unpin + OptionalSend,
    {
        let (mut chunk, mut responders, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some(entry) = entries.next().await {
            let (entry, responder) = entry?;
            let (log_id, entry, _) = entry.into_parts();
            bytes += entry.payload().len();
            chunk.push((log_id, entry));
            responders.extend(responder);
            if bytes >= CHUNK_BYTES {
                self.apply_chunk(std::mem::take(&mut chunk), &mut responders).await?;
                bytes = 0;
            }
        }
        self.apply_chunk(chunk, &mut responders).await
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { replica: Arc::clone(&self.replica) }
    }

    /// The log jumps first, durably, then the snapshot takes the place of everything.
    async fn install_snapshot(&mut self, _: &SnapshotMeta, data: SnapshotData) -> Result<(), io::Error> {
        let SnapshotData::Received(received) = data else {
            return Err(io::Error::other("a snapshot that was not received"));
        };
        let (sender, jumped) = oneshot::channel();
        let done = Box::new(move |outcome| drop(sender.send(outcome)));
        self.replica.jump_log(received.applied(), done);
        self.disk.write(&self.replica);
        jumped.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        self.replica.install(*received).map_err(io::Error::other)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let Some(snapshot) = self.replica.snapshot().map_err(io::Error::other)? else { return Ok(None) };
        let meta = snapshot_meta(snapshot.applied(), snapshot.membership());
        Ok(Some(Snapshot { meta, snapshot: SnapshotData::Outgoing(Arc::new(snapshot)) }))
    }
}

/// What the library wants to know of a snapshot.
pub(crate) fn snapshot_meta(applied: LogId, membership: Option<&(LogId, Membership)>) -> SnapshotMeta {
    SnapshotMeta { last_log_id: to_raft(applied), last_membership: stored_membership(membership) }
}

/// A flush is what makes a snapshot: here it is only looked up how far the last one got.
pub(crate) struct SnapshotBuilder {
    replica: Arc<Replica>,
}

impl RaftSnapshotBuilder<Raft> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let flushed = self.replica.flushed().map_err(io::Error::other)?;
        let SnapshotHead { applied, membership } = flushed.unwrap_or_default();
        let meta = snapshot_meta(applied, membership.as_ref());
        Ok(Snapshot { meta, snapshot: SnapshotData::Announced })
    }
}
