//! One node of the cluster: its disk, and what runs on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapebook::replica::{NewReplica, Replica};
use tapebook::{Options, WalOptions};
use tapebook_replication::{Disk, Node, NodeOptions, SyncTime};
use tapebook_vfs::MemoryVfs;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::network::{Life, Network};
use crate::random::Random;

/// How often a node's clock is moved and its database looked after.
const TICK: Duration = Duration::from_millis(10);

/// A node, running or not.
pub(super) struct Server {
    pub node_id: u64,
    pub disk: MemoryVfs,
    lives: u64,
    random: Random,
    /// Microseconds that a write and sync takes.
    sync_micros: Arc<AtomicU64>,
    log_entries_kept: u64,
    pub running: Option<Running>,
}

/// A node in one of its lives.
pub(super) struct Running {
    pub life: Life,
    pub node: Arc<Node>,
    ended: watch::Sender<bool>,
    upkeep: JoinHandle<()>,
}

/// What a client holds of a running node.
#[derive(Clone)]
pub(super) struct Contact {
    pub node: Arc<Node>,
    ended: watch::Receiver<bool>,
}

impl Contact {
    /// Waits until the node is dead.
    pub async fn ends(&mut self) {
        // A sender that is gone ended, too.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }
}

/// How a life ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// The process is killed; what it wrote stays in the cache.
    Kill,
    /// The power fails; what was not synced is there in part.
    PowerCut,
}

impl Server {
    pub fn new(node_id: u64, log_entries_kept: u64, mut random: Random) -> Self {
        Self {
            node_id,
            disk: MemoryVfs::new(random.bits()),
            lives: 0,
            random,
            sync_micros: Arc::new(AtomicU64::new(200)),
            log_entries_kept,
            running: None,
        }
    }

    /// Starts the node; `new` where its disk is empty and it is not the first one of all.
    pub async fn start(&mut self, network: &Network, new: Option<NewReplica>) -> Result<(), String> {
        assert!(self.running.is_none(), "a node runs once");
        self.lives += 1;
        let life = Life { node_id: self.node_id, number: self.lives };
        let options = NodeOptions {
            disk: Disk::Simulated(Arc::new(SimSyncTime {
                random: Mutex::new(Random::new(self.random.bits())),
                micros: Arc::clone(&self.sync_micros),
            })),
            seed: self.random.bits(),
            log_entries_kept: self.log_entries_kept,
            ..NodeOptions::default()
        };
        let database = options_of(&self.disk);
        let open = |consensus| Replica::open("/data", database, consensus, new);
        let node =
            Node::start(options, network.transport(life), open).await.map_err(|error| error.to_string())?;
        let node = Arc::new(node);
        network.join(life, Arc::clone(&node));
        let upkeep =
            tokio::spawn(upkeep(Arc::clone(&node), self.disk.clone(), Random::new(self.random.bits())));
        self.running = Some(Running { life, node, ended: watch::Sender::new(false), upkeep });
        Ok(())
    }

    /// Ends the node. What it did on its disk until now is what the next life finds.
    pub fn end(&mut self, network: &Network, end: End) {
        let Some(Running { node, ended, upkeep, .. }) = self.running.take() else { return };
        network.leave(self.node_id);
        ended.send_replace(true);
        upkeep.abort();
        // The dead node's tasks go on for a moment, on a disk that nobody else sees.
        let disk = self.disk.fork();
        match end {
            End::Kill => disk.crash_process(),
            End::PowerCut => drop(disk.crash(self.random.bits())),
        }
        self.disk = disk;
        tokio::spawn(async move { node.stop().await });
    }

    /// How long the node's disk takes from now on, in microseconds.
    pub fn set_sync_micros(&self, micros: u64) {
        self.sync_micros.store(micros, Ordering::Relaxed);
    }

    pub fn contact(&self) -> Option<Contact> {
        let running = self.running.as_ref()?;
        Some(Contact { node: Arc::clone(&running.node), ended: running.ended.subscribe() })
    }
}

fn options_of(disk: &MemoryVfs) -> Options {
    Options {
        vfs: Arc::new(disk.clone()),
        background: false,
        wal: WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 32 << 10, ..WalOptions::default() },
        memtable_bytes: 32 << 10,
        journal_retention: Some(Duration::from_secs(24 * 60 * 60)),
        command: "a simulation".to_owned(),
        ..Options::default()
    }
}

/// Moves the node's clock, and flushes and compacts now and then, as threads would.
async fn upkeep(node: Arc<Node>, disk: MemoryVfs, mut random: Random) {
    loop {
        sleep(TICK).await;
        tapebook_vfs::Vfs::clock(&disk).sleep(TICK);
        let db = node.replica().db();
        if db.stats().frozen_memtables > 0 || random.below(200) == 0 {
            // A flush that fails is tried again, as ever.
            let _ = db.flush();
        }
        if random.below(100) == 0 {
            let _ = db.compact(tapebook::CompactionGoal::Bounded);
        }
    }
}

struct SimSyncTime {
    random: Mutex<Random>,
    micros: Arc<AtomicU64>,
}

impl SyncTime for SimSyncTime {
    fn next(&self) -> Duration {
        let micros = self.micros.load(Ordering::Relaxed);
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_micros(random.within(micros / 2..micros * 2))
    }
}
