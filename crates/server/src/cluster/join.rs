//! The first start of a node: it founds a cluster, or waits until it may join one.
//!
//! A node with an empty data directory promises nothing, and nobody may count on it. It asks the nodes that it was told of who they are.
//! As long as none belongs to a cluster it waits; only when *every* founding node has answered that its directory is empty, too, the one
//! with the smallest id founds the cluster, alone, and the others join it. Where one belongs to a cluster, its leader is asked
//! whether this node may come: not with an id that was there before, because then a disk was wiped that had promised something.

use std::sync::Arc;
use std::time::Duration;

use tapebook::replica::NewReplica;
use tapebook_proto::v1;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

use super::ClusterOptions;
use super::sender::hex;
use super::transport::{GrpcTransport, reason_of};

/// How often the others are asked.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How often it is told that a node waits.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Why a node cannot found or join a cluster.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The options do not fit together.
    #[error("{reason}")]
    Options {
        /// How.
        reason: String,
    },
    /// The data directory is that of another node.
    #[error(
        "{path}: the data directory is that of node {found}, and node_id says {expected}; give each node a directory of its own"
    )]
    OtherNode {
        /// The directory.
        path: String,
        /// Its node.
        found: u64,
        /// The node that was started.
        expected: u64,
    },
    /// The leader does not take the node in.
    #[error("node {node_id} may not join the cluster: {reason}")]
    Refused {
        /// The node.
        node_id: u64,
        /// Why.
        reason: String,
    },
}

/// What comes of the first start.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// A cluster of its own.
    Found,
    /// A place in one that is there.
    Join(NewReplica),
}

/// What another node says of itself.
enum Answer {
    /// It waits, too.
    Waits,
    /// It belongs to a cluster, and may know who leads it.
    Belongs { cluster_id: Vec<u8>, leader: String },
    /// It is not there.
    Silent(String),
}

/// Waits until it is clear what becomes of a node with an empty directory.
pub(super) async fn find_way(
    options: &ClusterOptions,
    node_id: u64,
    address: &str,
    transport: &Arc<GrpcTransport>,
) -> Result<Way, JoinError> {
    let others: Vec<&str> = match &options.join {
        Some(join) => vec![join],
        None => {
            let others = options.peers.iter().filter(|(peer, _)| *peer != node_id);
            others.map(|(_, address)| &**address).collect()
        }
    };
    let is_first = options.join.is_none() && options.peers.iter().all(|(peer, _)| node_id <= *peer);
    let mut told_at: Option<Instant> = None;
    loop {
        let answers = futures::future::join_all(others.iter().map(|address| ask(transport, address))).await;
        let mut waiting_for = Vec::new();
        for (other, answer) in others.iter().zip(&answers) {
            match answer {
                Answer::Belongs { cluster_id, leader } if !leader.is_empty() => {
                    match ask_leader(transport, node_id, address, leader).await {
                        Ok(new) => return Ok(Way::Join(new)),
                        Err(status) if is_final(&status) => {
                            let reason = status.message().to_owned();
                            return Err(JoinError::Refused { node_id, reason });
                        }
                        Err(status) => waiting_for.push(format!(
                            "the leader of cluster {} at {leader}: {}",
                            hex(cluster_id),
                            reason_of(&status)
                        )),
                    }
                }
                Answer::Belongs { cluster_id, .. } => {
                    waiting_for.push(format!("{other}: cluster {} has no leader", hex(cluster_id)));
                }
                Answer::Silent(reason) => waiting_for.push(format!("{other}: {reason}")),
                Answer::Waits => {}
            }
        }
        if is_first && answers.iter().all(|answer| matches!(answer, Answer::Waits)) {
            return Ok(Way::Found);
        }
        if waiting_for.is_empty() {
            waiting_for.push("the first of the founding nodes".to_owned());
        }
        if told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            log::info!("node {node_id} waits for {}", waiting_for.join("; "));
            told_at = Some(Instant::now());
        }
        sleep(ASK_EVERY).await;
    }
}

async fn ask(transport: &GrpcTransport, address: &str) -> Answer {
    match transport.introduce(address).await {
        Ok(answer) if answer.cluster_id.is_empty() => Answer::Waits,
        Ok(answer) => {
            Answer::Belongs { cluster_id: answer.cluster_id.to_vec(), leader: answer.leader_address }
        }
        Err(status) => Answer::Silent(reason_of(&status)),
    }
}

/// Asks whether this node would be taken in, and into what.
async fn ask_leader(
    transport: &GrpcTransport,
    node_id: u64,
    address: &str,
    leader: &str,
) -> Result<NewReplica, Status> {
    let request = v1::JoinRequest {
        sender: Some(v1::Sender { cluster_id: Vec::new().into(), from: node_id, to: 0 }),
        protocol: super::PROTOCOL,
        address: address.to_owned(),
        purpose: v1::JoinPurpose::Ask.into(),
    };
    let answer = transport.ask(leader, None, |mut client| async move { client.join(request).await }).await?;
    let cluster_id = <[u8; 16]>::try_from(&*answer.cluster_id)
        .map_err(|_| Status::internal("the leader does not say which cluster it leads"))?;
    Ok(NewReplica { cluster_id: u128::from_be_bytes(cluster_id), node_id, epoch: answer.journal_epoch })
}

/// True where asking again does not help.
fn is_final(status: &Status) -> bool {
    matches!(status.code(), Code::FailedPrecondition | Code::PermissionDenied | Code::InvalidArgument)
}
