//! A cluster of real processes that speak with mutual TLS.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tapebook_client::{Client, ClientOptions};
use tempfile::TempDir;

use super::certificates::Certificates;
use super::eventually;
use super::network::Network;
use super::node::Node;
use super::watch::{Seen, Watch};
use crate::support::Ran;

/// Elections are a matter of a few hundred milliseconds: two clusters at one time would disturb each other.
static ALONE: Mutex<()> = Mutex::new(());

/// A cluster. Its nodes end and everything is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct TestCluster {
    nodes: BTreeMap<u64, Node>,
    pub(crate) watch: Watch,
    certificates: Certificates,
    network: Network,
    pub(crate) dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl TestCluster {
    /// It has no nodes yet.
    pub(crate) fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let certificates = Certificates::new(dir.path().join("ca"));
        let watch = Watch::new(certificates.clone());
        Self { nodes: BTreeMap::new(), watch, certificates, network: Network::new(), dir, _alone: alone }
    }

    /// Nodes 1 to `count` have founded it, and all of them vote.
    pub(crate) async fn of(count: u64) -> Self {
        let mut cluster = Self::new();
        let ids: Vec<u64> = (1..=count).collect();
        for id in &ids {
            cluster.add(*id);
        }
        cluster.found(&ids);
        cluster.all_vote(&ids).await;
        cluster
    }

    /// A node with a certificate and a place in the network. It is not started yet.
    pub(crate) fn add(&mut self, id: u64) -> &mut Node {
        let certificates = self.certificates.clone();
        self.add_with(id, &certificates)
    }

    /// The same, vouched for by another authority.
    pub(crate) fn add_with(&mut self, id: u64, certificates: &Certificates) -> &mut Node {
        let home = self.network.home(id);
        certificates.issue_node(id, *home.address.ip());
        let mut flags = certificates.node_flags(id);
        flags.extend(["--node-id".to_owned(), id.to_string()]);
        let node = Node::new(id, self.dir.path(), home, flags);
        self.watch.follow(&node.place);
        self.nodes.entry(id).or_insert(node)
    }

    /// Starts nodes that found a cluster together.
    pub(crate) fn found(&mut self, ids: &[u64]) {
        let peers: Vec<String> = ids.iter().map(|id| format!("{id}={}", self.address(*id))).collect();
        for id in ids {
            let node = self.node(*id);
            node.flags.extend(["--peers".to_owned(), peers.join(",")]);
            node.start();
        }
    }

    /// Starts a node that joins the cluster of another one.
    pub(crate) fn join(&mut self, id: u64, other: u64) {
        let other = self.address(other);
        let node = self.node(id);
        node.flags.extend(["--join".to_owned(), other]);
        node.start();
    }

    pub(crate) fn node(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&id).unwrap()
    }

    pub(crate) fn address(&self, id: u64) -> String {
        self.nodes[&id].place.address.clone()
    }

    /// The nodes whose processes run.
    pub(crate) fn running(&self) -> Vec<u64> {
        self.nodes.iter().filter(|(_, node)| node.runs()).map(|(id, _)| *id).collect()
    }

    /// A URL with all nodes that run.
    pub(crate) fn url(&self) -> String {
        self.url_of(&self.running())
    }

    pub(crate) fn url_of(&self, ids: &[u64]) -> String {
        let addresses: Vec<String> = ids.iter().map(|id| self.address(*id)).collect();
        format!("grpcs://{}", addresses.join(","))
    }

    /// Another authority, which vouches for nobody here.
    pub(crate) fn foreign_certificates(&self) -> Certificates {
        Certificates::new(self.dir.path().join("foreign-ca"))
    }

    pub(crate) fn writer(&self, ids: &[u64]) -> ClientOptions {
        self.certificates.writer(&self.url_of(ids))
    }

    /// A client of one node, and of no other.
    pub(crate) async fn client_of(&self, id: u64) -> Client {
        Client::connect(self.certificates.admin(&self.url_of(&[id]))).await.unwrap()
    }

    /// The command, as an administrator who asks the nodes that run.
    pub(crate) fn command(&self, args: &[&str]) -> Ran {
        self.command_at(&self.url(), args)
    }

    pub(crate) fn command_at(&self, url: &str, args: &[&str]) -> Ran {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tapebook"));
        command.args(args).args(["--url", url]).args(self.certificates.admin_flags());
        Ran::of(command.stdin(Stdio::null()).output().unwrap())
    }

    /// The node that leads: most of those that run say so.
    pub(crate) async fn leader(&self) -> u64 {
        eventually("a node leads", async || self.leader_now()).await
    }

    /// The same, where it is so at this moment.
    pub(crate) fn leader_now(&self) -> Option<u64> {
        let running = self.running();
        let seen: Vec<Seen> = running.iter().filter_map(|id| self.watch.now(*id)).collect();
        let leader = seen.iter().filter(|seen| seen.leads).max_by_key(|seen| seen.term)?.node_id;
        let agree = seen.iter().filter(|seen| seen.leader_id == leader).count();
        (agree > running.len() / 2).then_some(leader)
    }

    /// Waits until all of these nodes vote, and no other.
    pub(crate) async fn all_vote(&self, ids: &[u64]) {
        eventually(&format!("nodes {ids:?} vote"), async || {
            let leader = self.leader_now()?;
            (self.watch.now(leader)?.voters == ids).then_some(())
        })
        .await;
    }

    /// True where links can be cut.
    pub(crate) fn can_cut(&self) -> bool {
        self.network.can_cut()
    }

    /// What one node sends does not reach the others.
    pub(crate) fn cut(&self, from: u64, to: &[u64]) {
        to.iter().for_each(|to| self.network.cut(from, *to));
    }

    pub(crate) fn heal(&self, from: u64, to: &[u64]) {
        to.iter().for_each(|to| self.network.heal(from, *to));
    }

    /// The other nodes that run.
    pub(crate) fn others(&self, id: u64) -> Vec<u64> {
        self.running().into_iter().filter(|other| *other != id).collect()
    }

    /// What the watch has found, at the end.
    pub(crate) fn check_watch(&self) {
        let faults = self.watch.faults();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.nodes.values().for_each(Node::show_log);
        }
    }
}
