//! A network that is made up: every message takes its time, links are cut and healed, connections break.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use tapebook::replica::ReplicaSnapshot;
use tapebook_replication::{
    AppendAnswer, AppendRequest, Lane, Node, NodeError, Peer, PeerError, SILENCE_MAX, TransferRequest,
    Transport, VoteAnswer, VoteRequest,
};
use tapebook_wal::Vote;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::log::Log;
use crate::random::Random;

/// Who cannot be reached answers nothing; whoever waits gives up after so long.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of a snapshot that are sent at a time.
const PIECE_BYTES: usize = 16 << 10;
/// Requests on a connection that were not taken in yet, at most.
const ON_THE_WAY_MAX: usize = 64;

/// A node in one of its lives: who is started again is somebody else.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Life {
    pub node_id: u64,
    pub number: u64,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub(super) struct Network {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    random: Random,
    alive: BTreeMap<u64, (Life, Arc<Node>)>,
    /// Links that carry nothing, from and to.
    cut: BTreeSet<(u64, u64)>,
    /// The usual time of a message, and now and then a much longer one.
    delay_micros: std::ops::Range<u64>,
    slow_percent: u64,
    trace: Log,
    snapshots: u64,
}

impl Network {
    pub fn new(random: Random, trace: Log) -> Self {
        let shared = Shared {
            random,
            alive: BTreeMap::new(),
            cut: BTreeSet::new(),
            delay_micros: 50..500,
            slow_percent: 0,
            trace,
            snapshots: 0,
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transport of a node in one of its lives.
    pub fn transport(&self, from: Life) -> Arc<dyn Transport> {
        Arc::new(SimTransport { network: self.clone(), from })
    }

    pub fn join(&self, life: Life, node: Arc<Node>) {
        self.lock().alive.insert(life.node_id, (life, node));
    }

    pub fn leave(&self, node_id: u64) {
        self.lock().alive.remove(&node_id);
    }

    pub fn cut(&self, from: u64, to: u64) {
        self.lock().cut.insert((from, to));
    }

    pub fn heal(&self) {
        let mut shared = self.lock();
        shared.cut.clear();
        (shared.delay_micros, shared.slow_percent) = (50..500, 0);
    }

    pub fn be_slow(&self, delay_micros: std::ops::Range<u64>, slow_percent: u64) {
        let mut shared = self.lock();
        (shared.delay_micros, shared.slow_percent) = (delay_micros, slow_percent);
    }

    fn snapshot_installed(&self, node_id: u64) {
        let mut shared = self.lock();
        shared.snapshots += 1;
        shared.trace.line(format_args!("node {node_id} has a snapshot in place"));
    }

    /// Snapshots that were sent and installed.
    pub fn snapshots(&self) -> u64 {
        self.lock().snapshots
    }

    /// How long the next message takes.
    fn delay(&self) -> Duration {
        let mut shared = self.lock();
        let range = shared.delay_micros.clone();
        let mut micros = shared.random.within(range);
        let slow = shared.slow_percent;
        if shared.random.chance(slow) {
            micros *= 20;
        }
        Duration::from_micros(micros)
    }

    /// The node that a message of `from` reaches now; `None` where the link is cut, or either of them is dead.
    fn reached(&self, from: Life, to: u64, what: &str) -> Option<Arc<Node>> {
        let shared = self.lock();
        let lives = shared.alive.get(&from.node_id).is_some_and(|(life, _)| *life == from);
        let open = lives && !shared.cut.contains(&(from.node_id, to));
        let node = shared.alive.get(&to).filter(|_| open).map(|(_, node)| Arc::clone(node));
        let reaches = node.is_some();
        shared.trace.hidden(format_args!("{from:?} {to} {what} {reaches}"));
        node
    }

    /// True where an answer of `to` gets back.
    fn gets_back(&self, from: Life, to: u64) -> bool {
        let shared = self.lock();
        let lives = |node_id: u64| shared.alive.get(&node_id).map(|(life, _)| *life);
        lives(from.node_id) == Some(from) && lives(to).is_some() && !shared.cut.contains(&(to, from.node_id))
    }
}

struct SimTransport {
    network: Network,
    from: Life,
}

impl Transport for SimTransport {
    fn connect(&self, node_id: u64, address: &str, _: Lane) -> Arc<dyn Peer> {
        Arc::new(SimPeer {
            network: self.network.clone(),
            from: self.from,
            to: node_id,
            address: address.into(),
        })
    }
}

#[derive(Clone)]
struct SimPeer {
    network: Network,
    from: Life,
    to: u64,
    address: Arc<str>,
}

impl SimPeer {
    fn error(&self, reason: impl ToString) -> PeerError {
        PeerError { node_id: self.to, address: self.address.to_string(), reason: reason.to_string() }
    }

    /// One message there and one back. Who is not reached is silent.
    fn call<T: Send + 'static, F>(
        &self,
        what: &'static str,
        ask: impl FnOnce(Arc<Node>) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<T, PeerError>>
    where
        F: Future<Output = Result<T, NodeError>> + Send,
    {
        let peer = self.clone();
        async move {
            sleep(peer.network.delay()).await;
            let Some(node) = peer.network.reached(peer.from, peer.to, what) else {
                sleep(SILENCE).await;
                return Err(peer.error("no connection"));
            };
            let answer = ask(node).await;
            sleep(peer.network.delay()).await;
            if !peer.network.gets_back(peer.from, peer.to) {
                sleep(SILENCE).await;
                return Err(peer.error("no answer"));
            }
            answer.map_err(|error| peer.error(error))
        }
        .boxed()
    }
}

impl Peer for SimPeer {
    fn append(
        &self,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxFuture<'static, Result<BoxStream<'static, Result<AppendAnswer, PeerError>>, PeerError>> {
        let peer = self.clone();
        async move {
            sleep(peer.network.delay()).await;
            let Some(node) = peer.network.reached(peer.from, peer.to, "connect") else {
                sleep(SILENCE).await;
                return Err(peer.error("no connection"));
            };
            let (arriving, arrived) = mpsc::channel(ON_THE_WAY_MAX);
            let sender = peer.clone();
            tokio::spawn(async move { sender.send_in_order(requests, arriving).await });
            let arrived = stream::unfold(arrived, |mut arrived| async move {
                let request = arrived.recv().await?;
                Some((request, arrived))
            });
            let answers = node.append(arrived.boxed());
            let answers = answers.then(move |answer| {
                let peer = peer.clone();
                async move {
                    sleep(peer.network.delay()).await;
                    if !peer.network.gets_back(peer.from, peer.to) {
                        sleep(SILENCE).await;
                        return Err(peer.error("no answer"));
                    }
                    answer.map_err(|error| peer.error(error))
                }
            });
            Ok(answers.boxed())
        }
        .boxed()
    }

    fn append_once(&self, request: AppendRequest) -> BoxFuture<'static, Result<AppendAnswer, PeerError>> {
        self.call("heartbeat", move |node| async move { node.append_once(request).await })
    }

    fn vote(&self, request: VoteRequest) -> BoxFuture<'static, Result<VoteAnswer, PeerError>> {
        self.call("vote", move |node| async move { node.vote(request).await })
    }

    fn pre_vote(&self, request: VoteRequest) -> BoxFuture<'static, Result<VoteAnswer, PeerError>> {
        self.call("pre-vote", move |node| async move { node.pre_vote(request).await })
    }

    fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Arc<ReplicaSnapshot>,
    ) -> BoxFuture<'static, Result<Vote, PeerError>> {
        let peer = self.clone();
        async move {
            let node = peer.reached("snapshot").await?;
            let said = |error: &dyn ToString| peer.error(error.to_string());
            let mut incoming = node.receive_snapshot(snapshot.description()).map_err(|error| said(&error))?;
            for (name, mut offset) in incoming.wanted() {
                let Some(part) = snapshot.parts().iter().find(|part| part.name == name) else { continue };
                while offset < part.bytes {
                    peer.reached("piece").await?;
                    let piece = part.read(offset, PIECE_BYTES).map_err(|error| said(&error))?;
                    incoming.write(&name, offset, &piece).map_err(|error| said(&error))?;
                    offset += piece.len() as u64;
                }
            }
            let received = incoming.finish().map_err(|error| said(&error))?;
            let node = peer.reached("install").await?;
            let vote = node.install_snapshot(vote, received).await.map_err(|error| said(&error))?;
            peer.network.snapshot_installed(peer.to);
            sleep(peer.network.delay()).await;
            if !peer.network.gets_back(peer.from, peer.to) {
                sleep(SILENCE_MAX).await;
                return Err(peer.error("no answer"));
            }
            Ok(vote)
        }
        .boxed()
    }

    fn transfer(&self, request: TransferRequest) -> BoxFuture<'static, Result<(), PeerError>> {
        self.call("transfer", move |node| async move { node.transfer(request).await })
    }
}

impl SimPeer {
    /// The node, after the time that a message takes.
    async fn reached(&self, what: &str) -> Result<Arc<Node>, PeerError> {
        sleep(self.network.delay()).await;
        match self.network.reached(self.from, self.to, what) {
            Some(node) => Ok(node),
            None => {
                sleep(SILENCE_MAX).await;
                Err(self.error("no connection"))
            }
        }
    }

    /// Requests arrive in their order, like on any connection, and none after one that was lost.
    async fn send_in_order(
        self,
        mut requests: BoxStream<'static, AppendRequest>,
        arriving: mpsc::Sender<AppendRequest>,
    ) {
        let mut arrives_at = Instant::now();
        while let Some(request) = requests.next().await {
            arrives_at = arrives_at.max(Instant::now() + self.network.delay());
            sleep_until(arrives_at).await;
            if self.network.reached(self.from, self.to, "entries").is_none()
                || arriving.send(request).await.is_err()
            {
                // Held until the reader gives up, so that the connection is silent and not closed.
                sleep(SILENCE).await;
                return;
            }
        }
    }
}
