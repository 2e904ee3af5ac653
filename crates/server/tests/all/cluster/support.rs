//! Three servers in this process, on loopback.

use std::time::{Duration, Instant};

use tapebook_client::{Client, ClientOptions};
use tapebook_server::cluster::ClusterOptions;
use tapebook_server::{Server, ServerOptions};

use crate::door::support::Place;

/// How long something may take that is expected to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A node, and where its files are.
pub(crate) struct Node {
    pub(crate) server: Server,
    _place: Place,
}

impl Node {
    /// The only node of a cluster, or one that joins it.
    pub(crate) async fn start(node_id: u64, join: Option<&Node>) -> Self {
        let place = Place::new();
        let cluster = ClusterOptions {
            node_id: Some(node_id),
            join: join.map(|node| node.address()),
            ..ClusterOptions::default()
        };
        let options = ServerOptions { cluster, ..place.open_options() };
        Self { server: Server::start(options).await.unwrap(), _place: place }
    }

    pub(crate) fn address(&self) -> String {
        self.server.grpc_address().unwrap().to_string()
    }

    /// A client of this node, which goes to others only where it is sent there.
    pub(crate) async fn client(&self) -> Client {
        let options = ClientOptions::from_url(&format!("grpc://{}", self.address())).unwrap();
        Client::connect(options).await.unwrap()
    }

    pub(crate) fn leads(&self) -> bool {
        self.server.node().cluster.as_ref().unwrap().consensus().is_leader()
    }
}

/// Nodes 1 to 3, all with a vote; the first one leads.
pub(crate) async fn three() -> Vec<Node> {
    let mut nodes = vec![Node::start(1, None).await];
    for node_id in 2..=3 {
        let node = Node::start(node_id, nodes.first()).await;
        nodes.push(node);
    }
    until("every node has its vote", || {
        nodes.iter().all(|node| {
            let status = node.server.node().cluster.as_ref().unwrap().consensus().status();
            status.membership.members.len() == 3
                && status.membership.members.iter().all(|member| member.votes == 1)
        })
    })
    .await;
    nodes
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "waited until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
