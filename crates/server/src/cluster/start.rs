//! Starts the node: waits outside as long as it must, opens its copy of the journal, and begins to take part.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapebook::replica::{NewReplica, Replica};
use tapebook_replication::{Node as Consensus, NodeError, NodeOptions, Transport};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use super::freshness::Freshness;
use super::join::{JoinError, Way, find_way};
use super::majority::Majority;
use super::sender::Origin;
use super::tend::{Tended, tend};
use super::transport::GrpcTransport;
use super::{Cluster, ClusterOptions, Introduced};
use crate::threads::Threads;
use crate::tls::Tls;
use crate::{ServerOptions, StartError};

/// A node that is alone leads before it is served, unless that takes longer.
const LEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// The id of a node that nobody has given one.
const FIRST_NODE: u64 = 1;

/// What is known of a node before its journal is open.
pub(crate) struct Beginning {
    options: ClusterOptions,
    node_id: u64,
    address: String,
    transport: Arc<GrpcTransport>,
    /// True where the data directory is empty and others have to be asked what becomes of it.
    waits: bool,
    way: Option<Way>,
}

/// Looks at the data directory and at the options. `grpc` is where this server listens.
pub(crate) fn begin(
    options: &ServerOptions,
    grpc: Option<SocketAddr>,
    tls: Option<Arc<Tls>>,
) -> Result<Beginning, StartError> {
    let cluster = &options.cluster;
    let there = NewReplica::existing(&*options.database.vfs, &options.data)?;
    let node_id = match (there, cluster.node_id) {
        (Some(there), Some(expected)) if there.node_id != expected => {
            let path = options.data.display().to_string();
            return Err(JoinError::OtherNode { path, found: there.node_id, expected }.into());
        }
        (Some(there), _) => there.node_id,
        (None, id) => id.unwrap_or(FIRST_NODE),
    };
    let address = address(cluster, node_id, grpc);
    let has_others = cluster.join.is_some() || cluster.peers.iter().any(|(peer, _)| *peer != node_id);
    check(cluster, node_id, &address, has_others, grpc.is_some())?;
    let transport = Arc::new(GrpcTransport {
        origin: Arc::new(Origin::new(node_id)),
        tls,
        runtime: Handle::current(),
        snapshot_bytes_per_second: cluster.snapshot_bytes_per_second,
    });
    let waits = there.is_none() && has_others;
    Ok(Beginning { options: cluster.clone(), node_id, address, transport, waits, way: None })
}

/// Where others reach this node; empty where nobody could.
fn address(cluster: &ClusterOptions, node_id: u64, grpc: Option<SocketAddr>) -> String {
    let own = cluster.peers.iter().find(|(peer, _)| *peer == node_id).map(|(_, address)| address.clone());
    let listens = grpc.filter(|address| !address.ip().is_unspecified()).map(|address| address.to_string());
    cluster.advertise.clone().or(own).or(listens).unwrap_or_default()
}

fn check(
    cluster: &ClusterOptions,
    node_id: u64,
    address: &str,
    has_others: bool,
    listens: bool,
) -> Result<(), JoinError> {
    let fail = |reason: String| Err(JoinError::Options { reason });
    if !cluster.peers.is_empty() && cluster.join.is_some() {
        return fail(
            "peers are for the nodes that found a cluster, join is for one that comes later; choose one"
                .to_owned(),
        );
    }
    if !cluster.peers.is_empty() && !cluster.peers.iter().any(|(peer, _)| *peer == node_id) {
        return fail(format!(
            "node {node_id} is not among the peers; they are all founding nodes, this one included"
        ));
    }
    if has_others && !listens {
        return fail("other nodes reach this one over gRPC; listen must not be off".to_owned());
    }
    if has_others && address.is_empty() {
        return fail("it is not known where other nodes reach this one; say so with advertise".to_owned());
    }
    Ok(())
}

impl Beginning {
    /// True where the node waits for others before it has a journal.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// What this node says of itself until then.
    pub(crate) fn introduced(&self) -> Introduced {
        Introduced::Waiting(self.node_id)
    }

    /// Waits until it is clear whether the node founds a cluster or joins one.
    pub(crate) async fn wait(&mut self) -> Result<(), StartError> {
        let way = find_way(&self.options, self.node_id, &self.address, &self.transport).await?;
        self.way = Some(way);
        Ok(())
    }

    /// Opens the journal and begins to take part. What ends the node later is told through `failed`.
    pub(crate) async fn start(
        self,
        options: &ServerOptions,
        failed: watch::Sender<Option<String>>,
    ) -> Result<Arc<Cluster>, StartError> {
        let Self { options: cluster, node_id, address, transport, way, .. } = self;
        let runtime = runtime().map_err(StartError::Threads)?;
        let (handle, threads) = (runtime.handle().clone(), Threads::new(runtime));
        let (data, database) = (options.data.clone(), options.database.clone());
        let node_options = NodeOptions {
            log_entries_kept: cluster.log_entries_kept,
            seed: database.vfs.random_u64(),
            ..NodeOptions::default()
        };
        let origin = Arc::clone(&transport.origin);
        let calling = Arc::clone(&transport) as Arc<dyn Transport>;
        let started = handle.spawn(async move {
            Consensus::start(node_options, calling, move |consensus| {
                let replica = match way {
                    Some(Way::Join(new)) => Replica::open(data, database, consensus, Some(new)),
                    Some(Way::Found) | None => Replica::found(data, database, consensus, node_id),
                }?;
                // Nobody is called before this is known.
                origin.belongs_to(replica.cluster_id());
                Ok(replica)
            })
            .await
        });
        let consensus = match started.await {
            Ok(Ok(consensus)) => consensus,
            Ok(Err(NodeError::Open(error))) => return Err(StartError::Open(error)),
            Ok(Err(error)) => return Err(JoinError::Options { reason: error.to_string() }.into()),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let cluster = Arc::new(Cluster {
            tended: Mutex::new(Tended::begin(&consensus)),
            consensus,
            transport,
            address,
            options: cluster,
            freshness: Freshness::default(),
            majority: Majority::default(),
            changing: Arc::default(),
            receiving: Arc::default(),
            threads: Mutex::new(threads),
        });
        tokio::spawn(tend(Arc::downgrade(&cluster), failed));
        if cluster.members().is_ruled_by(node_id) {
            // Nobody else could, and it takes one sync.
            let _ = timeout(LEAD_TIME_MAX, cluster.leads()).await;
        }
        Ok(cluster)
    }
}

/// One thread, which does nothing but consensus.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name("tapebook-consensus").enable_all().build()
}
