//! Nodes that only pretend: they share one list of what was written, and lead or do not, as a test says.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use tapebook_client::{Client, ClientOptions};
use tapebook_proto::v1::append_response::Outcome;
use tapebook_proto::v1::cluster_server::{Cluster, ClusterServer};
use tapebook_proto::v1::journal_server::{Journal, JournalServer};
use tapebook_proto::v1::*;
use tapebook_record::{EncodedBatch, SharedBytes};
use tokio::net::TcpListener;
use tonic::transport::server::{Server, TcpIncoming};
use tonic::{Request, Response, Status, Streaming};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a node does with what only a leader takes.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Leads,
    /// Names a leader, or an empty address.
    Follows(String),
    /// Says for this reason that it does not want to.
    Refuses(RefusalReason),
    /// Takes calls and refuses batches.
    RefusesBatches(RefusalReason),
    /// Breaks whatever is asked of it.
    Breaks,
}

/// The numbers of the batches that were written, in order, on whichever node.
pub(crate) type Written = Arc<Mutex<Vec<u64>>>;

/// A node at an address of its own.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    written: Written,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    part: Part,
    calls: Vec<&'static str>,
}

impl Node {
    pub(crate) async fn start(written: &Written, part: Part) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { part, calls: Vec::new() }));
        let node = Self { address, written: Arc::clone(written), state };
        let server = Server::builder()
            .add_service(JournalServer::new(node.clone()))
            .add_service(ClusterServer::new(node.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        node
    }

    pub(crate) fn becomes(&self, part: Part) {
        self.locked().part = part;
    }

    pub(crate) fn follows(&self, leader: &Self) {
        self.becomes(Part::Follows(leader.address.to_string()));
    }

    /// What was asked of it so far, in order.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.locked().calls.clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call; an error where the node is not one to take it.
    fn called(&self, call: &'static str) -> Result<(), Status> {
        let mut state = self.locked();
        state.calls.push(call);
        match &state.part {
            Part::Leads => Ok(()),
            Part::RefusesBatches(_) if call != "batch" => Ok(()),
            Part::Follows(leader) => Err(Refusal::not_leader("it follows", Some(leader)).into()),
            Part::Refuses(reason) | Part::RefusesBatches(reason) => {
                Err(Refusal::new(*reason, "it does not want to").into())
            }
            Part::Breaks => Err(Status::internal("it breaks")),
        }
    }

    fn append(&self, request: AppendRequest) -> Result<Outcome, Status> {
        if let Err(status) = self.called("batch") {
            return Refusal::of_status(&status).map(Outcome::Refusal).ok_or(status);
        }
        let batch = EncodedBatch::from_log(SharedBytes::from(&*request.batch)).unwrap();
        let number = batch.producer().batch_number;
        let mut written = self.written.lock().unwrap();
        let duplicate = written.contains(&number);
        if !duplicate {
            written.push(number);
        }
        let seq = written.iter().position(|other| *other == number).unwrap() as u64 + 1;
        Ok(Outcome::Receipt(Receipt { first_seq: seq, last_seq: seq, duplicate }))
    }
}

/// A client that knows these nodes.
pub(crate) async fn client_of(nodes: &[&Node]) -> Client {
    Client::connect(options(nodes)).await.unwrap()
}

pub(crate) fn options(nodes: &[&Node]) -> ClientOptions {
    let addresses: Vec<String> = nodes.iter().map(|node| node.address.to_string()).collect();
    let options = ClientOptions::from_url(&format!("grpc://{}", addresses.join(","))).unwrap();
    ClientOptions { retry_for: Duration::from_secs(60), ..options }
}

/// An address where nobody is.
pub(crate) async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tonic::async_trait]
impl Journal for Node {
    type AppendStream = Answers<AppendResponse>;
    type SubscribeStream = Answers<SubscribeResponse>;
    type ScanStream = Answers<ScanResponse>;

    async fn open_producer(
        &self,
        _: Request<OpenProducerRequest>,
    ) -> Result<Response<OpenProducerResponse>, Status> {
        self.called("open")?;
        Ok(Response::new(OpenProducerResponse { window: 8, journal_epoch: 1, ..Default::default() }))
    }

    async fn append(
        &self,
        requests: Request<Streaming<AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        self.called("append")?;
        let begun = Some((self.clone(), requests.into_inner(), 0));
        let answers = stream::unfold(begun, |begun| async move {
            let (node, mut requests, number) = begun?;
            let outcome = match requests.next().await? {
                Ok(batch) => node.append(batch),
                Err(status) => Err(status),
            };
            // Behind what it does not take as one that follows nothing comes any more.
            let ends = match &outcome {
                Ok(Outcome::Refusal(refusal)) => refusal.reason() == RefusalReason::NotLeader,
                outcome => outcome.is_err(),
            };
            let answer =
                outcome.map(|outcome| AppendResponse { request: number + 1, outcome: Some(outcome) });
            Some((answer, (!ends).then_some((node, requests, number + 1))))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn subscribe(
        &self,
        _: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.called("subscribe")?;
        let cursor = Some(tapebook_proto::v1::Cursor { epoch: 1, seq: 1 });
        let progress = subscribe_response::What::Progress(Progress { cursor, live: true });
        Ok(Response::new(Box::pin(stream::iter([Ok(SubscribeResponse { what: Some(progress) })]))))
    }

    async fn get(&self, _: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        self.called("get")?;
        Ok(Response::new(GetResponse::default()))
    }

    async fn scan(&self, _: Request<ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        Err(Status::unimplemented("no test scans"))
    }
}

/// The members after a change: the node that made it, and another one.
fn members(node_id: u64) -> MembershipResponse {
    let member = |node_id, votes| Member { node_id, address: format!("node-{node_id}:7700"), votes };
    MembershipResponse { members: vec![member(1, true), member(node_id, false)] }
}

#[tonic::async_trait]
impl Cluster for Node {
    type AppendEntriesStream = Answers<AppendEntriesResponse>;
    type InstallSnapshotStream = Answers<SnapshotResponse>;

    async fn status(
        &self,
        _: Request<ClusterStatusRequest>,
    ) -> Result<Response<ClusterStatusResponse>, Status> {
        self.locked().calls.push("status");
        let leader = NodeState {
            node_id: 1,
            address: "node-1:7700".to_owned(),
            role: NodeRole::Leader.into(),
            term: 4,
            commit_index: 9,
            lag_records: Some(0),
            rolling_hash: vec![0xab; 16].into(),
            ..NodeState::default()
        };
        let silent = NodeState { node_id: 2, problem: "no answer".to_owned(), ..NodeState::default() };
        let nodes = vec![leader, silent];
        Ok(Response::new(ClusterStatusResponse {
            cluster_id: vec![7; 16].into(),
            node_id: 2,
            leader_id: 1,
            nodes,
        }))
    }

    async fn add_node(
        &self,
        request: Request<AddNodeRequest>,
    ) -> Result<Response<MembershipResponse>, Status> {
        self.called("add")?;
        Ok(Response::new(members(request.into_inner().node_id)))
    }

    async fn promote_node(
        &self,
        request: Request<PromoteNodeRequest>,
    ) -> Result<Response<MembershipResponse>, Status> {
        self.called("promote")?;
        Ok(Response::new(members(request.into_inner().node_id)))
    }

    async fn remove_node(
        &self,
        request: Request<RemoveNodeRequest>,
    ) -> Result<Response<MembershipResponse>, Status> {
        self.called("remove")?;
        Ok(Response::new(members(request.into_inner().node_id)))
    }

    async fn replace_node(
        &self,
        request: Request<ReplaceNodeRequest>,
    ) -> Result<Response<MembershipResponse>, Status> {
        self.called("replace")?;
        Ok(Response::new(members(request.into_inner().by_node_id)))
    }

    async fn transfer_lead(
        &self,
        request: Request<TransferLeadRequest>,
    ) -> Result<Response<TransferLeadResponse>, Status> {
        self.called("transfer")?;
        let leader_id = match request.into_inner().node_id {
            0 => 3,
            named => named,
        };
        Ok(Response::new(TransferLeadResponse { leader_id }))
    }

    async fn introduce(&self, _: Request<IntroduceRequest>) -> Result<Response<IntroduceResponse>, Status> {
        Err(for_nodes())
    }

    async fn join(&self, _: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        Err(for_nodes())
    }

    async fn append_entries(
        &self,
        _: Request<Streaming<AppendEntriesRequest>>,
    ) -> Result<Response<Self::AppendEntriesStream>, Status> {
        Err(for_nodes())
    }

    async fn heartbeat(
        &self,
        _: Request<AppendEntriesRequest>,
    ) -> Result<Response<AppendEntriesResponse>, Status> {
        Err(for_nodes())
    }

    async fn vote(&self, _: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        Err(for_nodes())
    }

    async fn pre_vote(&self, _: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        Err(for_nodes())
    }

    async fn take_lead(&self, _: Request<TakeLeadRequest>) -> Result<Response<TakeLeadResponse>, Status> {
        Err(for_nodes())
    }

    async fn read_index(&self, _: Request<ReadIndexRequest>) -> Result<Response<ReadIndexResponse>, Status> {
        Err(for_nodes())
    }

    async fn install_snapshot(
        &self,
        _: Request<Streaming<SnapshotRequest>>,
    ) -> Result<Response<Self::InstallSnapshotStream>, Status> {
        Err(for_nodes())
    }
}

fn for_nodes() -> Status {
    Status::unimplemented("only nodes call that")
}
