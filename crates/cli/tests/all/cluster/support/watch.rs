//! Looks at every node the whole time: what it says of itself must never go back.
//!
//! Nodes are asked who they are, as nodes ask each other. The status of the cluster would be another way, but for that the node
//! asks all others, and one that does not answer keeps it waiting.
//!
//! Two nodes may lead in one term, one after the other: leaders are ordered by term and node, and a node that has voted for one may still vote
//! for a greater one. So that is counted, and is no fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tapebook_client::{Client, ClientOptions};
use tapebook_proto::v1::cluster_client::ClusterClient;
use tapebook_proto::v1::{IntroduceRequest, IntroduceResponse, NodeRole};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

use super::certificates::Certificates;
use super::node::Place;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What was seen longer ago is not what is.
const FRESH: Duration = Duration::from_secs(1);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// What a node said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) node_id: u64,
    pub(crate) leads: bool,
    pub(crate) term: u64,
    pub(crate) commit_index: u64,
    pub(crate) applied_index: u64,
    pub(crate) applied_seq: u64,
    pub(crate) rolling_hash: Vec<u8>,
    /// 0 where it knows none.
    pub(crate) leader_id: u64,
    pub(crate) cluster_id: Vec<u8>,
    pub(crate) voters: Vec<u64>,
    pub(crate) life: u64,
    at: Instant,
}

/// Watches nodes until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    certificates: Certificates,
    places: BTreeMap<u64, Arc<Place>>,
    shared: Arc<Mutex<Shared>>,
    tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    last: BTreeMap<u64, Seen>,
    /// Who led, by cluster and term.
    leaders: BTreeMap<(Vec<u8>, u64), BTreeSet<u64>>,
    looks: u64,
    faults: Vec<String>,
}

impl Watch {
    pub(crate) fn new(certificates: Certificates) -> Self {
        Self { certificates, places: BTreeMap::new(), shared: Arc::default(), tasks: JoinSet::new() }
    }

    /// Watches one more node.
    pub(crate) fn follow(&mut self, place: &Arc<Place>) {
        self.places.insert(place.node_id, Arc::clone(place));
        self.tasks.spawn(follow(Arc::clone(place), self.observer(place), Arc::clone(&self.shared)));
    }

    fn observer(&self, place: &Place) -> Observer {
        let mut options = self.certificates.observer(&format!("grpcs://{}", place.address));
        (options.retry_for, options.connect_time_max) = (Duration::ZERO, ANSWER_TIME_MAX);
        Observer { options, connected: None }
    }

    /// Waits until a node says that it leads, and asks it more often than the watch does.
    pub(crate) async fn begins_to_lead(&self, node_id: u64, ask_every: Duration) {
        let place = &self.places[&node_id];
        let mut observer = self.observer(place);
        while !observer
            .ask()
            .await
            .and_then(|answer| Seen::of(answer, place.life()))
            .is_some_and(|seen| seen.leads)
        {
            sleep(ask_every).await;
        }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a node said a moment ago, in the life that it has now.
    pub(crate) fn now(&self, node_id: u64) -> Option<Seen> {
        let life = self.places.get(&node_id)?.life();
        let is_now = |seen: &&Seen| seen.life == life && seen.at.elapsed() < FRESH;
        self.shared().last.get(&node_id).filter(is_now).cloned()
    }

    /// What went back that must not.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared().faults.clone()
    }

    /// How many answers there were, and in how many terms a node led.
    pub(crate) fn in_words(&self) -> String {
        let shared = self.shared();
        let several = shared.leaders.values().filter(|leaders| leaders.len() > 1).count();
        format!(
            "{} looks at nodes, {} terms with a leader, {several} of them with two",
            shared.looks,
            shared.leaders.len()
        )
    }
}

/// Asks one node who it is.
#[derive(Debug)]
struct Observer {
    options: ClientOptions,
    connected: Option<Channel>,
}

impl Observer {
    /// `None` where it does not answer.
    async fn ask(&mut self) -> Option<IntroduceResponse> {
        let answer = timeout(ANSWER_TIME_MAX, self.ask_however_long()).await.ok().flatten();
        if answer.is_none() {
            self.connected = None;
        }
        answer
    }

    async fn ask_however_long(&mut self) -> Option<IntroduceResponse> {
        let channel = match &self.connected {
            Some(channel) => channel.clone(),
            None => {
                let client = Client::connect(self.options.clone()).await.ok()?;
                self.connected.insert(client.channel().await.ok()?).clone()
            }
        };
        let answer = ClusterClient::new(channel).introduce(IntroduceRequest { protocol: 1 }).await;
        answer.ok().map(tonic::Response::into_inner)
    }
}

async fn follow(place: Arc<Place>, mut observer: Observer, shared: Arc<Mutex<Shared>>) {
    loop {
        let life = place.life();
        // Where it was started meanwhile it is not known which of both has answered.
        if let Some(seen) = observer.ask().await.and_then(|answer| Seen::of(answer, life))
            && place.life() == life
        {
            shared.lock().unwrap_or_else(PoisonError::into_inner).note(seen);
        }
        sleep(LOOK_EVERY).await;
    }
}

impl Seen {
    /// `None` of a node that waits to join.
    fn of(answer: IntroduceResponse, life: u64) -> Option<Self> {
        let state = answer.state?;
        let voters = answer.members.iter().filter(|member| member.votes);
        Some(Self {
            node_id: answer.node_id,
            leads: state.role() == NodeRole::Leader,
            term: state.term,
            commit_index: state.commit_index,
            applied_index: state.applied_index,
            applied_seq: state.applied_seq,
            rolling_hash: state.rolling_hash.to_vec(),
            leader_id: answer.leader_id,
            cluster_id: answer.cluster_id.to_vec(),
            voters: voters.map(|member| member.node_id).collect(),
            life,
            at: Instant::now(),
        })
    }
}

impl Shared {
    fn note(&mut self, seen: Seen) {
        self.looks += 1;
        if seen.leads {
            self.leaders.entry((seen.cluster_id.clone(), seen.term)).or_default().insert(seen.node_id);
        }
        if let Some(before) = self.last.get(&seen.node_id) {
            let mut went_back = Vec::new();
            if seen.term < before.term {
                went_back.push(("term", before.term, seen.term));
            }
            if seen.life == before.life {
                let numbers = [
                    ("commit index", before.commit_index, seen.commit_index),
                    ("applied index", before.applied_index, seen.applied_index),
                    ("applied sequence", before.applied_seq, seen.applied_seq),
                ];
                went_back.extend(numbers.into_iter().filter(|(_, before, now)| now < before));
            }
            for (what, before, now) in went_back {
                self.faults
                    .push(format!("node {}: the {what} went back from {before} to {now}", seen.node_id));
            }
        }
        self.last.insert(seen.node_id, seen);
    }
}
