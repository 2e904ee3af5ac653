//! A database that is one copy of a journal which several nodes keep.
//!
//! Alone, a database applies what its log has made durable. A replica may not: an entry counts once a majority has it, and which
//! ones that are is for the consensus layer to say. So a replica takes the steps apart. It *logs* entries under the places that
//! the leader gave them, and tells when they are durable; it *applies* them when it is told that they are committed; and it
//! can *truncate* the end of its log, which no alone database ever does. What it knows of consensus is what its log has to
//! keep: votes, terms and commit marks.
//!
//! Everything else is as in any database: reads, flushes, compaction, backups. What a caller wants to have in the journal
//! ([`Db::append`](crate::Db::append), [`Db::retract`](crate::Db::retract)…) goes to the [`Consensus`] that the replica was opened with.

mod apply;
mod entry;
mod install;
mod log;
mod reader;
mod recent;
mod recover;
mod snapshot;

pub use entry::{EntryError, EntryOrigin, JournalEntry, ProposedEntry, WaitingWriter};
pub use install::{Incoming, InstallError, Received};
pub use log::{LogSummary, Logged};
pub use reader::{EntriesError, ReplicaReader};
pub use recover::{ClusterRecovery, RecoverError, recover_alone};
pub use snapshot::{ReplicaSnapshot, SnapshotHead, SnapshotPart};

pub(crate) use install::move_installed;

pub use crate::proposals::Consensus;

use std::path::Path;
use std::sync::Arc;

use tapebook_lsm::manifest::{Identity, StorageError};
use tapebook_vfs::Vfs;
use tapebook_wal::LogId;

use crate::open::{self, Beginning, FIRST_NODE, Mode};
use crate::{AppendError, Db, OpenError, Options};
use log::ReplicaLog;

/// Which node of which cluster an empty data directory becomes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewReplica {
    /// The cluster, as its founding node named it.
    pub cluster_id: u128,
    /// A node id that no other node ever had.
    pub node_id: u64,
    /// The journal's epoch.
    pub epoch: u64,
}

impl NewReplica {
    /// Which node of which cluster a data directory is already, before it is opened; `None` where it is missing or empty.
    pub fn existing(vfs: &dyn Vfs, dir: impl AsRef<Path>) -> Result<Option<Self>, OpenError> {
        match Identity::read(vfs, dir.as_ref()) {
            Ok(Identity { cluster_id, node_id, epoch, .. }) => Ok(Some(Self { cluster_id, node_id, epoch })),
            Err(StorageError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Decides nothing, for a replica that is only looked after.
struct Nobody;

impl Consensus for Nobody {
    fn propose(&self, _: ProposedEntry, _: bool) -> Result<(), AppendError> {
        Err(AppendError::Closed)
    }

    fn flushed(&self, _: LogId) {}
}

/// Makes an empty directory the only node of a new cluster, under this id. The cluster's id.
pub fn found_cluster(dir: impl AsRef<Path>, options: Options, node_id: u64) -> Result<u128, OpenError> {
    let replica = Replica::found(dir, options, Arc::new(Nobody), node_id)?;
    Ok(replica.cluster_id())
}

/// One node's copy of the journal, driven by consensus. Share it between threads in an `Arc`.
pub struct Replica {
    db: Arc<Db>,
    log: ReplicaLog,
}

impl Replica {
    /// Opens a data directory as a replica. A missing or empty one becomes the node that `new` says, with an empty log that the
    /// cluster's leader fills; or, where `new` is `None`, the only node of a cluster of its own.
    ///
    /// The entries that a commit mark covers are applied; on the only voter all are.
    pub fn open(
        dir: impl AsRef<Path>,
        options: Options,
        consensus: Arc<dyn Consensus>,
        new: Option<NewReplica>,
    ) -> Result<Self, OpenError> {
        let beginning = new.map_or(Beginning::Founder { node_id: FIRST_NODE }, Beginning::Joiner);
        Self::open_as(dir.as_ref(), options, consensus, beginning)
    }

    /// As [`Replica::open`] without a cluster: a new or empty directory becomes the only node of a cluster of its own, under this id.
    pub fn found(
        dir: impl AsRef<Path>,
        options: Options,
        consensus: Arc<dyn Consensus>,
        node_id: u64,
    ) -> Result<Self, OpenError> {
        Self::open_as(dir.as_ref(), options, consensus, Beginning::Founder { node_id })
    }

    fn open_as(
        dir: &Path,
        options: Options,
        consensus: Arc<dyn Consensus>,
        beginning: Beginning,
    ) -> Result<Self, OpenError> {
        let opened = open::open(dir, options, Mode::Replica { consensus, beginning })?;
        let log = ReplicaLog::new(&opened.db, opened.log);
        Ok(Self { db: Arc::new(opened.db), log })
    }

    /// The database, to read it and to propose changes.
    pub fn db(&self) -> &Arc<Db> {
        &self.db
    }

    /// This node's id.
    pub fn node_id(&self) -> u64 {
        self.db.flusher.store.identity.node_id
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> u128 {
        self.db.flusher.store.identity.cluster_id
    }

    /// No node with an id up to this one was ever in the cluster without being known here: a new node's id is greater.
    pub fn node_ids_through(&self) -> u64 {
        self.db.committer.lock().applier.state.node_ids_through
    }

    /// Ends the replica, after everything that was logged is durable. Where somebody else still holds the database, it ends with
    /// him.
    pub fn close(self) -> Result<(), AppendError> {
        self.log.forget_all();
        Arc::into_inner(self.db).map_or(Ok(()), Db::close)
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("node_id", &self.node_id()).finish_non_exhaustive()
    }
}
