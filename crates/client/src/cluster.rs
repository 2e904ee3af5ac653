//! The nodes that keep one journal: what they do, and who belongs to them.

use std::future::Future;
use std::sync::Arc;

use tapebook_proto::v1;
use tonic::{Response, Status};

use crate::ClientError;
use crate::connect::{Cluster, Connections};

/// Asks for the state of a cluster, and changes who belongs to it.
///
/// Changes are made by the node that leads: where another one names it, the call goes there. A call is made again only where nothing
/// was done, so where a connection breaks in between, [`ClusterAdmin::status`] tells what came of it.
#[derive(Clone, Debug)]
pub struct ClusterAdmin {
    connections: Arc<Connections>,
}

/// What one node knows of all.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterStatus {
    /// Which cluster; `None` where the node that answers waits to join one.
    pub cluster_id: Option<[u8; 16]>,
    /// The node that answers.
    pub node_id: u64,
    /// The node that leads, where that is known.
    pub leader_id: Option<u64>,
    /// All nodes.
    pub nodes: Vec<NodeState>,
}

/// One node, by what it last said. What is `None` is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeState {
    /// Its id.
    pub node_id: u64,
    /// Where it is, `HOST:PORT`.
    pub address: String,
    /// What it does.
    pub role: Option<NodeRole>,
    /// Its term.
    pub term: Option<u64>,
    /// The last entry of its log that is durable there.
    pub last_index: Option<u64>,
    /// The last entry that it knows to be committed.
    pub commit_index: Option<u64>,
    /// The last entry that it has applied.
    pub applied_index: Option<u64>,
    /// The last sequence that can be read there.
    pub applied_seq: Option<u64>,
    /// Entries of the leader's log that it lacks.
    pub lag_records: Option<u64>,
    /// The age of the oldest of them.
    pub lag_seconds: Option<f64>,
    /// How long ago it was last heard of.
    pub last_contact_seconds: Option<f64>,
    /// Why its own numbers are missing, or why it takes no part.
    pub problem: Option<String>,
    /// The hash over all batches up to `applied_seq`.
    pub rolling_hash: Option<[u8; 16]>,
}

/// What a node does in its cluster.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NodeRole {
    /// It takes writes.
    Leader,
    /// It follows, and votes.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows without a vote.
    Learner,
}

/// A node that belongs to a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// Its id.
    pub node_id: u64,
    /// Where it is, `HOST:PORT`.
    pub address: String,
    /// True where it votes.
    pub votes: bool,
}

impl ClusterAdmin {
    pub(crate) fn new(connections: Arc<Connections>) -> Self {
        Self { connections }
    }

    /// What the node that the client is connected with knows of all nodes.
    pub async fn status(&self) -> Result<ClusterStatus, ClientError> {
        let asked = self.connections.call_on(
            |connected| {
                let mut cluster = connected.cluster();
                async move { cluster.status(v1::ClusterStatusRequest {}).await }
            },
            ClientError::may_pass,
        );
        asked.await?.into_inner().try_into()
    }

    /// Takes in a node that waits at an address to join. It follows without a vote, and gets one when it has caught up. Returns who
    /// belongs to the cluster from then on, as the other changes do.
    pub async fn add(&self, node_id: u64, address: &str) -> Result<Vec<Member>, ClientError> {
        let request = v1::AddNodeRequest { node_id, address: address.to_owned() };
        self.change(request, |mut cluster, request| async move { cluster.add_node(request).await })
            .await
            .map(members)
    }

    /// Waits until a node has caught up and votes.
    pub async fn promote(&self, node_id: u64) -> Result<Vec<Member>, ClientError> {
        let request = v1::PromoteNodeRequest { node_id };
        self.change(request, |mut cluster, request| async move { cluster.promote_node(request).await })
            .await
            .map(members)
    }

    /// Takes a node out. Its id is never used again.
    pub async fn remove(&self, node_id: u64) -> Result<Vec<Member>, ClientError> {
        let request = v1::RemoveNodeRequest { node_id };
        self.change(request, |mut cluster, request| async move { cluster.remove_node(request).await })
            .await
            .map(members)
    }

    /// Takes a node out and another one in, which waits at an address to join and votes before the old one goes.
    pub async fn replace(&self, node_id: u64, by: u64, address: &str) -> Result<Vec<Member>, ClientError> {
        let request = v1::ReplaceNodeRequest { node_id, by_node_id: by, address: address.to_owned() };
        self.change(request, |mut cluster, request| async move { cluster.replace_node(request).await })
            .await
            .map(members)
    }

    /// Has another node lead, `None`: whichever is best up to date. Returns the id of the one that leads then.
    pub async fn transfer(&self, node_id: Option<u64>) -> Result<u64, ClientError> {
        let request = v1::TransferLeadRequest { node_id: node_id.unwrap_or(0) };
        self.change(request, |mut cluster, request| async move { cluster.transfer_lead(request).await })
            .await
            .map(|done| done.leader_id)
    }

    async fn change<Q: Clone, T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        request: Q,
        call: impl Fn(Cluster, Q) -> F,
    ) -> Result<T, ClientError> {
        let changed = self
            .connections
            .call_on(|connected| call(connected.cluster(), request.clone()), ClientError::may_pass_undone);
        changed.await.map(Response::into_inner)
    }
}

fn members(changed: v1::MembershipResponse) -> Vec<Member> {
    let members = changed.members.into_iter();
    members.map(|v1::Member { node_id, address, votes }| Member { node_id, address, votes }).collect()
}

impl TryFrom<v1::ClusterStatusResponse> for ClusterStatus {
    type Error = ClientError;

    fn try_from(status: v1::ClusterStatusResponse) -> Result<Self, ClientError> {
        let nodes = status.nodes.into_iter().map(NodeState::try_from);
        Ok(Self {
            cluster_id: sixteen_bytes(&status.cluster_id)?,
            node_id: status.node_id,
            leader_id: Some(status.leader_id).filter(|id| *id > 0),
            nodes: nodes.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<v1::NodeState> for NodeState {
    type Error = ClientError;

    fn try_from(node: v1::NodeState) -> Result<Self, ClientError> {
        let role = NodeRole::of_wire(node.role());
        // Of a node whose role is not known a number that is not given is not known either.
        let known = |number: u64| (role.is_some() || number > 0).then_some(number);
        Ok(Self {
            node_id: node.node_id,
            address: node.address,
            role,
            term: known(node.term),
            last_index: known(node.last_index),
            commit_index: known(node.commit_index),
            applied_index: known(node.applied_index),
            applied_seq: known(node.applied_seq),
            lag_records: node.lag_records,
            lag_seconds: node.lag_seconds,
            last_contact_seconds: node.last_contact_seconds,
            problem: Some(node.problem).filter(|problem| !problem.is_empty()),
            rolling_hash: sixteen_bytes(&node.rolling_hash)?,
        })
    }
}

impl NodeRole {
    fn of_wire(role: v1::NodeRole) -> Option<Self> {
        match role {
            v1::NodeRole::Unspecified => None,
            v1::NodeRole::Leader => Some(Self::Leader),
            v1::NodeRole::Follower => Some(Self::Follower),
            v1::NodeRole::Candidate => Some(Self::Candidate),
            v1::NodeRole::Learner => Some(Self::Learner),
        }
    }
}

impl std::fmt::Display for NodeRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
        })
    }
}

/// An id or a hash; `None` where it is not given.
fn sixteen_bytes(bytes: &[u8]) -> Result<Option<[u8; 16]>, ClientError> {
    let wrong = |_| ClientError::Failed(format!("an id or a hash came with {} bytes, not 16", bytes.len()));
    if bytes.is_empty() { Ok(None) } else { bytes.try_into().map(Some).map_err(wrong) }
}
