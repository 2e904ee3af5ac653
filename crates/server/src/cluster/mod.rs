//! This server as one node of a cluster.
//!
//! Which entries count is decided in `tapebook-replication`; here is what lies around it: messages travel over gRPC with mutual TLS
//! ([`transport`](self) and `service`), a node founds a cluster or joins one (`join`), its leader looks after the members (`tend`, `change`), and
//! whoever reads says how new it must be (`read`).
//!
//! *Invariant*: every message between nodes names its cluster, its sender and its receiver, and the sender's certificate is that of
//! the node that it names. What does not fit is refused with the reason before consensus hears of it.
//!
//! *Invariant*: a node whose data directory is empty has no vote before the leader has taken it in, and no id is taken in twice; so a disk
//! that was wiped does not forget what was promised.
//!
//! Consensus has a thread of its own, which neither queries nor connections keep waiting.

mod change;
mod freshness;
mod join;
mod majority;
mod options;
mod read;
mod receive_snapshot;
mod send_snapshot;
mod sender;
mod service;
mod start;
mod status;
mod tend;
mod transport;
mod wire;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapebook::Membership;
use tapebook::replica::Replica;
use tapebook_proto::v1::Refusal;
use tapebook_replication::Node as Consensus;
use tokio::time::{Instant, sleep};

pub use self::join::JoinError;
pub use self::options::ClusterOptions;
pub use self::read::Freshness as ReadFreshness;
pub(crate) use self::read::wait_for_freshness;
pub(crate) use self::service::{Introduced, service};
pub(crate) use self::start::{Beginning, begin};

use self::freshness::Freshness;
use self::majority::Majority;
use self::sender::Origin;
use self::tend::Tended;
use self::transport::GrpcTransport;
use crate::threads::Threads;

/// The version of the protocol between nodes, and the oldest one that is spoken, too.
pub(crate) const PROTOCOL: u32 = 1;
pub(crate) const PROTOCOL_MIN: u32 = 1;

/// How long a node that leads tries to hand over before it ends.
const HAND_OVER_TIME_MAX: Duration = Duration::from_secs(2);
/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// This node among the others.
pub struct Cluster {
    consensus: Consensus,
    transport: Arc<GrpcTransport>,
    /// Where others reach this node; empty where they cannot.
    address: String,
    options: ClusterOptions,
    freshness: Freshness,
    majority: Majority,
    tended: Mutex<Tended>,
    /// One change of the membership at a time.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// One snapshot comes in at a time.
    receiving: Arc<tokio::sync::Mutex<()>>,
    threads: Mutex<Threads>,
}

impl Cluster {
    /// Consensus, as this node takes part in it.
    pub fn consensus(&self) -> &Consensus {
        &self.consensus
    }

    /// The journal's copy of this node.
    pub fn replica(&self) -> &Arc<Replica> {
        self.consensus.replica()
    }

    /// This node's id.
    pub fn node_id(&self) -> u64 {
        self.origin().node_id
    }

    fn origin(&self) -> &Arc<Origin> {
        &self.transport.origin
    }

    fn tended(&self) -> std::sync::MutexGuard<'_, Tended> {
        self.tended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members, as they were a moment ago.
    pub(crate) fn members(&self) -> Arc<Membership> {
        Arc::clone(&self.tended().members)
    }

    /// What to tell whoever asks this node for what only the leader does; `None` where it leads.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if self.consensus.is_leader() {
            return self.majority.is_missing().then(|| self.without_majority());
        }
        Some(match self.consensus.leader().filter(|(leader, _)| *leader != self.node_id()) {
            Some((leader, address)) => Refusal::not_leader(
                format!("node {} does not lead; node {leader} at {address} does", self.node_id()),
                Some(&address),
            ),
            None => Refusal::not_leader("there is no leader at this moment; try again", None),
        })
    }

    fn without_majority(&self) -> Refusal {
        let message = format!(
            "node {} leads, and no majority has answered it for {} ms: another one may lead by now; send again what has no receipt",
            self.node_id(),
            majority::WAITED_FOR_MAX.as_millis()
        );
        Refusal::not_leader(message, None)
    }

    /// Waits until no writer should wait for this node any more; why, and where the leader is.
    pub(crate) fn lets_go(self: &Arc<Self>) -> impl Future<Output = Refusal> + Send + use<> {
        let (mut lets_go, cluster) = (self.majority.lets_go(), Arc::downgrade(self));
        async move {
            loop {
                let told = lets_go.wait_for(|lets_go| *lets_go).await.is_ok();
                match cluster.upgrade().filter(|_| told).map(|cluster| cluster.refusal()) {
                    Some(Some(refusal)) => return refusal,
                    // It leads since a moment ago.
                    Some(None) => sleep(LOOK_EVERY).await,
                    // The node has ended, and says so to everybody.
                    None => std::future::pending().await,
                }
            }
        }
    }

    /// Waits until this node leads.
    pub(crate) async fn leads(&self) {
        while !self.consensus.is_leader() {
            sleep(LOOK_EVERY / 10).await;
        }
    }

    /// Has another node lead, where this one does and another one can.
    pub(crate) async fn hand_over(&self) {
        let until = Instant::now() + HAND_OVER_TIME_MAX;
        while self.consensus.is_leader() && Instant::now() < until {
            let Some(to) = self.best_follower() else { return };
            // Whether it does shows below.
            let _ = self.consensus.transfer_lead(to).await;
            let asked = Instant::now();
            while self.consensus.is_leader() && asked.elapsed() < HAND_OVER_TIME_MAX / 4 {
                sleep(LOOK_EVERY).await;
            }
        }
    }

    /// The voter that has most of the log and was heard of just now.
    fn best_follower(&self) -> Option<u64> {
        let status = self.consensus.status();
        let votes = |node_id: u64| status.membership.member(node_id).is_some_and(|member| member.votes != 0);
        let here = |contact: Option<Duration>| contact.is_some_and(|contact| contact < tend::CONTACT_MAX);
        let others = status.followers.iter().filter(|follower| {
            follower.node_id != status.node_id && votes(follower.node_id) && here(follower.last_contact)
        });
        others.max_by_key(|follower| follower.matched).map(|follower| follower.node_id)
    }

    /// Ends consensus on this node. The replica stays open as long as somebody holds it.
    pub(crate) async fn stop(&self) {
        self.consensus.stop().await;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).end();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("origin", self.origin())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
