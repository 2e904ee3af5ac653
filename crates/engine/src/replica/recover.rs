//! A cluster whose majority is gone for ever: one node goes on alone, with what it has.
//!
//! What is in its log may have been acknowledged, so all of it counts from now on. What only the lost nodes had is lost, and
//! nobody can say what that was. So the journal gets a new epoch: whoever followed it is told that its history has forked.

use std::path::Path;
use std::sync::{Arc, mpsc};

use tapebook_lsm::manifest::VersionEdit;
use tapebook_wal::{LogId, WalError};

use super::{EntriesError, JournalEntry, Nobody, Replica, ReplicaReader};
use crate::backup::new_epoch;
use crate::{AppendError, FlushError, Member, Membership, OpenError, Options};

/// Entries are applied so many bytes at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What a recovery has done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterRecovery {
    /// The node that goes on alone.
    pub node_id: u64,
    /// The nodes that voted with it, and do no more.
    pub lost: Vec<Member>,
    /// The last entry that was known to be committed. What lies behind it may have been acknowledged or not, and stays.
    pub committed: LogId,
    /// The last entry that the node had.
    pub last: LogId,
    /// The journal's last sequence.
    pub last_seq: u64,
    /// The journal's epoch from now on.
    pub epoch: u64,
}

/// Why a node does not go on alone. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The directory could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is alone already, or never was a member.
    #[error("node {node_id} {reason}; there is nothing to recover")]
    NotNeeded {
        /// The node.
        node_id: u64,
        /// Why.
        reason: &'static str,
    },
    /// Its log could not be read.
    #[error(transparent)]
    Entries(#[from] EntriesError),
    /// Its log could not be written.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The new epoch could not be written.
    #[error(transparent)]
    Epoch(#[from] FlushError),
    /// It could not be closed in order.
    #[error(transparent)]
    Close(#[from] AppendError),
}

/// Makes the node of a data directory the only one of its cluster. For when the majority is lost for ever, and only then: the others must
/// never be started again.
pub fn recover_alone(dir: impl AsRef<Path>, options: Options) -> Result<ClusterRecovery, RecoverError> {
    let options = Options { background: false, ..options };
    let replica = Replica::open(dir, options, Arc::new(Nobody), None)?;
    let node_id = replica.node_id();
    let refuse = |reason| Err(RecoverError::NotNeeded { node_id, reason });
    let Some((_, membership)) = replica.opened_log().membership.clone() else {
        return refuse("has never joined a cluster");
    };
    let Some(own) = membership.member(node_id).cloned() else {
        return refuse("is not a member of its cluster");
    };
    if membership.is_ruled_by(node_id) {
        return refuse("is the only one that votes");
    }
    let (last, committed) = (replica.last_logged(), replica.applied().0);
    let mut reader = ReplicaReader::default();
    while replica.applied().0.index < last.index {
        let from = replica.applied().0.index + 1;
        replica.apply(reader.read(&replica, from, last.index + 1, CHUNK_BYTES)?);
    }
    // The fork is on record before anything is written behind it.
    let epoch = new_epoch(&**replica.db.vfs(), replica.db.epoch());
    {
        let mut files = replica.db.flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        files.commit(VersionEdit { epoch: Some(epoch), ..VersionEdit::default() })?;
    }
    let voted = replica.opened_log().vote.map_or(0, |vote| vote.term);
    let log_id = LogId { term: last.term.max(voted) + 1, leader_node: node_id, index: last.index + 1 };
    let alone = JournalEntry::membership(&Membership { members: vec![Member { votes: 1, ..own }] });
    let (sender, logged) = mpsc::channel();
    replica.log([(log_id, alone, None)], Box::new(move |outcome| drop(sender.send(outcome))));
    replica.drive()?;
    logged.recv().map_err(|_| WalError::Closed)??;
    replica.apply(reader.read(&replica, log_id.index, log_id.index + 1, CHUNK_BYTES)?);
    replica.log_commit_mark();
    replica.drive()?;
    let last_seq = replica.applied_hash().0;
    let lost = membership.members.into_iter().filter(|member| member.node_id != node_id && member.votes != 0);
    let recovery = ClusterRecovery { node_id, lost: lost.collect(), committed, last, last_seq, epoch };
    replica.close()?;
    Ok(recovery)
}
