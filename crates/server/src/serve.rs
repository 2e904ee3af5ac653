//! Starts a server and ends it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tapebook::{AppendError, Db, OpenError};
use tapebook_query::SqlError;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::access::TokenError;
use crate::listen::{Door, Port};
use crate::tls::{Inside, Tls, TlsError};
use crate::{Exposed, Lifecycle, Limits, Node, Phase, ServerOptions, admin, flight, http, journal, queries};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// How often the server looks whether its database has failed.
const FAILURE_LOOKED_FOR_EVERY: Duration = Duration::from_millis(100);
/// Calls that were cut off get so long to let go of the database.
const LET_GO_TIME_MAX: Duration = Duration::from_secs(5);
/// What the health service answers for, besides the server as a whole (the empty name).
const SERVICES: [&str; 4] =
    ["", "tapebook.v1.Journal", "tapebook.v1.Admin", "arrow.flight.protocol.FlightService"];

/// Why a server was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Strangers could come in.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The address cannot be had.
    #[error("{address}: cannot listen: {source}; choose another address, or end what listens there")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The certificates are not good.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The audit log cannot be written.
    #[error("the audit log cannot be opened: {0}")]
    Audit(std::io::Error),
    /// The engine for queries cannot be set up.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
}

/// A running server. [`Server::stop`] ends it in order; dropping it ends it at once.
#[derive(Debug)]
pub struct Server {
    node: Arc<Node>,
    addresses: Addresses,
    door: Arc<Door>,
    health: HealthReporter,
    tls: Option<Arc<Tls>>,
    accepting: JoinSet<()>,
    watching: JoinSet<()>,
    failure: watch::Receiver<Option<String>>,
    query_runtime: QueryRuntime,
    end: End,
}

/// The threads of queries. They end with the server, whatever becomes of it.
#[derive(Debug)]
struct QueryRuntime(Option<Runtime>);

impl QueryRuntime {
    fn new(limits: &Limits) -> Result<(Self, Handle), StartError> {
        let runtime = queries::runtime(limits).map_err(StartError::Threads)?;
        let handle = runtime.handle().clone();
        Ok((Self(Some(runtime)), handle))
    }
}

impl Drop for QueryRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for queries would block; they are cut off where they next yield.
            runtime.shutdown_background();
        }
    }
}

/// Whatever becomes of the server, its connections end with it.
#[derive(Debug)]
struct End(Arc<Lifecycle>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.enter(Phase::Ended);
    }
}

/// Where a server listens, with the ports that it was given.
#[derive(Clone, Copy, Debug, Default)]
struct Addresses {
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Server {
    /// Opens the database and serves it. What is wrong with addresses and certificates shows before the database is opened.
    pub async fn start(options: ServerOptions) -> Result<Self, StartError> {
        options.check_exposure()?;
        let grpc = options.listen.map(bind).transpose()?;
        let http = options.http_listen.map(bind).transpose()?;
        let vfs = Arc::clone(&options.database.vfs);
        let tls =
            options.tls.clone().map(|files| Tls::load(Arc::clone(&vfs), files)).transpose()?.map(Arc::new);
        let db = open(&options).await?;
        let (query_runtime, queries) = QueryRuntime::new(&options.limits)?;
        let node = Arc::new(Node::new(db, &options, tls.clone(), queries)?);
        let (health, routes) = grpc_routes(&node).await;
        let door = Arc::new(Door::new(Arc::clone(&node)));
        let end = End(Arc::clone(&node.lifecycle));
        let mut server = Self {
            failure: watch::channel(None).1,
            addresses: Addresses::default(),
            node,
            door,
            health,
            tls,
            accepting: JoinSet::new(),
            watching: JoinSet::new(),
            query_runtime,
            end,
        };
        if let Some((address, socket)) = grpc {
            server.addresses.grpc =
                Some(server.listen(address, socket, Inside::Http2, routes.into_axum_router())?);
        }
        if let Some((address, socket)) = http {
            server.addresses.http = Some(server.listen(
                address,
                socket,
                Inside::Http1,
                http::router(Arc::clone(&server.node)),
            )?);
        }
        server.watch(options.tls_reload_every);
        Ok(server)
    }

    /// What its services share.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Where gRPC is.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.addresses.grpc
    }

    /// Where HTTP is.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.addresses.http
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.door.connections()
    }

    /// Reads the files of the certificates again now. What is not good is refused, and the old ones stay.
    pub async fn reload(&self) {
        if let Some(tls) = self.tls.clone() {
            reload(tls).await;
        }
    }

    /// Waits until the database has failed so that only a restart helps, and says why.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        let failed = failure.wait_for(Option::is_some).await.map(|reason| reason.clone().unwrap_or_default());
        match failed {
            Ok(reason) => reason,
            // Whoever looks for it has ended with the server.
            Err(_) => std::future::pending().await,
        }
    }

    /// Ends it in order: probes hear that it does not serve, no connection is accepted any more, calls get
    /// `shutdown_time_max` to end, then what is in memory is flushed and the database is closed.
    pub async fn stop(mut self) -> Result<(), AppendError> {
        self.node.lifecycle.enter(Phase::Closing);
        self.end_health().await;
        while self.accepting.join_next().await.is_some() {}
        let time_max = self.node.limits.shutdown_time_max;
        if timeout(time_max, self.door.emptied()).await.is_err() {
            let left = self.connections();
            log::warn!(
                "{left} connections are cut off: their calls did not end within {time_max:?} (shutdown_time_max)"
            );
        }
        self.node.lifecycle.enter(Phase::Ended);
        // Cut off is dropped: that takes as long as a task that is running takes to yield.
        let _ = timeout(LET_GO_TIME_MAX, self.door.emptied()).await;
        self.watching.shutdown().await;
        let Self { node, door, end, query_runtime, .. } = self;
        drop((door, end, query_runtime));
        close(node).await
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        socket: TcpSocket,
        inside: Inside,
        router: axum::Router,
    ) -> Result<SocketAddr, StartError> {
        let listening = |source| StartError::Listen { address, source };
        let listener: TcpListener = socket.listen(BACKLOG).map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let port = Arc::new(Port { listener, inside, tls: self.tls.clone(), router });
        self.accepting.spawn(Arc::clone(&self.door).accept(port));
        Ok(address)
    }

    /// Looks for new certificates and for the end of the database.
    fn watch(&mut self, tls_reload_every: Duration) {
        if let Some(tls) = self.tls.clone() {
            self.watching.spawn(async move {
                loop {
                    sleep(tls_reload_every).await;
                    reload(Arc::clone(&tls)).await;
                }
            });
        }
        let (failed, failure) = watch::channel(None);
        self.failure = failure;
        let (node, health) = (Arc::clone(&self.node), self.health.clone());
        self.watching.spawn(async move {
            let reason = loop {
                if let Some(error) = node.db.failure() {
                    break error.to_string();
                }
                sleep(FAILURE_LOOKED_FOR_EVERY).await;
            };
            set_health(&health, ServingStatus::NotServing).await;
            // The server may be ending.
            let _ = failed.send(Some(reason));
        });
    }

    /// Says that nothing is served, then ends the streams of those who watch.
    async fn end_health(&mut self) {
        set_health(&self.health, ServingStatus::NotServing).await;
        tokio::task::yield_now().await;
        for service in SERVICES {
            self.health.clear_service_status(service).await;
        }
    }
}

/// Takes an address without listening yet: nobody is left waiting while the database is opened.
fn bind(address: SocketAddr) -> Result<(SocketAddr, TcpSocket), StartError> {
    let bound = || -> std::io::Result<TcpSocket> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Without it the address is lost for a minute after a restart.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    bound().map(|socket| (address, socket)).map_err(|source| StartError::Listen { address, source })
}

async fn open(options: &ServerOptions) -> Result<Db, StartError> {
    let (data, database) = (options.data.clone(), options.database.clone());
    let opened = tokio::task::spawn_blocking(move || Db::open_with(data, database)).await;
    match opened {
        Ok(opened) => Ok(opened?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The services of gRPC.
async fn grpc_routes(node: &Arc<Node>) -> (HealthReporter, Routes) {
    let (reporter, health) = tonic_health::server::health_reporter();
    set_health(&reporter, ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tapebook_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut routes = Routes::new(health)
        .add_service(admin::service(Arc::clone(node)))
        .add_service(journal::service(Arc::clone(node)))
        .add_service(flight::service(Arc::clone(node)));
    // The descriptors are compiled in; whether they can be read does not depend on anything that happens.
    if let Ok(service) = reflection().build_v1() {
        routes = routes.add_service(service);
    }
    if let Ok(service) = reflection().build_v1alpha() {
        routes = routes.add_service(service);
    }
    (reporter, routes)
}

async fn set_health(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

async fn reload(tls: Arc<Tls>) {
    let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await;
    match reloaded {
        Ok(Ok(true)) => log::info!("new certificates are in use"),
        Ok(Ok(false)) => {}
        Ok(Err(error)) => log::error!("{error}; the old certificates stay in use"),
        Err(error) => log::error!("reading certificates: {error}"),
    }
}

/// Flushes and closes the database, once nobody else has it.
async fn close(node: Arc<Node>) -> Result<(), AppendError> {
    let mut node = Err(node);
    let mut waited = Duration::ZERO;
    while let Err(shared) = node {
        node = Arc::try_unwrap(shared);
        if node.is_err() {
            if waited >= LET_GO_TIME_MAX {
                log::warn!(
                    "the database is still in use while the server ends; it is closed with the process"
                );
                return Ok(());
            }
            sleep(FAILURE_LOOKED_FOR_EVERY).await;
            waited += FAILURE_LOOKED_FOR_EVERY;
        }
    }
    let Ok(Node { db, .. }) = node else { return Ok(()) };
    let closed = tokio::task::spawn_blocking(move || {
        if db.failure().is_none()
            && let Err(error) = db.flush()
        {
            // The log has it all.
            log::warn!("{}: not flushed at the end: {error}", root(&db).display());
        }
        Arc::into_inner(db).map_or(Ok(()), Db::close)
    })
    .await;
    match closed {
        Ok(closed) => closed,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn root(db: &Db) -> &Path {
    db.layout().root()
}
