//! How messages get to another node.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::{AppendAnswer, AppendRequest, TransferRequest, VoteAnswer, VoteRequest};

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
