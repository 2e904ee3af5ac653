//! What is committed, applied by the engine.

use std::io;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tapebook::replica::{JournalEntry, Replica};
use tapebook_wal::LogId;

use crate::log_store::{CHUNK_BYTES, Synced};
use crate::raft::{Raft, RaftLogId, RaftStoredMembership, stored_membership, to_raft};

type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Raft>;
type Snapshot = openraft::type_config::alias::SnapshotOf<Raft, SnapshotData>;

/// The engine of a replica.
pub(crate) struct StateMachine {
    pub replica: Arc<Replica>,
    pub synced: Synced,
}

/// Files are not sent yet.
pub(crate) struct SnapshotData;

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
    type SnapshotBuilder = NoSnapshot;

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

    async fn get_snapshot_builder(&mut self) -> NoSnapshot {
        NoSnapshot
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta, _: SnapshotData) -> Result<(), io::Error> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(None)
    }
}

/// There are none yet, and the log is kept as long as that is so.
pub(crate) struct NoSnapshot;

impl RaftSnapshotBuilder<Raft> for NoSnapshot {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        Err(no_snapshots())
    }
}

fn no_snapshots() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "snapshots are not sent")
}
