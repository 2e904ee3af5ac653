//! One node of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{ChangeMembers, Instant as _, ReadPolicy, ServerState};
use tapebook::OpenError;
use tapebook::replica::{Consensus, Incoming, Received, Replica};
use tapebook_wal::{LogId, Vote, WalError};
use tokio::sync::mpsc;

use crate::intake::{Intake, Lead};
use crate::log_store::{Ending, LogStore, RETRY_EVERY, Synced};
use crate::network::{Network, answer_from_raft, request_to_raft, vote_request_to_raft};
use crate::raft::{
    Raft, from_raft, from_raft_or_none, membership_from_raft, to_raft, vote_from_raft, vote_to_raft,
};
use crate::state_machine::{SnapshotData, StateMachine, snapshot_meta};
use crate::{
    AppendAnswer, AppendRequest, Follower, NodeError, NodeOptions, NodeStatus, Role, TransferRequest,
    Transport, VoteAnswer, VoteRequest,
};

type Runtime = openraft::type_config::alias::AsyncRuntimeOf<Raft>;

/// Answers that a leader has not taken yet, on one connection.
const ANSWERS_WAITING_MAX: usize = 64;
/// A commit mark that no entries carried is written after so many looks.
const LOOKS_BEFORE_MARK: u32 = 50;

/// One node of a cluster: it votes, leads or follows, and keeps its replica up to date.
///
/// It runs on the Tokio runtime that it is started on, which should serve nothing else: a query must not keep a heartbeat waiting.
pub struct Node {
    raft: openraft::Raft<Raft, StateMachine>,
    replica: Arc<Replica>,
    intake: Arc<Intake>,
    ending: Ending,
    /// Calls from outside draw their chance from here; the library's own tasks go on from the seed of the start.
    chance: AtomicU64,
}

impl Node {
    /// Starts a node on the replica that `open` opens with the consensus layer that it is given.
    pub async fn start(
        options: NodeOptions,
        transport: Arc<dyn Transport>,
        open: impl FnOnce(Arc<dyn Consensus>) -> Result<Replica, OpenError>,
    ) -> Result<Self, NodeError> {
        Runtime::scope(options.seed, Self::start_seeded(options, transport, open)).await
    }

    async fn start_seeded(
        options: NodeOptions,
        transport: Arc<dyn Transport>,
        open: impl FnOnce(Arc<dyn Consensus>) -> Result<Replica, OpenError>,
    ) -> Result<Self, NodeError> {
        let config = options.to_raft().map_err(|error| NodeError::Options { reason: error.to_string() })?;
        let intake = Intake::new();
        let replica = Arc::new(open(Arc::clone(&intake) as Arc<dyn Consensus>)?);
        let alone = replica
            .opened_log()
            .membership
            .as_ref()
            .is_some_and(|(_, membership)| membership.is_ruled_by(replica.node_id()));
        let synced = Synced::default();
        let ending = Ending::default();
        let log = LogStore::new(Arc::clone(&replica), options.disk.clone(), synced.clone(), ending.clone());
        let state_machine =
            StateMachine { replica: Arc::clone(&replica), synced, disk: options.disk.clone() };
        let raft = openraft::Raft::new(
            replica.node_id(),
            Arc::new(config),
            Network { transport },
            log,
            state_machine,
        );
        let raft = raft.await.map_err(fatal)?;
        let node = Self { raft, replica, intake, ending, chance: AtomicU64::new(options.seed) };
        node.spawn_tasks(options.disk);
        if alone {
            // Nobody else could lead, so there is nothing to wait for.
            node.raft.trigger().elect(false).await.map_err(fatal)?;
        }
        Ok(node)
    }

    fn spawn_tasks(&self, disk: crate::Disk) {
        tokio::spawn(Arc::clone(&self.intake).hand_over(self.raft.clone()));
        let (intake, mut metrics) = (Arc::clone(&self.intake), self.raft.server_metrics());
        let replica = Arc::downgrade(&self.replica);
        tokio::spawn(async move {
            loop {
                let lead = lead_of(&metrics.borrow_watched());
                intake.led_by(lead);
                if metrics.changed().await.is_err() {
                    break;
                }
            }
            // Consensus has ended, perhaps because the log has failed.
            intake.led_by(Lead::Unknown);
            if let Some(replica) = replica.upgrade() {
                replica.forget_waiting();
            }
        });
        let (raft, mut flushed) = (self.raft.clone(), self.intake.flushed());
        tokio::spawn(async move {
            while flushed.changed().await.is_ok() {
                // The library looks how far the flush has got, and lets the log go as far as its settings say.
                if raft.trigger().snapshot().await.is_err() {
                    return;
                }
            }
        });
        let replica = Arc::downgrade(&self.replica);
        tokio::spawn(async move {
            let mut was_full = false;
            for look in 1_u32.. {
                tokio::time::sleep(RETRY_EVERY).await;
                let Some(replica) = replica.upgrade() else { return };
                let full = replica.retry().filter(|error| !matches!(error, WalError::Busy { .. }));
                match &full {
                    Some(error) if !was_full => log::warn!("entries wait until the log has room: {error}"),
                    None if was_full => log::info!("the log has room again"),
                    _ => {}
                }
                was_full = full.is_some();
                if look.is_multiple_of(LOOKS_BEFORE_MARK) {
                    replica.log_commit_mark();
                    disk.write(&replica);
                }
            }
        });
    }

    /// Runs a call of the library, which may start tasks.
    fn seeded<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        // Any odd number: each call has another seed.
        let seed = self.chance.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        Runtime::scope(seed, call)
    }

    /// The replica, to read it and to propose changes.
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// What this node knows of itself and the cluster.
    pub fn status(&self) -> NodeStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        NodeStatus {
            node_id: metrics.id,
            role: match metrics.state {
                ServerState::Leader => Role::Leader,
                ServerState::Candidate => Role::Candidate,
                ServerState::Follower => Role::Follower,
                ServerState::Learner | ServerState::Shutdown => Role::Learner,
            },
            term: metrics.current_term,
            leader: metrics.current_leader,
            last_index: metrics.last_log_index.map_or(0, |index| index + 1),
            durable_index: self.replica.durable_index(),
            committed: from_raft_or_none(metrics.local_committed.as_ref()),
            applied: from_raft_or_none(metrics.last_applied.as_ref()),
            membership: membership_from_raft(metrics.membership_config.membership()),
            followers: followers_of(&metrics),
            quorum_age: metrics.last_quorum_acked.map(|at| at.elapsed()),
            failure: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    /// Takes entries from the leader, as they come.
    pub fn append(
        &self,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxStream<'static, Result<AppendAnswer, NodeError>> {
        let (answering, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        let raft = self.raft.clone();
        // The library's stream borrows from the library, so somebody has to hold both.
        tokio::spawn(self.seeded(async move {
            let mut answered = pin!(raft.stream_append(requests.map(request_to_raft)));
            while let Some(answer) = answered.next().await {
                if answering.send(answer.map(answer_from_raft).map_err(fatal)).await.is_err() {
                    return;
                }
            }
        }));
        stream::unfold(answers, |mut answers| async move { Some((answers.recv().await?, answers)) }).boxed()
    }

    /// Takes one request from the leader.
    pub async fn append_once(&self, request: AppendRequest) -> Result<AppendAnswer, NodeError> {
        let (previous, last) = (to_raft(request.previous), to_raft(request.last()));
        let answer = self.seeded(self.raft.append_entries(request_to_raft(request))).await.map_err(fatal)?;
        Ok(answer_from_raft(answer.into_stream_result(previous, last)))
    }

    /// Answers a candidate.
    pub async fn vote(&self, request: VoteRequest) -> Result<VoteAnswer, NodeError> {
        self.seeded(self.raft.vote(vote_request_to_raft(request))).await.map(vote_answer).map_err(fatal)
    }

    /// Answers a node that would be a candidate.
    pub async fn pre_vote(&self, request: VoteRequest) -> Result<VoteAnswer, NodeError> {
        self.seeded(self.raft.pre_vote(vote_request_to_raft(request))).await.map(vote_answer).map_err(fatal)
    }

    /// Hears that a node shall take over.
    pub async fn transfer(&self, request: TransferRequest) -> Result<(), NodeError> {
        let TransferRequest { from, to, last } = request;
        let request = openraft::raft::TransferLeaderRequest::new(vote_to_raft(from), to, to_raft(last));
        let taken = self.seeded(self.raft.handle_transfer_leader(request)).await.map_err(fatal)?;
        taken.map_err(|error| NodeError::Refused { reason: error.to_string() })
    }

    /// Begins to take in a snapshot, by its description.
    pub fn receive_snapshot(&self, description: &[u8]) -> Result<Incoming, NodeError> {
        Ok(self.replica.receive(description)?)
    }

    /// Puts a snapshot in place that the leader with this vote has sent. Answers what this node votes for by then.
    pub async fn install_snapshot(&self, vote: Vote, received: Received) -> Result<Vote, NodeError> {
        let meta = snapshot_meta(received.applied(), received.membership().as_ref());
        let snapshot = SnapshotData::Received(Box::new(received));
        let snapshot = openraft::Snapshot { meta, snapshot };
        let installed = self.seeded(self.raft.install_full_snapshot(vote_to_raft(vote), snapshot)).await;
        Ok(vote_from_raft(&installed.map_err(fatal)?.vote))
    }

    /// Adds a node that follows without a vote. Returns when the change is committed.
    pub async fn add_learner(&self, node_id: u64, address: &str) -> Result<(), NodeError> {
        let added = self.seeded(self.raft.add_learner(node_id, address.to_owned(), false)).await;
        added.map(drop).map_err(refused)
    }

    /// Gives these nodes a vote, and no others. Nodes that lose theirs leave where `keep_others` is false, else they stay as
    /// learners.
    pub async fn set_voters(&self, voters: &[u64], keep_others: bool) -> Result<(), NodeError> {
        let voters: BTreeSet<u64> = voters.iter().copied().collect();
        let change = ChangeMembers::<u64, String>::ReplaceAllVoters(voters);
        self.seeded(self.raft.change_membership(change, keep_others)).await.map(drop).map_err(refused)
    }

    /// Takes learners out.
    pub async fn remove_learners(&self, node_ids: &[u64]) -> Result<(), NodeError> {
        let change = ChangeMembers::RemoveNodes(node_ids.iter().copied().collect());
        self.seeded(self.raft.change_membership(change, false)).await.map(drop).map_err(refused)
    }

    /// Where a node is reached from now on.
    pub async fn set_address(&self, node_id: u64, address: &str) -> Result<(), NodeError> {
        let change = ChangeMembers::SetNodes(BTreeMap::from([(node_id, address.to_owned())]));
        self.seeded(self.raft.change_membership(change, true)).await.map(drop).map_err(refused)
    }

    /// Asks another node to lead.
    pub async fn transfer_lead(&self, to: u64) -> Result<(), NodeError> {
        self.seeded(self.raft.trigger().transfer_leader(to)).await.map_err(fatal)
    }

    /// Waits until everything that was committed when this was called can be read here, and returns the last such entry. Only on
    /// the leader, which makes sure with a majority that it still is.
    pub async fn read_barrier(&self) -> Result<LogId, NodeError> {
        let read =
            self.seeded(self.raft.ensure_linearizable(ReadPolicy::ReadIndex)).await.map_err(refused)?;
        Ok(from_raft(read.log_id()))
    }

    /// Why entries wait although the node leads or follows, where the log has no room for them.
    pub fn log_is_full(&self) -> Option<WalError> {
        self.replica.retry().filter(|error| !matches!(error, WalError::Busy { .. }))
    }

    /// Waits until what this node knows of the cluster's roles or members has changed since the last look; false once the node has
    /// stopped.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        stream::unfold(self.raft.server_metrics(), |mut metrics| async move {
            metrics.changed().await.ok()?;
            Some(((), metrics))
        })
    }

    /// The node's role alone, which is cheaper than its whole status.
    pub fn is_leader(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        matches!(lead_of(&metrics), Lead::Here)
    }

    /// Who leads, as far as this node knows: its id, and where it is.
    pub fn leader(&self) -> Option<(u64, String)> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader?;
        let address = metrics.membership_config.membership().get_node(&leader).cloned();
        Some((leader, address.unwrap_or_default()))
    }

    /// Ends the node. The replica stays open as long as somebody holds it.
    pub async fn stop(&self) {
        self.intake.close();
        self.ending.begin();
        // A core that panicked is as stopped as one that was asked.
        let _ = self.raft.shutdown().await;
        self.replica.log_commit_mark();
    }
}

fn vote_answer(answer: openraft::raft::VoteResponse<Raft>) -> VoteAnswer {
    VoteAnswer {
        vote: vote_from_raft(&answer.vote),
        granted: answer.vote_granted,
        last: from_raft_or_none(answer.last_log_id.as_ref()),
    }
}

fn followers_of(metrics: &openraft::RaftMetrics<Raft>) -> Vec<Follower> {
    let contacts = metrics.heartbeat.iter().flatten();
    let contacts: BTreeMap<u64, Duration> =
        contacts.filter_map(|(id, at)| Some((*id, at.as_ref()?.elapsed()))).collect();
    let matched = metrics.replication.iter().flatten().filter(|(id, _)| **id != metrics.id);
    let follower = |(id, matched): (&u64, &Option<_>)| Follower {
        node_id: *id,
        matched: from_raft_or_none(matched.as_ref()).index,
        last_contact: contacts.get(id).copied(),
    };
    matched.map(follower).collect()
}

fn lead_of(metrics: &openraft::metrics::RaftServerMetrics<Raft>) -> Lead {
    match metrics.current_leader {
        Some(leader) if leader == metrics.id && metrics.state == ServerState::Leader => Lead::Here,
        Some(leader) if leader != metrics.id => {
            let address = metrics.membership_config.membership().get_node(&leader).cloned();
            Lead::There(leader, address.unwrap_or_default())
        }
        _ => Lead::Unknown,
    }
}

fn fatal(error: impl std::fmt::Display) -> NodeError {
    NodeError::Stopped { reason: error.to_string() }
}

fn refused(error: impl std::fmt::Display) -> NodeError {
    NodeError::Refused { reason: error.to_string() }
}
