//! What a node knows, and why it refuses.

use std::time::Duration;

use tapebook::replica::InstallError;
use tapebook::{Membership, OpenError};
use tapebook_wal::LogId;

/// What a node does in the cluster.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// It takes writes and gives them their places.
    Leader,
    /// It follows a leader, and votes.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows without a vote.
    Learner,
}

/// What a node knows of itself and the cluster.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Which node.
    pub node_id: u64,
    /// What it does.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<u64>,
    /// The last entry of its log, durable or not; 0 where there is none.
    pub last_index: u64,
    /// The last entry that is durable here.
    pub durable_index: u64,
    /// The last entry that it knows to be committed.
    pub committed: LogId,
    /// The last entry that can be read here.
    pub applied: LogId,
    /// The membership that counts, committed or not.
    pub membership: Membership,
    /// How far the others are, as far as the leader knows; nobody where this is not the leader.
    pub followers: Vec<Follower>,
    /// On the leader, how long ago a majority has confirmed it.
    pub quorum_age: Option<Duration>,
    /// Why it takes no part any more, where that is so.
    pub failure: Option<String>,
}

/// What the leader knows of another node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Follower {
    /// Which node.
    pub node_id: u64,
    /// The last entry that it is known to have, durably.
    pub matched: u64,
    /// How long ago it last answered; `None` where it has not since this node leads.
    pub last_contact: Option<Duration>,
}

/// Why a node does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The replica could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A snapshot could not be taken in.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The options contradict each other.
    #[error("options of the node: {reason}")]
    Options {
        /// How.
        reason: String,
    },
    /// The node has stopped.
    #[error("the node has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
    /// Not now, or not here.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}
