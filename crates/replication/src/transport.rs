//! How messages get to another node.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tapebook::replica::ReplicaSnapshot;
use tapebook_wal::Vote;

use crate::{AppendAnswer, AppendRequest, TransferRequest, VoteAnswer, VoteRequest};

/// A node that says nothing for so long while it owes an answer is given up, and connected anew.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Connections to other nodes.
pub trait Transport: Send + Sync + 'static {
    /// A connection to a node. It is made when it is first used, and again when it was lost.
    fn connect(&self, node_id: u64, address: &str, lane: Lane) -> Arc<dyn Peer>;
}

/// What a connection is for. Each has its own, so that none waits behind another's bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// Entries, votes and leader transfers.
    Entries,
    /// Heartbeats.
    Heartbeats,
    /// Files.
    Snapshots,
}

/// Another node.
pub trait Peer: Send + Sync + 'static {
    /// Sends entries as they come. Answers come in the order of the requests, each when its entries are durable over there.
    fn append(
        &self,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxFuture<'static, Result<BoxStream<'static, Result<AppendAnswer, PeerError>>, PeerError>>;

    /// Sends one request.
    fn append_once(&self, request: AppendRequest) -> BoxFuture<'static, Result<AppendAnswer, PeerError>>;

    /// Asks for a vote.
    fn vote(&self, request: VoteRequest) -> BoxFuture<'static, Result<VoteAnswer, PeerError>>;

    /// Asks whether the node would vote so.
    fn pre_vote(&self, request: VoteRequest) -> BoxFuture<'static, Result<VoteAnswer, PeerError>>;

    /// Sends everything up to one entry, with the leader's vote, and waits until it is in place over there. Answers what the node votes
    /// for by then. It may take long, but ends once the other node says nothing for [`SILENCE_MAX`].
    fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Arc<ReplicaSnapshot>,
    ) -> BoxFuture<'static, Result<Vote, PeerError>>;

    /// Asks the node to take over, or tells it that another one shall.
    fn transfer(&self, request: TransferRequest) -> BoxFuture<'static, Result<(), PeerError>>;
}

/// Why a message did not get through, or was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("node {node_id} at {address}: {reason}")]
pub struct PeerError {
    /// Which node.
    pub node_id: u64,
    /// Where it should be.
    pub address: String,
    /// What happened.
    pub reason: String,
}
