//! The transport, as the consensus library wants it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{FutureExt, Stream, StreamExt};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest as RaftVoteRequest, VoteResponse,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::entry::RaftEntry;
use crate::raft::{Raft, RaftVoteOf, from_raft, from_raft_or_none, to_raft, vote_from_raft, vote_to_raft};
use crate::state_machine::SnapshotData;
use crate::transport::SILENCE_MAX;
use crate::{
    AppendAnswer, AppendRequest, Lane, Peer, PeerError, TransferRequest, Transport, VoteAnswer, VoteRequest,
};

type StreamAppendResult = openraft::raft::StreamAppendResult<Raft>;

/// Requests on their way to one node at most; each holds about a chunk of entries.
const REQUESTS_IN_FLIGHT_MAX: usize = 16;

/// Makes connections.
pub(crate) struct Network {
    pub transport: Arc<dyn Transport>,
}

impl Network {
    fn connection(&self, node_id: u64, address: &str, lane: Lane) -> Connection {
        Connection { peer: self.transport.connect(node_id, address, lane) }
    }
}

impl RaftNetworkFactory<Raft> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, address: &String) -> Connection {
        self.connection(target, address, Lane::Entries)
    }

    async fn new_heartbeat_client(&mut self, target: u64, address: &String) -> Connection {
        self.connection(target, address, Lane::Heartbeats)
    }

    async fn new_snapshot_client(&mut self, target: u64, address: &String) -> Connection {
        self.connection(target, address, Lane::Snapshots)
    }
}

/// One node, as the library talks to it.
pub(crate) struct Connection {
    peer: Arc<dyn Peer>,
}

fn unreachable(error: PeerError) -> RPCError<Raft> {
    RPCError::Unreachable(Unreachable::new(&error))
}

/// The answer within the time that the library gives it.
async fn in_time<T>(
    option: &RPCOption,
    answer: impl Future<Output = Result<T, PeerError>> + Send,
) -> Result<T, RPCError<Raft>> {
    match timeout(option.soft_ttl(), answer).await {
        Ok(answer) => answer.map_err(unreachable),
        Err(_) => Err(RPCError::Unreachable(Unreachable::new(&NoAnswer))),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
struct NoAnswer;

fn request_from_raft(request: AppendEntriesRequest<Raft>) -> AppendRequest {
    let parts = request.entries.into_iter().map(RaftEntry::into_parts);
    AppendRequest {
        vote: vote_from_raft(&request.vote),
        previous: from_raft_or_none(request.prev_log_id.as_ref()),
        entries: parts.map(|(log_id, entry, _)| (log_id, entry)).collect(),
        committed: from_raft_or_none(request.leader_commit.as_ref()),
    }
}

pub(crate) fn request_to_raft(request: AppendRequest) -> AppendEntriesRequest<Raft> {
    let entries = request.entries.into_iter().map(|(log_id, entry)| RaftEntry::logged(log_id, entry));
    AppendEntriesRequest {
        vote: vote_to_raft(request.vote),
        prev_log_id: to_raft(request.previous),
        entries: entries.collect(),
        leader_commit: to_raft(request.committed),
    }
}

fn answer_to_raft(answer: AppendAnswer) -> StreamAppendResult {
    match answer {
        AppendAnswer::Appended(through) => Ok(to_raft(through)),
        AppendAnswer::Conflict(at) => match to_raft(at) {
            Some(at) => Err(StreamAppendError::Conflict(at)),
            // Nothing stands before the first entry, so nothing can be in conflict with it.
            None => Ok(None),
        },
        AppendAnswer::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote_to_raft(vote))),
    }
}

pub(crate) fn answer_from_raft(answer: StreamAppendResult) -> AppendAnswer {
    match answer {
        Ok(through) => AppendAnswer::Appended(from_raft_or_none(through.as_ref())),
        Err(StreamAppendError::Conflict(at)) => AppendAnswer::Conflict(from_raft(&at)),
        Err(StreamAppendError::HigherVote(vote)) => AppendAnswer::HigherVote(vote_from_raft(&vote)),
    }
}

pub(crate) fn vote_request_from_raft(request: &RaftVoteRequest<Raft>) -> VoteRequest {
    VoteRequest {
        vote: vote_from_raft(&request.vote),
        last: from_raft_or_none(request.last_log_id.as_ref()),
        transfer: request.leadership_transfer,
    }
}

pub(crate) fn vote_request_to_raft(request: VoteRequest) -> RaftVoteRequest<Raft> {
    let mut asked = RaftVoteRequest::new(vote_to_raft(request.vote), to_raft(request.last));
    asked.leadership_transfer = request.transfer;
    asked
}

fn vote_answer_to_raft(answer: VoteAnswer) -> VoteResponse<Raft> {
    VoteResponse::new(vote_to_raft(answer.vote), to_raft(answer.last), answer.granted)
}

impl RaftNetworkV2<Raft> for Connection {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Raft>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Raft>, RPCError<Raft>> {
        let request = request_from_raft(request);
        let last = request.last();
        let answer = in_time(&option, self.peer.append_once(request)).await?;
        Ok(match answer {
            AppendAnswer::Appended(through) if through == last => AppendEntriesResponse::Success,
            AppendAnswer::Appended(through) => AppendEntriesResponse::PartialSuccess(to_raft(through)),
            AppendAnswer::Conflict(_) => AppendEntriesResponse::Conflict,
            AppendAnswer::HigherVote(vote) => AppendEntriesResponse::HigherVote(vote_to_raft(vote)),
        })
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> futures::future::BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult, RPCError<Raft>>>, RPCError<Raft>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Raft>> + Send + Unpin + 'static,
    {
        let answers = pipelined(Arc::clone(&self.peer), input);
        async move { answers.await.map(|answers| -> BoxStream<'s, _> { answers }) }.boxed()
    }

    async fn vote(
        &mut self,
        request: RaftVoteRequest<Raft>,
        option: RPCOption,
    ) -> Result<VoteResponse<Raft>, RPCError<Raft>> {
        let answer = in_time(&option, self.peer.vote(vote_request_from_raft(&request))).await?;
        Ok(vote_answer_to_raft(answer))
    }

    async fn pre_vote(
        &mut self,
        request: RaftVoteRequest<Raft>,
        option: RPCOption,
    ) -> Result<VoteResponse<Raft>, RPCError<Raft>> {
        let answer = in_time(&option, self.peer.pre_vote(vote_request_from_raft(&request))).await?;
        Ok(vote_answer_to_raft(answer))
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVoteOf,
        snapshot: openraft::type_config::alias::SnapshotOf<Raft, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Raft>, StreamingError<Raft>> {
        let SnapshotData::Outgoing(snapshot) = snapshot.snapshot else {
            return Err(StreamingError::Unreachable(Unreachable::new(&NoAnswer)));
        };
        let sent = self.peer.send_snapshot(vote_from_raft(&vote), snapshot);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = sent => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote_to_raft(vote))),
                Err(error) => Err(StreamingError::Unreachable(Unreachable::new(&error))),
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Raft>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Raft>, RPCError<Raft>> {
        let request = TransferRequest {
            from: vote_from_raft(request.from_leader()),
            to: *request.to_node_id(),
            last: from_raft_or_none(request.last_log_id()),
        };
        in_time(&option, self.peer.transfer(request)).await?;
        Ok(Ok(()))
    }
}

/// Sends requests as they come, some ahead of their answers.
async fn pipelined<S>(
    peer: Arc<dyn Peer>,
    input: S,
) -> Result<BoxStream<'static, Result<StreamAppendResult, RPCError<Raft>>>, RPCError<Raft>>
where
    S: Stream<Item = AppendEntriesRequest<Raft>> + Send + Unpin + 'static,
{
    let in_flight = Arc::new(Semaphore::new(REQUESTS_IN_FLIGHT_MAX));
    let mut requests = bounded(input, Arc::clone(&in_flight)).boxed();
    // The library tries again at once, with all its might, where an error comes before its first request was taken.
    let Some(first) = requests.next().await else { return Ok(stream::empty().boxed()) };
    let requests = stream::once(async { first }).chain(requests);
    let answers = match timeout(SILENCE_MAX, peer.append(requests.boxed())).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => return Ok(stream::once(async { Err(unreachable(error)) }).boxed()),
        Err(_) => return Ok(stream::once(async { Err(silent()) }).boxed()),
    };
    let answers = stream::unfold(Some((answers, in_flight)), |state| async move {
        let (mut answers, in_flight) = state?;
        match next_in_time(&mut answers, &in_flight).await {
            Ok(Some(Ok(answer))) => {
                in_flight.add_permits(1);
                Some((Ok(answer_to_raft(answer)), Some((answers, in_flight))))
            }
            Ok(Some(Err(error))) => Some((Err(unreachable(error)), None)),
            Ok(None) => None,
            Err(NoAnswer) => Some((Err(silent()), None)),
        }
    });
    Ok(answers.boxed())
}

fn silent() -> RPCError<Raft> {
    RPCError::Unreachable(Unreachable::new(&NoAnswer))
}

/// The next answer. It may take its time where none is owed.
async fn next_in_time<T>(
    answers: &mut BoxStream<'static, T>,
    in_flight: &Semaphore,
) -> Result<Option<T>, NoAnswer> {
    loop {
        match timeout(SILENCE_MAX, answers.next()).await {
            Ok(next) => return Ok(next),
            Err(_) if in_flight.available_permits() == REQUESTS_IN_FLIGHT_MAX => {}
            Err(_) => return Err(NoAnswer),
        }
    }
}

/// Requests, as many ahead of their answers as there are permits.
fn bounded<S>(input: S, in_flight: Arc<Semaphore>) -> impl Stream<Item = AppendRequest> + Send
where
    S: Stream<Item = AppendEntriesRequest<Raft>> + Send + Unpin + 'static,
{
    stream::unfold((input, in_flight), |(mut input, in_flight)| async move {
        let request = Pin::new(&mut input).next().await?;
        in_flight.acquire().await.ok()?.forget();
        Some((request_from_raft(request), (input, in_flight)))
    })
}
