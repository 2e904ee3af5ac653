//! Who speaks to whom, and whether that is so.

use std::sync::{Mutex, OnceLock, PoisonError};

use tapebook::Membership;
use tapebook_proto::v1;
use tokio::time::Instant;
use tonic::Status;

use crate::access::{Access, Caller, Credential, Right};

/// What a certificate calls a node.
pub(super) fn name_of(node_id: u64) -> String {
    format!("node-{node_id}")
}

/// What this node says of itself in each message.
#[derive(Debug)]
pub(super) struct Origin {
    pub node_id: u64,
    cluster_id: OnceLock<u128>,
    /// On the leader, when a majority had confirmed it.
    quorum_at: Mutex<Option<Instant>>,
}

impl Origin {
    /// A node that belongs to no cluster yet.
    pub fn new(node_id: u64) -> Self {
        Self { node_id, cluster_id: OnceLock::new(), quorum_at: Mutex::default() }
    }

    /// It belongs to this one from now on.
    pub fn belongs_to(&self, cluster_id: u128) {
        let _ = self.cluster_id.set(cluster_id);
    }

    /// The cluster that it belongs to, as bytes; none before that is known.
    pub fn cluster_id(&self) -> Vec<u8> {
        self.cluster_id.get().map_or_else(Vec::new, |id| id.to_be_bytes().to_vec())
    }

    /// The sender of a message to another node.
    pub fn sender(&self, to: u64) -> v1::Sender {
        v1::Sender { cluster_id: self.cluster_id().into(), from: self.node_id, to }
    }

    /// Whether a message is meant for this node of this cluster.
    pub fn is_for_us(&self, sender: &v1::Sender) -> bool {
        let ours = self.cluster_id.get().is_some_and(|id| *sender.cluster_id == id.to_be_bytes());
        ours && sender.to == self.node_id
    }

    /// A majority has confirmed this leader then.
    pub fn confirmed(&self, at: Option<Instant>) {
        *self.quorum_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// How long ago that was.
    pub fn quorum_age_millis(&self) -> Option<u64> {
        let at = *self.quorum_at.lock().unwrap_or_else(PoisonError::into_inner);
        at.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Refuses a message that is not from a node of this cluster for this node.
    ///
    /// A node that is not among the members that are known here is let through where its id is greater than any that was: it may lead
    /// already while this node does not know of it yet. A smaller one was taken out.
    pub fn check(
        &self,
        sender: Option<&v1::Sender>,
        caller: &Caller,
        access: &Access,
        members: &Membership,
        node_ids_through: u64,
    ) -> Result<u64, Status> {
        let sender =
            sender.ok_or_else(|| Status::invalid_argument("the message does not say who sends it"))?;
        let v1::Sender { cluster_id, from, to } = sender;
        check_node(caller, access, *from)?;
        if *cluster_id != self.cluster_id() {
            return Err(Status::failed_precondition(format!(
                "node {from} belongs to cluster {}, node {} to {}",
                hex(cluster_id),
                self.node_id,
                hex(&self.cluster_id())
            )));
        }
        if *to != self.node_id {
            return Err(Status::failed_precondition(format!(
                "the message is for node {to}, and this is node {}; an address is wrong",
                self.node_id
            )));
        }
        let is_known = members.member(*from).is_some();
        if *from == self.node_id || (!is_known && *from <= node_ids_through) {
            return Err(Status::permission_denied(format!("node {from} was taken out of the cluster")));
        }
        Ok(*from)
    }
}

/// Refuses a caller who is not the node that he says he is.
pub(super) fn check_node(caller: &Caller, access: &Access, node_id: u64) -> Result<(), Status> {
    may_be_node(caller, access)?;
    match caller.credential {
        Credential::None => Ok(()),
        _ if *caller.name == *name_of(node_id) => Ok(()),
        _ => Err(Status::permission_denied(format!(
            "the certificate is that of {}, and the message is from node {node_id}",
            caller.name
        ))),
    }
}

/// Refuses a caller who is no node. Where nobody is asked who they are, everybody may be one.
pub(super) fn may_be_node(caller: &Caller, access: &Access) -> Result<(), Status> {
    access
        .authorize(caller, Right::Node, None)
        .map_err(|denied| Status::permission_denied(denied.to_string()))
}

/// The id of a cluster, as people read it.
pub(super) fn hex(id: &[u8]) -> String {
    if id.is_empty() {
        return "none".to_owned();
    }
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
