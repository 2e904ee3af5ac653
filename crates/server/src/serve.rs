//! Starts a server and ends it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use tapebook::replica::Replica;
use tapebook::{AppendError, Db, OpenError};
use tapebook_query::SqlError;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::access::TokenError;
use crate::cluster::{Cluster, Introduced, JoinError};
use crate::listen::{Door, Port};
use crate::threads::Threads;
use crate::tls::{Inside, Tls, TlsError};
use crate::{
    Exposed, Lifecycle, Node, Phase, ServerOptions, admin, cluster, flight, http, journal, queries, waiting,
};

/// Connections that wait to be accepted.
pub(crate) const BACKLOG: u32 = 1_024;
/// How often the server looks whether its database has failed.
const FAILURE_LOOKED_FOR_EVERY: Duration = Duration::from_millis(100);
/// Calls that were cut off get so long to let go of the database.
pub(crate) const LET_GO_TIME_MAX: Duration = Duration::from_secs(5);
const LET_GO_LOOKED_FOR_EVERY: Duration = Duration::from_millis(5);
/// What the health service answers for, besides the server as a whole (the empty name).
const SERVICES: [&str; 5] = [
    "",
    "tapebook.v1.Journal",
    "tapebook.v1.Admin",
    "tapebook.v1.Cluster",
    "arrow.flight.protocol.FlightService",
];

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
    /// The node cannot found or join a cluster.
    #[error(transparent)]
    Join(#[from] JoinError),
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
    query_threads: Threads,
    end: End,
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
        let mut grpc = options.listen.map(bind).transpose()?;
        let http = options.http_listen.map(bind).transpose()?;
        let vfs = Arc::clone(&options.database.vfs);
        let tls =
            options.tls.clone().map(|files| Tls::load(Arc::clone(&vfs), files)).transpose()?.map(Arc::new);
        let listens_at = grpc.as_ref().and_then(|(_, socket)| socket.local_addr().ok());
        let mut beginning = cluster::begin(&options, listens_at, tls.clone())?;
        if beginning.waits()
            && let Some(bound) = grpc.take()
        {
            grpc = Some(waiting::wait(&options, bound, tls.clone(), &mut beginning).await?);
        }
        let (failed, failure) = watch::channel(None);
        let cluster = beginning.start(&options, failed.clone()).await?;
        let queries = queries::runtime(&options.limits).map_err(StartError::Threads)?;
        let (queries, query_threads) = (queries.handle().clone(), Threads::new(queries));
        let db = Arc::clone(cluster.replica().db());
        let node = Node::new(db, &options, tls.clone(), queries)?.in_cluster(Arc::clone(&cluster));
        let node = Arc::new(node);
        let waited_for = Arc::clone(&cluster);
        let (health, routes) = grpc_routes(&node, cluster).await;
        let door = Arc::new(Door::new(node.gate()));
        let end = End(Arc::clone(&node.lifecycle));
        let mut server = Self {
            failure,
            addresses: Addresses::default(),
            node,
            door,
            health,
            tls,
            accepting: JoinSet::new(),
            watching: JoinSet::new(),
            query_threads,
            end,
        };
        let fresh = |router: axum::Router, is_grpc| {
            let cluster = Arc::clone(&waited_for);
            router.layer(from_fn_with_state((cluster, is_grpc), cluster::wait_for_freshness))
        };
        if let Some((address, socket)) = grpc {
            server.addresses.grpc = Some(server.listen(
                address,
                socket,
                Inside::Http2,
                fresh(routes.into_axum_router(), true),
            )?);
        }
        if let Some((address, socket)) = http {
            server.addresses.http = Some(server.listen(
                address,
                socket,
                Inside::Http1,
                fresh(http::router(Arc::clone(&server.node)), false),
            )?);
        }
        server.watch(options.tls_reload_every, failed);
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

    /// Ends it in order: another node takes over where this one leads, probes hear that it does not serve, no connection is accepted
    /// any more, calls get `shutdown_time_max` to end, then what is in memory is flushed and the database is closed.
    pub async fn stop(mut self) -> Result<(), AppendError> {
        if let Some(cluster) = &self.node.cluster {
            cluster.hand_over().await;
        }
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
        let Self { node, door, end, query_threads, .. } = self;
        drop((door, end, query_threads));
        if let Some(cluster) = &node.cluster {
            cluster.stop().await;
        }
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
        let port = Arc::new(Port { inside, tls: self.tls.clone(), router });
        self.accepting.spawn(Arc::clone(&self.door).accept(listener, port));
        Ok(address)
    }

    /// Looks for new certificates and for the end of the database.
    fn watch(&mut self, tls_reload_every: Duration, failed: watch::Sender<Option<String>>) {
        if let Some(tls) = self.tls.clone() {
            self.watching.spawn(async move {
                loop {
                    sleep(tls_reload_every).await;
                    reload(Arc::clone(&tls)).await;
                }
            });
        }
        let (node, health) = (Arc::clone(&self.node), self.health.clone());
        self.watching.spawn(async move {
            loop {
                if let Some(error) = node.db.failure() {
                    failed.send_replace(Some(error.to_string()));
                }
                // Consensus may have failed, too, and says so by itself.
                if failed.borrow().is_some() {
                    break;
                }
                sleep(FAILURE_LOOKED_FOR_EVERY).await;
            }
            set_health(&health, ServingStatus::NotServing).await;
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
pub(crate) fn bind(address: SocketAddr) -> Result<(SocketAddr, TcpSocket), StartError> {
    let bound = || -> std::io::Result<TcpSocket> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Without it the address is lost for a minute after a restart.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    bound().map(|socket| (address, socket)).map_err(|source| StartError::Listen { address, source })
}

/// The services of gRPC.
async fn grpc_routes(node: &Arc<Node>, cluster: Arc<Cluster>) -> (HealthReporter, Routes) {
    let (reporter, health) = tonic_health::server::health_reporter();
    set_health(&reporter, ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tapebook_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut routes = Routes::new(health)
        .add_service(admin::service(Arc::clone(node)))
        .add_service(cluster::service(node.gate(), Introduced::Member(Arc::clone(node), cluster)))
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
    let Ok(node) = node else { return Ok(()) };
    let replica = node.cluster.as_ref().map(|cluster| Arc::clone(cluster.replica()));
    let db = Arc::clone(&node.db);
    // With all else that holds on to the database and the cluster.
    drop(node);
    let closed = tokio::task::spawn_blocking(move || {
        if db.failure().is_none()
            && let Err(error) = db.flush()
        {
            // The log has it all.
            log::warn!("{}: not flushed at the end: {error}", root(&db).display());
        }
        match replica {
            None => Arc::into_inner(db).map_or(Ok(()), Db::close),
            Some(replica) => {
                drop(db);
                let_go(replica).map_or(Ok(()), Replica::close)
            }
        }
    })
    .await;
    match closed {
        Ok(closed) => closed,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The replica, once consensus has let go of it. Blocks for as long as that takes.
fn let_go(mut replica: Arc<Replica>) -> Option<Replica> {
    let mut waited = Duration::ZERO;
    loop {
        match Arc::try_unwrap(replica) {
            Ok(alone) => return Some(alone),
            Err(_) if waited >= LET_GO_TIME_MAX => return None,
            Err(shared) => replica = shared,
        }
        std::thread::sleep(LET_GO_LOOKED_FOR_EVERY);
        waited += LET_GO_LOOKED_FOR_EVERY;
    }
}

fn root(db: &Db) -> &Path {
    db.layout().root()
}
