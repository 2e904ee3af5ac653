//! What consensus costs: the same synced batches through the engine alone, through one node and through three.
//!
//! Each node's consensus has a thread of its own, as in a server. Three nodes are in this process and share its disk and
//! processors; messages between them are handed from one runtime to another, without encoding and network.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tapebook::replica::{NewReplica, Replica, ReplicaSnapshot};
use tapebook::{Db, Options};
use tapebook_replication::{
    AppendAnswer, AppendRequest, Lane, Node, NodeError, NodeOptions, Peer, PeerError, Role, TransferRequest,
    Transport, VoteAnswer, VoteRequest,
};
use tapebook_wal::Vote;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::measure::{Cost, Runs, cost, mean, median};
use crate::report::Line;
use crate::setting::Setting;
use crate::{AnyError, input};

/// Tasks, and batches that each has in flight.
const LOADS: [(usize, usize); 5] = [(1, 1), (8, 1), (64, 1), (256, 1), (64, 16)];
const SLICES: u64 = 6;
const SLICE: Duration = Duration::from_millis(200);

/// Thousands of synced batches of one trade a second.
pub fn one_and_three(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let alone = Arc::new(Cluster::default());
    let together = Arc::new(Cluster::default());
    let writers = Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let db = Arc::new(Db::open(dir.path().join("db"))?);
    let one = Started::new(&alone, &dir.path().join("one"), 1, None)?;
    one.leads()?;
    let mut three = vec![Started::new(&together, &dir.path().join("three-1"), 1, None)?];
    three[0].leads()?;
    for node_id in 2..=3 {
        let new = NewReplica { cluster_id: three[0].node.replica().cluster_id(), node_id, epoch: 1 };
        three.push(Started::new(
            &together,
            &dir.path().join(format!("three-{node_id}")),
            node_id,
            Some(new),
        )?);
        let leader = Arc::clone(&three[0].node);
        writers.block_on(async move { leader.add_learner(node_id, "here").await })?;
    }
    writers.block_on(three[0].node.set_voters(&[1, 2, 3], false))?;

    let targets =
        [Target::Alone(db), Target::Node(Arc::clone(&one.node)), Target::Node(Arc::clone(&three[0].node))];
    let mut rates = vec![vec![Runs::default(); targets.len()]; LOADS.len()];
    let mut cpu = vec![vec![Vec::new(); targets.len()]; LOADS.len()];
    for _ in 0..setting.runs {
        for (load, (tasks, in_flight)) in LOADS.into_iter().enumerate() {
            let mut slices = vec![Vec::new(); targets.len()];
            for slice in 0..setting.size(SLICES) {
                for at in (0..targets.len()).map(|at| (at + slice as usize) % targets.len()) {
                    let (took, count) = write_slice(&writers, &targets[at], tasks, in_flight)?;
                    slices[at].push(count as f64 / took.wall_seconds / 1e3);
                    cpu[load][at].push(took.cpu_seconds * 1e6 / count as f64);
                }
            }
            for (rates, slices) in rates[load].iter_mut().zip(&slices) {
                rates.push(median(slices));
            }
        }
    }
    for (load, (tasks, in_flight)) in LOADS.into_iter().enumerate() {
        for (at, what) in [(1, "one node"), (2, "three nodes, in one process")] {
            Line {
                what: &format!("{what}: {tasks} tasks with {in_flight} in flight"),
                unit: "k/s",
                measured: &rates[load][at],
                baseline: Some(("`Db::submit`, as many", &rates[load][0])),
                note: format!(
                    "CPU {:.1} µs a batch, engine alone {:.1} µs",
                    mean(&cpu[load][at]),
                    mean(&cpu[load][0])
                ),
            }
            .print();
        }
    }
    Ok(())
}

enum Target {
    Alone(Arc<Db>),
    Node(Arc<Node>),
}

impl Target {
    fn db(&self) -> &Db {
        match self {
            Self::Alone(db) => db,
            Self::Node(node) => node.replica().db(),
        }
    }

    fn share(&self) -> Self {
        match self {
            Self::Alone(db) => Self::Alone(Arc::clone(db)),
            Self::Node(node) => Self::Node(Arc::clone(node)),
        }
    }
}

fn write_slice(
    runtime: &Runtime,
    target: &Target,
    tasks: usize,
    in_flight: usize,
) -> Result<(Cost, u64), AnyError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (took, counts) = cost(|| {
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            running.spawn_on(write(target.share(), Arc::clone(&stop), in_flight), runtime.handle());
        }
        thread::sleep(SLICE);
        stop.store(true, Ordering::Relaxed);
        runtime.block_on(running.join_all())
    });
    Ok((took, counts.into_iter().sum::<Result<u64, AnyError>>()?))
}

async fn write(target: Target, stop: Arc<AtomicBool>, in_flight: usize) -> Result<u64, AnyError> {
    let batches = stream::repeat(()).take_while(|()| {
        let going = !stop.load(Ordering::Relaxed);
        async move { going }
    });
    let pending = batches.map(|()| Ok::<_, AnyError>(target.db().submit(input::next_trade()?.encode())?));
    let receipts = pending.map_ok(|pending| async { Ok(pending.await?) }).try_buffered(in_flight);
    receipts.try_fold(0, |count, _| async move { Ok(count + 1) }).await
}

/// A node with a thread of its own.
struct Started {
    node: Arc<Node>,
}

impl Started {
    fn new(
        cluster: &Arc<Cluster>,
        dir: &Path,
        node_id: u64,
        new: Option<NewReplica>,
    ) -> Result<Self, AnyError> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name(format!("consensus-{node_id}"))
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        let (dir, transport) = (dir.to_owned(), Arc::new(InProcess { cluster: Arc::clone(cluster) }));
        let (sender, started) = std::sync::mpsc::sync_channel(1);
        handle.spawn(async move {
            let options = NodeOptions { seed: node_id, log_entries_kept: u64::MAX, ..NodeOptions::default() };
            let open = |consensus| Replica::open(dir, Options::default(), consensus, new);
            let _ = sender.send(Node::start(options, transport, open).await);
        });
        let node = Arc::new(started.recv()??);
        cluster.nodes.lock().map_err(|_| "poisoned")?.insert(node_id, (Arc::clone(&node), handle));
        Ok(Self { node })
    }

    fn leads(&self) -> Result<(), AnyError> {
        let begun = Instant::now();
        while self.node.status().role != Role::Leader {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err(format!("no leader: {:?}", self.node.status()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        // The intake hears of it a moment later.
        thread::sleep(Duration::from_millis(50));
        Ok(())
    }
}

#[derive(Default)]
struct Cluster {
    nodes: Mutex<HashMap<u64, (Arc<Node>, Handle)>>,
}

struct InProcess {
    cluster: Arc<Cluster>,
}

impl Transport for InProcess {
    fn connect(&self, node_id: u64, _: &str, _: Lane) -> Arc<dyn Peer> {
        Arc::new(Reached { cluster: Arc::clone(&self.cluster), node_id })
    }
}

struct Reached {
    cluster: Arc<Cluster>,
    node_id: u64,
}

impl Reached {
    fn call<T: Send + 'static, F>(
        &self,
        ask: impl FnOnce(Arc<Node>) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<T, PeerError>>
    where
        F: Future<Output = Result<T, NodeError>> + Send + 'static,
    {
        let node_id = self.node_id;
        let error = move |reason: String| PeerError { node_id, address: "here".to_owned(), reason };
        let found = self.cluster.nodes.lock().ok().and_then(|nodes| nodes.get(&node_id).cloned());
        async move {
            let (node, handle) = found.ok_or_else(|| error("not started".to_owned()))?;
            let answer = handle.spawn(ask(node)).await.map_err(|gone| error(gone.to_string()))?;
            answer.map_err(|refusal| error(refusal.to_string()))
        }
        .boxed()
    }
}

impl Peer for Reached {
    fn append(
        &self,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxFuture<'static, Result<BoxStream<'static, Result<AppendAnswer, PeerError>>, PeerError>> {
        let node_id = self.node_id;
        let answers = self.call(|node| async move { Ok(node.append(requests)) });
        async move {
            let error = move |refusal: NodeError| PeerError {
                node_id,
                address: "here".to_owned(),
                reason: refusal.to_string(),
            };
            Ok(answers.await?.map_err(error).boxed())
        }
        .boxed()
    }

    fn append_once(&self, request: AppendRequest) -> BoxFuture<'static, Result<AppendAnswer, PeerError>> {
        self.call(|node| async move { node.append_once(request).await })
    }

    fn vote(&self, request: VoteRequest) -> BoxFuture<'static, Result<VoteAnswer, PeerError>> {
        self.call(move |node| async move { node.vote(request).await })
    }

    fn pre_vote(&self, request: VoteRequest) -> BoxFuture<'static, Result<VoteAnswer, PeerError>> {
        self.call(move |node| async move { node.pre_vote(request).await })
    }

    fn send_snapshot(&self, _: Vote, _: Arc<ReplicaSnapshot>) -> BoxFuture<'static, Result<Vote, PeerError>> {
        // The log is kept whole for as long as this runs.
        let (node_id, reason) = (self.node_id, "snapshots are not sent here".to_owned());
        async move { Err(PeerError { node_id, address: "here".to_owned(), reason }) }.boxed()
    }

    fn transfer(&self, request: TransferRequest) -> BoxFuture<'static, Result<(), PeerError>> {
        self.call(move |node| async move { node.transfer(request).await })
    }
}
