//! The service `tapebook.v1.Cluster`: what nodes say to each other, and what administrators ask of them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tapebook::Membership;
use tapebook_proto::v1;
use tapebook_proto::v1::cluster_server::{Cluster as ClusterApi, ClusterServer};
use tapebook_proto::v1::snapshot_request::What as Sent;
use tapebook_replication::{AppendRequest, NodeError, SILENCE_MAX};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::sender::may_be_node;
use super::{Cluster, receive_snapshot, wire};
use crate::access::{Access, Caller, Right};
use crate::{Gate, Node};

/// The rights of a node are looked at again so often while a stream of it goes on.
const CHECKED_EVERY: Duration = Duration::from_secs(1);
/// Answers about a snapshot that the sender has not taken yet.
const ANSWERS_WAITING_MAX: usize = 4;

/// Who answers: a node of a cluster, or one that waits to join.
#[derive(Clone, Debug)]
pub(crate) enum Introduced {
    /// It waits, and knows nothing but its id.
    Waiting(u64),
    /// It is a node.
    Member(Arc<Node>, Arc<Cluster>),
}

/// Answers the calls.
#[derive(Clone, Debug)]
pub(crate) struct ClusterService {
    gate: Gate,
    who: Introduced,
}

/// The service, for the node that is there or will be.
pub(crate) fn service(gate: Gate, who: Introduced) -> ClusterServer<ClusterService> {
    let bytes_max = gate.limits.message_bytes_max;
    ClusterServer::new(ClusterService { gate, who }).max_decoding_message_size(bytes_max)
}

impl ClusterService {
    fn member(&self) -> Result<(&Arc<Node>, &Arc<Cluster>), Status> {
        match &self.who {
            Introduced::Member(node, cluster) => Ok((node, cluster)),
            Introduced::Waiting(node_id) => {
                Err(Status::unavailable(format!("node {node_id} waits to join a cluster")))
            }
        }
    }

    fn access(&self) -> &Access {
        &self.gate.access
    }

    fn authorize<T>(&self, request: &Request<T>, right: Right) -> Result<Caller, Status> {
        let caller = caller_of(request)?;
        let authorized = self.access().authorize(&caller, right, None);
        authorized.map_err(|denied| Status::permission_denied(denied.to_string()))?;
        Ok(caller)
    }

    /// A message of another node, after it was made sure that it is one of this cluster for this node.
    fn asked_by_node<T>(
        &self,
        request: &Request<T>,
        sender: Option<&v1::Sender>,
    ) -> Result<(&Arc<Node>, &Arc<Cluster>), Status> {
        let caller = caller_of(request)?;
        let (node, cluster) = self.member()?;
        cluster.check_sender(sender, &caller, self.access())?;
        Ok((node, cluster))
    }

    /// Does what an administrator asks for, between its two lines in the audit log, whether or not he waits for it.
    async fn change<T, F>(
        &self,
        caller: Caller,
        action: &'static str,
        detail: String,
        change: impl FnOnce(Arc<Cluster>) -> F + Send + 'static,
    ) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Status>> + Send + 'static,
    {
        let (node, cluster) = self.member()?;
        let (node, cluster) = (Arc::clone(node), Arc::clone(cluster));
        let runtime = Handle::current();
        let changed = tokio::task::spawn_blocking(move || {
            let change = || runtime.block_on(change(cluster)).map_err(Failure);
            node.audit.around(&caller, action, &detail, change)
        });
        match changed.await {
            Ok(Ok(Ok(changed))) => Ok(Response::new(changed)),
            Ok(Ok(Err(Failure(status)))) => Err(status),
            Ok(Err(unwritten)) => Err(Status::unavailable(unwritten.to_string())),
            Err(_) => Err(Status::internal(format!("a panic ended {action}; the server's log says more"))),
        }
    }
}

/// Why a change was not made, for the audit log.
struct Failure(Status);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.message())
    }
}

impl Cluster {
    fn check_sender(
        &self,
        sender: Option<&v1::Sender>,
        caller: &Caller,
        access: &Access,
    ) -> Result<u64, Status> {
        let (known, through) = (self.members(), self.replica().node_ids_through());
        let is_known = sender.is_none_or(|sender| known.member(sender.from).is_some());
        // What was known a moment ago is enough for everybody but one who has just come.
        let members = if is_known { known } else { Arc::new(self.consensus().status().membership) };
        self.origin().check(sender, caller, access, &members, through)
    }

    /// What a leader says in passing of how new this node can be. Whether it still leads does not matter: what it had committed
    /// when a majority confirmed it was all that there was.
    fn heard(&self, request: &v1::AppendEntriesRequest, came: Instant) {
        let age = request.quorum_age_millis.map(Duration::from_millis);
        if let (Some(at), Some(committed)) = (age.and_then(|age| came.checked_sub(age)), request.committed) {
            self.freshness.heard(committed.index, self.replica().applied().0.index, at);
        }
    }
}

fn caller_of<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>();
    caller.cloned().ok_or_else(|| Status::unauthenticated("it is not known who makes this call"))
}

fn members(membership: &Membership) -> v1::MembershipResponse {
    v1::MembershipResponse { members: wire::members_to_wire(membership) }
}

fn unsound(error: wire::WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn not_now(error: NodeError) -> Status {
    Status::unavailable(error.to_string())
}

#[tonic::async_trait]
impl ClusterApi for ClusterService {
    type AppendEntriesStream = Pin<Box<dyn Stream<Item = Result<v1::AppendEntriesResponse, Status>> + Send>>;
    type InstallSnapshotStream = ReceiverStream<Result<v1::SnapshotResponse, Status>>;

    async fn status(
        &self,
        request: Request<v1::ClusterStatusRequest>,
    ) -> Result<Response<v1::ClusterStatusResponse>, Status> {
        self.authorize(&request, Right::Read)?;
        let (_, cluster) = self.member()?;
        Ok(Response::new(v1::ClusterStatusResponse {
            cluster_id: cluster.origin().cluster_id().into(),
            node_id: cluster.node_id(),
            leader_id: cluster.consensus().leader().map_or(0, |(leader, _)| leader),
            nodes: cluster.states().await,
        }))
    }

    async fn add_node(
        &self,
        request: Request<v1::AddNodeRequest>,
    ) -> Result<Response<v1::MembershipResponse>, Status> {
        let caller = self.authorize(&request, Right::Admin)?;
        let v1::AddNodeRequest { node_id, address } = request.into_inner();
        let detail = format!("node {node_id} at {address}");
        self.change(caller, "add_node", detail, move |cluster| async move {
            cluster.add(node_id, &address).await.map(|membership| members(&membership))
        })
        .await
    }

    async fn promote_node(
        &self,
        request: Request<v1::PromoteNodeRequest>,
    ) -> Result<Response<v1::MembershipResponse>, Status> {
        let caller = self.authorize(&request, Right::Admin)?;
        let node_id = request.get_ref().node_id;
        self.change(caller, "promote_node", format!("node {node_id}"), move |cluster| async move {
            cluster.promote(node_id).await.map(|membership| members(&membership))
        })
        .await
    }

    async fn remove_node(
        &self,
        request: Request<v1::RemoveNodeRequest>,
    ) -> Result<Response<v1::MembershipResponse>, Status> {
        let caller = self.authorize(&request, Right::Admin)?;
        let node_id = request.get_ref().node_id;
        self.change(caller, "remove_node", format!("node {node_id}"), move |cluster| async move {
            cluster.remove(node_id).await.map(|membership| members(&membership))
        })
        .await
    }

    async fn replace_node(
        &self,
        request: Request<v1::ReplaceNodeRequest>,
    ) -> Result<Response<v1::MembershipResponse>, Status> {
        let caller = self.authorize(&request, Right::Admin)?;
        let v1::ReplaceNodeRequest { node_id, by_node_id, address } = request.into_inner();
        let detail = format!("node {node_id} by node {by_node_id} at {address}");
        self.change(caller, "replace_node", detail, move |cluster| async move {
            cluster.replace(node_id, by_node_id, &address).await.map(|membership| members(&membership))
        })
        .await
    }

    async fn transfer_lead(
        &self,
        request: Request<v1::TransferLeadRequest>,
    ) -> Result<Response<v1::TransferLeadResponse>, Status> {
        let caller = self.authorize(&request, Right::Admin)?;
        let to = Some(request.get_ref().node_id).filter(|node_id| *node_id != 0);
        let detail = to.map_or_else(String::new, |to| format!("to node {to}"));
        self.change(caller, "transfer_lead", detail, move |cluster| async move {
            cluster.transfer(to).await.map(|leader_id| v1::TransferLeadResponse { leader_id })
        })
        .await
    }

    async fn introduce(
        &self,
        request: Request<v1::IntroduceRequest>,
    ) -> Result<Response<v1::IntroduceResponse>, Status> {
        may_be_node(&caller_of(&request)?, self.access())?;
        let (protocol_min, protocol_max) = (super::PROTOCOL_MIN, super::PROTOCOL);
        let answer = match &self.who {
            Introduced::Waiting(node_id) => v1::IntroduceResponse {
                protocol_min,
                protocol_max,
                node_id: *node_id,
                ..v1::IntroduceResponse::default()
            },
            Introduced::Member(node, cluster) => {
                let (leader_id, leader_address) = cluster.consensus().leader().unwrap_or_default();
                v1::IntroduceResponse {
                    protocol_min,
                    protocol_max,
                    node_id: cluster.node_id(),
                    cluster_id: cluster.origin().cluster_id().into(),
                    journal_epoch: node.db.epoch(),
                    leader_id,
                    leader_address,
                    members: wire::members_to_wire(&cluster.members()),
                    state: Some(cluster.own_state()),
                }
            }
        };
        Ok(Response::new(answer))
    }

    async fn join(&self, request: Request<v1::JoinRequest>) -> Result<Response<v1::JoinResponse>, Status> {
        let caller = caller_of(&request)?;
        let (node, cluster) = self.member()?;
        let v1::JoinRequest { sender, protocol, address, purpose } = request.into_inner();
        let sender =
            sender.ok_or_else(|| Status::invalid_argument("the message does not say who sends it"))?;
        super::sender::check_node(&caller, self.access(), sender.from)?;
        if !(super::PROTOCOL_MIN..=super::PROTOCOL).contains(&protocol) {
            return Err(Status::failed_precondition(format!(
                "node {} speaks version {protocol} of the protocol between nodes, expected {} to {}; update the older one",
                sender.from,
                super::PROTOCOL_MIN,
                super::PROTOCOL
            )));
        }
        let purpose = v1::JoinPurpose::try_from(purpose).unwrap_or_default();
        let is_foreign = match purpose {
            v1::JoinPurpose::Ask => !sender.cluster_id.is_empty(),
            _ => sender.cluster_id != cluster.origin().cluster_id(),
        };
        if is_foreign {
            return Err(Status::failed_precondition(format!(
                "node {} belongs to cluster {}, this one is {}",
                sender.from,
                super::sender::hex(&sender.cluster_id),
                super::sender::hex(&cluster.origin().cluster_id())
            )));
        }
        cluster.take_in(sender.from, &address, purpose).await?;
        Ok(Response::new(v1::JoinResponse {
            cluster_id: cluster.origin().cluster_id().into(),
            journal_epoch: node.db.epoch(),
        }))
    }

    async fn append_entries(
        &self,
        request: Request<Streaming<v1::AppendEntriesRequest>>,
    ) -> Result<Response<Self::AppendEntriesStream>, Status> {
        let caller = caller_of(&request)?;
        let (node, cluster) = self.member()?;
        let (node, cluster) = (Arc::clone(node), Arc::clone(cluster));
        let refused: Arc<Mutex<Option<Status>>> = Arc::default();
        let incoming = Incoming {
            node,
            cluster: Arc::clone(&cluster),
            access: Arc::clone(&self.gate.access),
            caller,
            checked_at: None,
            refused: Arc::clone(&refused),
            requests: request.into_inner(),
        };
        let answers = cluster.consensus().append(incoming.into_stream());
        let answers = answers.map(|answer| answer.map(wire::answer_to_wire).map_err(not_now));
        // Behind the last answer comes why no more requests are read, where that is their fault.
        let why = futures::stream::once(async move {
            refused.lock().unwrap_or_else(PoisonError::into_inner).take().map(Err)
        });
        Ok(Response::new(Box::pin(answers.chain(why.filter_map(|why| async { why })))))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::AppendEntriesRequest>,
    ) -> Result<Response<v1::AppendEntriesResponse>, Status> {
        let came = Instant::now();
        let (node, cluster) = self.asked_by_node(&request, request.get_ref().sender.as_ref())?;
        cluster.heard(request.get_ref(), came);
        let snapshot = node.db.snapshot();
        let append = wire::append_of(request.get_ref().clone(), snapshot.schemas()).map_err(unsound)?;
        let answer = cluster.consensus().append_once(append).await.map_err(not_now)?;
        Ok(Response::new(wire::answer_to_wire(answer)))
    }

    async fn vote(&self, request: Request<v1::VoteRequest>) -> Result<Response<v1::VoteResponse>, Status> {
        let (_, cluster) = self.asked_by_node(&request, request.get_ref().sender.as_ref())?;
        let vote = wire::vote_request_of(request.get_ref().clone()).map_err(unsound)?;
        let answer = cluster.consensus().vote(vote).await.map_err(not_now)?;
        Ok(Response::new(wire::vote_answer_to_wire(answer)))
    }

    async fn pre_vote(
        &self,
        request: Request<v1::VoteRequest>,
    ) -> Result<Response<v1::VoteResponse>, Status> {
        let (_, cluster) = self.asked_by_node(&request, request.get_ref().sender.as_ref())?;
        let vote = wire::vote_request_of(request.get_ref().clone()).map_err(unsound)?;
        let answer = cluster.consensus().pre_vote(vote).await.map_err(not_now)?;
        Ok(Response::new(wire::vote_answer_to_wire(answer)))
    }

    async fn take_lead(
        &self,
        request: Request<v1::TakeLeadRequest>,
    ) -> Result<Response<v1::TakeLeadResponse>, Status> {
        let (_, cluster) = self.asked_by_node(&request, request.get_ref().sender.as_ref())?;
        let transfer = wire::transfer_of(request.get_ref().clone()).map_err(unsound)?;
        cluster.consensus().transfer(transfer).await.map_err(not_now)?;
        Ok(Response::new(v1::TakeLeadResponse {}))
    }

    async fn read_index(
        &self,
        request: Request<v1::ReadIndexRequest>,
    ) -> Result<Response<v1::ReadIndexResponse>, Status> {
        let (_, cluster) = self.asked_by_node(&request, request.get_ref().sender.as_ref())?;
        cluster.must_lead()?;
        let at = cluster.consensus().read_barrier().await.map_err(not_now)?;
        Ok(Response::new(v1::ReadIndexResponse { index: at.index }))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<v1::SnapshotRequest>>,
    ) -> Result<Response<Self::InstallSnapshotStream>, Status> {
        let caller = caller_of(&request)?;
        let (_, cluster) = self.member()?;
        let cluster = Arc::clone(cluster);
        let mut requests = request.into_inner();
        let first = timeout(SILENCE_MAX, requests.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no snapshot came"))??;
        let Some(Sent::Begin(begin)) = first.and_then(|first| first.what) else {
            return Err(Status::invalid_argument("a snapshot begins with its description"));
        };
        cluster.check_sender(begin.sender.as_ref(), &caller, self.access())?;
        let alone = Arc::clone(&cluster.receiving).try_lock_owned();
        let alone = alone.map_err(|_| Status::unavailable("another snapshot is coming in"))?;
        let (answers, answered) = mpsc::channel(ANSWERS_WAITING_MAX);
        tokio::spawn(receive_snapshot::receive(cluster, begin, requests, answers, alone));
        Ok(Response::new(ReceiverStream::new(answered)))
    }
}

/// Requests of the leader, each looked at before consensus hears of it.
struct Incoming {
    node: Arc<Node>,
    cluster: Arc<Cluster>,
    access: Arc<Access>,
    caller: Caller,
    checked_at: Option<Instant>,
    refused: Arc<Mutex<Option<Status>>>,
    requests: Streaming<v1::AppendEntriesRequest>,
}

impl Incoming {
    fn into_stream(self) -> BoxStream<'static, AppendRequest> {
        futures::stream::unfold(self, |mut incoming| async move {
            match incoming.next().await {
                Ok(request) => request.map(|request| (request, incoming)),
                Err(status) => {
                    log::warn!("entries of another node were refused: {}", status.message());
                    *incoming.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                    None
                }
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<AppendRequest>, Status> {
        // A connection that breaks is nobody's fault.
        let Ok(Some(request)) = self.requests.message().await else { return Ok(None) };
        let came = Instant::now();
        let is_due = self.checked_at.is_none_or(|at| came.duration_since(at) >= CHECKED_EVERY);
        if is_due {
            self.cluster.check_sender(request.sender.as_ref(), &self.caller, &self.access)?;
            self.checked_at = Some(came);
        } else if request.sender.as_ref().is_none_or(|sender| !self.cluster.origin().is_for_us(sender)) {
            return Err(Status::failed_precondition("a message for another cluster or node"));
        }
        self.cluster.heard(&request, came);
        let snapshot = self.node.db.snapshot();
        wire::append_of(request, snapshot.schemas()).map(Some).map_err(unsound)
    }
}
