//! How this node calls others: over gRPC, with its own certificate, on one connection for each purpose.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use hyper_util::rt::TokioIo;
use tapebook::replica::ReplicaSnapshot;
use tapebook_proto::v1;
use tapebook_proto::v1::cluster_client::ClusterClient;
use tapebook_replication::{
    AppendAnswer, AppendRequest, Lane, Peer, PeerError, TransferRequest, Transport, Vote, VoteAnswer,
    VoteRequest,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint, Uri};

use super::sender::Origin;
use super::{send_snapshot, wire};
use crate::access::Role;
use crate::tls::{CertificateIdentity, Tls};

/// Bytes of entries that may be on their way on one connection.
const WINDOW_BYTES: u32 = 8 << 20;
/// A node that does not answer so long after it was asked whether it is there is connected anew.
const KEEP_ALIVE_EVERY: Duration = Duration::from_millis(500);
const KEEP_ALIVE_TIME_MAX: Duration = Duration::from_millis(1_500);
/// TCP and TLS together.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(1_000);
/// A question to a node that is not part of consensus.
pub(super) const QUESTION_TIME_MAX: Duration = Duration::from_secs(3);

/// Makes connections to other nodes.
pub(super) struct GrpcTransport {
    pub origin: Arc<Origin>,
    pub tls: Option<Arc<Tls>>,
    /// Where connections are served, so that bytes do not keep consensus waiting.
    pub runtime: Handle,
    pub snapshot_bytes_per_second: u64,
}

impl GrpcTransport {
    /// A connection that is made when it is first used. `expected` is the node that must be there, where that is known.
    pub(super) fn channel(&self, address: &str, expected: Option<u64>) -> Result<Channel, String> {
        let (host, _) = address.rsplit_once(':').ok_or_else(|| format!("{address:?} is not HOST:PORT"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| format!("{address:?} is not HOST:PORT: {error}"))?
            .executor(On(self.runtime.clone()))
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_TIME_MAX)
            .keep_alive_while_idle(true);
        let (address, tls) = (Arc::<str>::from(address), self.tls.clone());
        let connector = tower::service_fn(move |_: Uri| {
            let (address, host, tls) = (Arc::clone(&address), host.clone(), tls.clone());
            async move {
                match timeout(CONNECT_TIME_MAX, open(&address, host, tls.as_deref(), expected)).await {
                    Ok(opened) => opened.map(TokioIo::new),
                    Err(_) => Err(std::io::Error::new(
                        std::io::ErrorKind::TimedOut,
                        format!("no connection within {} ms", CONNECT_TIME_MAX.as_millis()),
                    )),
                }
            }
        });
        let _within = self.runtime.enter();
        Ok(endpoint.connect_with_connector_lazy(connector))
    }

    /// Asks a node, which need not belong to the cluster yet.
    pub(super) async fn ask<T, F: Future<Output = Result<tonic::Response<T>, tonic::Status>>>(
        &self,
        address: &str,
        expected: Option<u64>,
        ask: impl FnOnce(ClusterClient<Channel>) -> F,
    ) -> Result<T, tonic::Status> {
        let channel = self.channel(address, expected).map_err(tonic::Status::invalid_argument)?;
        match timeout(QUESTION_TIME_MAX, ask(ClusterClient::new(channel))).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(tonic::Status::deadline_exceeded(format!(
                "no answer within {} s",
                QUESTION_TIME_MAX.as_secs()
            ))),
        }
    }

    /// Who is at an address.
    pub(super) async fn introduce(&self, address: &str) -> Result<v1::IntroduceResponse, tonic::Status> {
        let request = v1::IntroduceRequest { protocol: super::PROTOCOL };
        self.ask(address, None, |mut client| async move { client.introduce(request).await }).await
    }
}

impl Transport for GrpcTransport {
    fn connect(&self, node_id: u64, address: &str, _: Lane) -> Arc<dyn Peer> {
        Arc::new(GrpcPeer {
            origin: Arc::clone(&self.origin),
            to: node_id,
            address: address.into(),
            client: self.channel(address, Some(node_id)).map(ClusterClient::new),
            snapshot_bytes_per_second: self.snapshot_bytes_per_second,
        })
    }
}

/// Runs tasks of a connection where they are told to.
#[derive(Clone)]
struct On(Handle);

impl<F> hyper::rt::Executor<F> for On
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// Bytes both ways, in clear or inside TLS.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects, and makes sure that the node that was meant is there.
async fn open(
    address: &str,
    host: String,
    tls: Option<&Tls>,
    expected: Option<u64>,
) -> std::io::Result<Box<dyn Duplex>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let config =
        tls.calling().ok_or_else(|| std::io::Error::other("tls_ca is not set: nobody vouches for nodes"))?;
    let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    let first = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let identity = first.map(|certificate| CertificateIdentity::read(certificate));
    match (identity, expected) {
        (Some(Ok(identity)), _) if identity.grant.role != Role::Node => {
            Err(std::io::Error::other(format!("the certificate is one of {}, not of a node", identity.name)))
        }
        (Some(Ok(identity)), Some(node_id)) if *identity.name != *super::sender::name_of(node_id) => {
            Err(std::io::Error::other(format!("{} is there, expected node {node_id}", identity.name)))
        }
        (Some(Ok(_)), _) => Ok(Box::new(stream)),
        (Some(Err(error)), _) => Err(std::io::Error::other(error)),
        (None, _) => Err(std::io::Error::other("the node has no certificate")),
    }
}

/// Another node, on one connection.
struct GrpcPeer {
    origin: Arc<Origin>,
    to: u64,
    address: Arc<str>,
    client: Result<ClusterClient<Channel>, String>,
    snapshot_bytes_per_second: u64,
}

impl GrpcPeer {
    /// Makes one call.
    fn call<T: Send + 'static, F>(
        &self,
        ask: impl FnOnce(ClusterClient<Channel>, v1::Sender) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<T, PeerError>>
    where
        F: Future<Output = Result<T, String>> + Send,
    {
        let (to, address, client) = (self.to, Arc::clone(&self.address), self.client.clone());
        let sender = self.origin.sender(to);
        async move {
            let answer = match client {
                Ok(client) => ask(client, sender).await,
                Err(reason) => Err(reason),
            };
            answer.map_err(|reason| PeerError { node_id: to, address: address.to_string(), reason })
        }
        .boxed()
    }
}

/// What a status says, with what the connection said.
pub(super) fn reason_of(status: &tonic::Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn said<T, U>(
    answer: Result<tonic::Response<T>, tonic::Status>,
    read: impl FnOnce(T) -> Result<U, wire::WireError>,
) -> Result<U, String> {
    let answer = answer.map_err(|status| reason_of(&status))?;
    read(answer.into_inner()).map_err(|error| error.to_string())
}

/// Entries on their way, with the sender's name on them.
struct Requests {
    requests: BoxStream<'static, AppendRequest>,
    origin: Arc<Origin>,
    sender: v1::Sender,
}

impl Stream for Requests {
    type Item = v1::AppendEntriesRequest;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let request = ready!(self.requests.as_mut().poll_next(context));
        let age = self.origin.quorum_age_millis();
        Poll::Ready(request.map(|request| wire::append_to_wire(self.sender.clone(), age, request)))
    }
}

fn answers_of(
    answers: Streaming<v1::AppendEntriesResponse>,
    node_id: u64,
    address: Arc<str>,
) -> BoxStream<'static, Result<AppendAnswer, PeerError>> {
    let answers = answers.map(move |answer| {
        let answer = said(answer.map(tonic::Response::new), wire::answer_of);
        answer.map_err(|reason| PeerError { node_id, address: address.to_string(), reason })
    });
    answers.boxed()
}

impl Peer for GrpcPeer {
    fn append(
        &self,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxFuture<'static, Result<BoxStream<'static, Result<AppendAnswer, PeerError>>, PeerError>> {
        let (origin, sender) = (Arc::clone(&self.origin), self.origin.sender(self.to));
        let requests = Requests { requests, origin, sender };
        let (to, address, client) = (self.to, Arc::clone(&self.address), self.client.clone());
        async move {
            let fail = |reason| PeerError { node_id: to, address: address.to_string(), reason };
            let mut client = client.map_err(fail)?;
            let answers = client.append_entries(requests).await.map_err(|status| fail(reason_of(&status)))?;
            Ok(answers_of(answers.into_inner(), to, Arc::clone(&address)))
        }
        .boxed()
    }

    fn append_once(&self, request: AppendRequest) -> BoxFuture<'static, Result<AppendAnswer, PeerError>> {
        let quorum_age = self.origin.quorum_age_millis();
        self.call(move |mut client, sender| async move {
            let request = wire::append_to_wire(sender, quorum_age, request);
            said(client.heartbeat(request).await, wire::answer_of)
        })
    }

    fn vote(&self, request: VoteRequest) -> BoxFuture<'static, Result<VoteAnswer, PeerError>> {
        self.call(move |mut client, sender| async move {
            said(client.vote(wire::vote_request_to_wire(sender, request)).await, wire::vote_answer_of)
        })
    }

    fn pre_vote(&self, request: VoteRequest) -> BoxFuture<'static, Result<VoteAnswer, PeerError>> {
        self.call(move |mut client, sender| async move {
            said(client.pre_vote(wire::vote_request_to_wire(sender, request)).await, wire::vote_answer_of)
        })
    }

    fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Arc<ReplicaSnapshot>,
    ) -> BoxFuture<'static, Result<Vote, PeerError>> {
        let rate = self.snapshot_bytes_per_second;
        self.call(move |client, sender| send_snapshot::send(client, sender, vote, snapshot, rate))
    }

    fn transfer(&self, request: TransferRequest) -> BoxFuture<'static, Result<(), PeerError>> {
        self.call(move |mut client, sender| async move {
            said(client.take_lead(wire::transfer_to_wire(sender, request)).await, |_| Ok(()))
        })
    }
}

impl fmt::Debug for GrpcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcTransport").field("origin", &self.origin).finish_non_exhaustive()
    }
}
