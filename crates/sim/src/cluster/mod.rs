//! A cluster on simulated time, network, disks and chance, in one process and one thread, from one seed.
//!
//! The code is that of a server: replicas on the engine and the log, and the consensus over them. A schedule that the seed
//! draws kills nodes and cuts their power, cuts links in both directions or in one, slows disks and the network, and moves the lead,
//! while clients write numbered batches and send again what has no receipt.
//!
//! What must hold: **O1** no acknowledged batch is lost; **O3** nothing is there that nobody sent, and nothing twice; **O4** what nodes
//! have applied is the same, by the rolling hash, whenever they are looked at; **O5** terms and sequences never go back; **O6** when
//! the faults stop, the cluster takes writes and all nodes have the same journal within ten seconds.
//!
//! Not simulated yet: damaged disks, changes of membership, clocks that jump, linearizable reads.

mod check;
mod client;
mod faults;
mod log;
mod network;
mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tapebook::replica::NewReplica;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::random::Random;
use check::Watcher;
use client::{Contacts, Told};
use log::Log;
use network::Network;
use server::{End, Server};

/// How long a cluster may take to serve and agree once the faults stop.
const CONVERGES_WITHIN: Duration = Duration::from_secs(10);
const CLIENTS: u64 = 4;

/// What a run came across.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterOutcome {
    /// The hash over everything that happened.
    pub hash: u64,
    /// Batches with a receipt.
    pub receipts: u64,
    /// Batches that were sent again.
    pub retries: u64,
    /// Terms in which somebody led.
    pub elections: u64,
    /// Snapshots that were sent and installed.
    pub snapshots: u64,
    /// Faults, by name.
    pub faults: BTreeMap<&'static str, u64>,
}

/// Runs the schedule of one seed for so many simulated seconds.
pub fn check_cluster(seed: u64, seconds: u64, shown: bool) -> Result<ClusterOutcome, crate::Violation> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| crate::Violation { seed, message: error.to_string() })?;
    let outcome =
        runtime.block_on(async { Cluster::new(seed, shown).run(Duration::from_secs(seconds)).await });
    outcome.map_err(|message| crate::Violation { seed, message })
}

struct Cluster {
    network: Network,
    servers: Vec<Server>,
    contacts: Contacts,
    told: Told,
    watcher: Watcher,
    random: Random,
    log: Log,
    faults: BTreeMap<&'static str, u64>,
}

impl Cluster {
    fn new(seed: u64, shown: bool) -> Self {
        let mut random = Random::new(seed);
        let log = Log::new(shown);
        let network = Network::new(Random::new(random.bits()), log.clone());
        let log_entries_kept = *random.pick(&[0, 20, 1_000_000]);
        let servers = (1..=3)
            .map(|node_id| Server::new(node_id, log_entries_kept, Random::new(random.bits())))
            .collect();
        Self {
            network,
            servers,
            contacts: Contacts::default(),
            told: Told::default(),
            watcher: Watcher::default(),
            random,
            log,
            faults: BTreeMap::new(),
        }
    }

    async fn run(mut self, lasts: Duration) -> Result<ClusterOutcome, String> {
        self.found().await?;
        let (stop, stopped) = watch::channel(false);
        let mut clients = Vec::new();
        for producer in 1..=CLIENTS {
            let (contacts, told, log) = (Arc::clone(&self.contacts), self.told.clone(), self.log.clone());
            let random = Random::new(self.random.bits());
            clients.push(tokio::spawn(client::write(producer, contacts, told, log, random, stopped.clone())));
        }
        let ends_at = Instant::now() + lasts;
        while Instant::now() < ends_at {
            let pause = Duration::from_millis(self.random.within(20..1_000));
            self.watch_for(pause).await?;
            self.one_fault().await?;
        }
        self.log.line(format_args!("the faults stop"));
        self.network.heal();
        for at in 0..self.servers.len() {
            self.servers[at].set_sync_micros(200);
            self.start(at).await?;
        }
        stop.send_replace(true);
        self.converge(clients).await?;
        self.check_journals()?;
        self.outcome().await
    }

    /// Node 1 founds the cluster, the others join.
    async fn found(&mut self) -> Result<(), String> {
        self.start(0).await?;
        let first = Arc::clone(&self.servers[0].contact().ok_or("node 1 does not run")?.node);
        self.until("node 1 leads", |cluster| cluster.leader() == Some(1)).await?;
        let said = |error: tapebook_replication::NodeError| error.to_string();
        first.set_address(1, "node-1").await.map_err(said)?;
        for at in 1..self.servers.len() {
            self.start(at).await?;
            let node_id = self.servers[at].node_id;
            first.add_learner(node_id, &format!("node-{node_id}")).await.map_err(said)?;
        }
        first.set_voters(&[1, 2, 3], false).await.map_err(said)
    }

    /// Starts a node that does not run.
    async fn start(&mut self, at: usize) -> Result<(), String> {
        if self.servers[at].running.is_some() {
            return Ok(());
        }
        let cluster_id = self.servers[0].contact().map(|first| first.node.replica().cluster_id());
        let server = &mut self.servers[at];
        let node_id = server.node_id;
        let new = cluster_id.filter(|_| node_id != 1).map(|cluster_id| NewReplica {
            cluster_id,
            node_id,
            epoch: 1,
        });
        server
            .start(&self.network, new)
            .await
            .map_err(|error| format!("node {node_id} does not start: {error}"))?;
        let contact = server.contact().ok_or("a node that was started runs")?;
        let replica = contact.node.replica();
        let (applied, last) = (replica.applied().0.index, replica.opened_log().last);
        self.log.line(format_args!(
            "node {node_id} starts, its log ends with {}.{}.{}, {applied} entries and {} rows are applied",
            last.term,
            last.leader_node,
            last.index,
            replica.applied_hash().0
        ));
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner).insert(node_id, contact);
        Ok(())
    }

    fn end(&mut self, at: usize, end: End) {
        let node_id = self.servers[at].node_id;
        self.log.line(format_args!("node {node_id}: {end:?}"));
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner).remove(&node_id);
        self.servers[at].end(&self.network, end);
    }

    /// The node that leads in the greatest term.
    fn leader(&self) -> Option<u64> {
        let statuses = self.servers.iter().filter_map(Server::contact).map(|contact| contact.node.status());
        let leaders = statuses.filter(|status| status.role == tapebook_replication::Role::Leader);
        leaders.max_by_key(|status| status.term).map(|status| status.node_id)
    }

    async fn watch_for(&mut self, time: Duration) -> Result<(), String> {
        let ends_at = Instant::now() + time;
        while Instant::now() < ends_at {
            sleep(Duration::from_millis(20)).await;
            self.watcher.look(&self.servers, &self.log)?;
        }
        Ok(())
    }

    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<(), String> {
        let ends_at = Instant::now() + CONVERGES_WITHIN;
        while !is_so(self) {
            if Instant::now() >= ends_at {
                return Err(format!("not within {CONVERGES_WITHIN:?}: {what}; {}", self.statuses()));
            }
            self.watch_for(Duration::from_millis(20)).await?;
        }
        Ok(())
    }

    fn statuses(&self) -> String {
        let contacts = self.servers.iter().filter_map(Server::contact);
        contacts.map(|contact| format!("{:?}; ", contact.node.status())).collect()
    }

    /// **O6**.
    async fn converge(&mut self, clients: Vec<tokio::task::JoinHandle<()>>) -> Result<(), String> {
        self.until("every client has its receipt", |_| clients.iter().all(|client| client.is_finished()))
            .await?;
        let acknowledged =
            self.told.with(|writes| writes.receipts.values().map(|receipt| receipt.last_seq).max());
        let acknowledged = acknowledged.unwrap_or(0);
        self.until("all nodes have applied what was acknowledged, and as much", |cluster| {
            let applied =
                |server: &Server| server.contact().map(|contact| contact.node.replica().applied_hash());
            let first = applied(&cluster.servers[0]);
            first.is_some_and(|(last_seq, _)| last_seq >= acknowledged)
                && cluster.servers.iter().all(|server| applied(server) == first)
        })
        .await
    }

    async fn outcome(mut self) -> Result<ClusterOutcome, String> {
        let (receipts, retries) = self.told.with(|writes| (writes.receipts.len() as u64, writes.retries));
        for at in 0..self.servers.len() {
            self.end(at, End::Kill);
        }
        sleep(Duration::from_secs(60)).await;
        Ok(ClusterOutcome {
            hash: self.log.hash(),
            receipts,
            retries,
            elections: self.watcher.elections(),
            snapshots: self.network.snapshots(),
            faults: self.faults,
        })
    }
}
