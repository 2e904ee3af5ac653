//! A server in this process, and clients for it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tapebook::{Batch, Db, EncodedBatch, Options, Trade, WalOptions};
use tapebook_client::{Client, ClientOptions};
use tapebook_proto::v1::journal_client::JournalClient;
use tapebook_proto::v1::{AppendRequest, AppendResponse, Refusal, append_response::Outcome};
use tapebook_record::Producer;
use tapebook_server::access::{Caller, Credential, Grant, Role};
use tapebook_server::{Limits, Node, ServerOptions, journal};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server as GrpcServer};
use tonic::{Request, Status, Streaming};

/// How long something may take that is expected to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A database of its own, served by a runtime of its own, so that it can go away with all its connections.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) node: Arc<Node>,
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
    dir: Option<TempDir>,
}

/// What a test may want to be otherwise.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) options: Options,
}

impl Default for Setup {
    fn default() -> Self {
        Self { limits: Limits::default(), options: options() }
    }
}

/// A log of small segments, which are soon prepared.
pub(crate) fn options() -> Options {
    let wal = WalOptions { segment_bytes: 4 << 20, ..WalOptions::default() };
    Options { wal, ..Options::default() }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let options = Options { journal_retention: Some(Duration::from_secs(3_600)), ..setup.options };
        Self::over(tempfile::tempdir().unwrap(), Setup { options, ..setup }).await
    }

    /// Serves what is in a directory.
    pub(crate) async fn over(dir: TempDir, setup: Setup) -> Self {
        Self::at(dir, SocketAddr::from(([127, 0, 0, 1], 0)), setup).await
    }

    /// Serves what is in a directory at an address.
    pub(crate) async fn at(dir: TempDir, address: SocketAddr, setup: Setup) -> Self {
        let node = node(dir.path(), setup);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (bound, listening) = oneshot::channel();
        let served = Arc::clone(&node);
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            serve(served, listener).await;
        });
        let address = listening.await.unwrap();
        Self { node, address, runtime: Some(runtime), dir: Some(dir) }
    }

    pub(crate) fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(ClientOptions::from_url(&self.url()).unwrap()).await.unwrap()
    }

    /// A client that may do what the token says: `ROLE` or `ROLE:TABLE,TABLE`.
    pub(crate) async fn client_as(&self, token: &str) -> Client {
        Client::connect(ClientOptions::from_url(&self.url()).unwrap().token(token)).await.unwrap()
    }

    /// A client that says whatever it is told to.
    pub(crate) async fn raw(&self) -> JournalClient<Channel> {
        JournalClient::connect(format!("http://{}", self.address)).await.unwrap()
    }

    /// A stream of batches.
    pub(crate) async fn appender(&self) -> Appender {
        Appender::begin(self.raw().await, None).await
    }

    /// Breaks every connection, stops listening and closes the database.
    pub(crate) async fn stop(mut self) -> (TempDir, SocketAddr) {
        self.break_off();
        until("the server's tasks to end", || Arc::strong_count(&self.node) == 1).await;
        (self.dir.take().unwrap(), self.address)
    }

    fn break_off(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.break_off();
    }
}

pub(crate) fn node(dir: &Path, setup: Setup) -> Arc<Node> {
    let db = Db::open_with(dir, setup.options).unwrap();
    let options = ServerOptions { limits: setup.limits, ..ServerOptions::new(dir) };
    let node = Node::new(Arc::new(db), &options, None, Handle::current()).unwrap();
    // What the callers may is in their grants, and nobody looks for their tokens.
    Arc::new(Node { access: Arc::default(), ..node })
}

/// Serves the journal; who calls is told from the token, for what access is decided elsewhere.
pub(crate) async fn serve(node: Arc<Node>, listener: TcpListener) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = InterceptedService::new(journal::service(node), who_calls);
    GrpcServer::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
}

fn who_calls(mut request: Request<()>) -> Result<Request<()>, Status> {
    let token = request.metadata().get("authorization").and_then(|token| token.to_str().ok());
    let token = token.and_then(|token| token.strip_prefix("Bearer ")).unwrap_or("admin").to_owned();
    let (role, tables) = match token.split_once(':') {
        Some((role, tables)) => (role, Some(tables.split(',').map(str::to_owned).collect::<BTreeSet<_>>())),
        None => (token.as_str(), None),
    };
    let role = match role {
        "read" => Role::Read,
        "write" => Role::Write,
        "node" => Role::Node,
        "nobody" => return Ok(request),
        _ => Role::Admin,
    };
    request.extensions_mut().insert(Caller {
        name: Arc::from(&*token),
        credential: Credential::None,
        grant: Arc::new(Grant { role, tables }),
        address: None,
    });
    Ok(request)
}

/// One stream of batches and its answers.
#[derive(Debug)]
pub(crate) struct Appender {
    requests: mpsc::Sender<AppendRequest>,
    pub(crate) answers: Streaming<AppendResponse>,
}

impl Appender {
    pub(crate) async fn begin(mut client: JournalClient<Channel>, token: Option<&str>) -> Self {
        let (requests, waiting) = mpsc::channel(10_000);
        let mut request = Request::new(ReceiverStream::new(waiting));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let answers = client.append(request).await.unwrap().into_inner();
        Self { requests, answers }
    }

    pub(crate) fn send(&self, batch: impl Into<bytes::Bytes>) {
        self.requests.try_send(AppendRequest { batch: batch.into(), durability: 0 }).unwrap();
    }

    pub(crate) fn send_as(&self, batch: &EncodedBatch, durability: tapebook_proto::v1::Durability) {
        let request = AppendRequest { batch: bytes_of(batch), durability: durability.into() };
        self.requests.try_send(request).unwrap();
    }

    pub(crate) fn end(&mut self) {
        self.requests = mpsc::channel(1).0;
    }

    pub(crate) async fn answer(&mut self) -> AppendResponse {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await.expect("an answer in time");
        answer.unwrap().expect("another answer")
    }

    /// The sequences of the next receipt.
    pub(crate) async fn receipt(&mut self) -> (u64, u64, bool) {
        match self.answer().await.outcome {
            Some(Outcome::Receipt(receipt)) => (receipt.first_seq, receipt.last_seq, receipt.duplicate),
            other => panic!("no receipt but {other:?}"),
        }
    }

    pub(crate) async fn refusal(&mut self) -> Refusal {
        match self.answer().await.outcome {
            Some(Outcome::Refusal(refusal)) => refusal,
            other => panic!("no refusal but {other:?}"),
        }
    }
}

pub(crate) fn bytes_of(batch: &EncodedBatch) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(batch.bytes())
}

/// A trade whose time and id are `n`.
pub(crate) fn trade(symbol: &str, n: u64) -> Trade<'_> {
    Trade {
        symbol,
        ts: n as i64,
        trade_id: Some(tapebook::Id::Number(n)),
        price: Some(1.5),
        ..Trade::default()
    }
}

/// A batch of trades.
pub(crate) fn trades(symbol: &str, numbers: impl IntoIterator<Item = u64>) -> Batch {
    let mut batch = Batch::new();
    numbers.into_iter().for_each(|n| batch.push(trade(symbol, n)).unwrap());
    batch
}

/// A batch of one trade, with its producer.
pub(crate) fn numbered(id: u64, epoch: u32, batch_number: u64) -> EncodedBatch {
    let mut batch = trades("A", [batch_number]);
    batch.set_producer(Producer { id, epoch, batch_number });
    batch.encode()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = std::time::Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
