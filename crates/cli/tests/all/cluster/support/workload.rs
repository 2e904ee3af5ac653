//! Producers that write while faults happen.
//!
//! Each is a task with its own id that has a few batches on its way. The client tries again by itself where it may; an error that
//! reaches a producer fails the test.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapebook_client::{Client, ClientOptions, Producer, ProducerError, ProducerOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ledger::Ledger;
use super::{PATIENCE, within};

/// Batches of one producer on their way.
const IN_FLIGHT: usize = 4;
/// Producers that share a connection.
const PER_CLIENT: u64 = 8;

/// Who writes, and how fast.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) producers: u64,
    /// Between two batches of one producer.
    pub(crate) pause: Duration,
}

/// Producers at work.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) ledger: Arc<Ledger>,
    goes_on: watch::Sender<bool>,
    producers: JoinSet<Result<(), String>>,
}

impl Workload {
    pub(crate) async fn start(options: ClientOptions, plan: Plan) -> Self {
        let ledger = Arc::new(Ledger::default());
        let (goes_on, going) = watch::channel(true);
        let mut producers = JoinSet::new();
        let mut client = None;
        for id in 1..=plan.producers {
            if (id - 1) % PER_CLIENT == 0 {
                client = Some(Client::connect(options.clone()).await.unwrap());
            }
            let client = client.clone().unwrap();
            producers.spawn(produce(client, id, plan.pause, Arc::clone(&ledger), going.clone()));
        }
        let mut workload = Self { ledger, goes_on, producers };
        workload.all_write_within(PATIENCE, Instant::now()).await;
        workload
    }

    /// A producer that writes one batch now and then.
    pub(crate) async fn writer(&self, client: &Client, id: u64) -> Result<Writer, ProducerError> {
        let producer = client.producer(ProducerOptions::new(id)).await?;
        Ok(Writer { producer, ledger: Arc::clone(&self.ledger) })
    }

    /// Fails where a producer has.
    pub(crate) fn check(&mut self) {
        if let Some(ended) = self.producers.try_join_next() {
            panic!("a producer has ended: {:?}", ended.unwrap());
        }
    }

    /// Waits until a batch that was sent after a moment has its receipt, and says how long after the moment that was.
    pub(crate) async fn writes_within(&mut self, bound: Duration, since: Instant) -> Duration {
        let ledger = Arc::clone(&self.ledger);
        within(bound, "a write is acknowledged", async || {
            self.check();
            (ledger.have_written_since(since) > 0).then(|| since.elapsed())
        })
        .await
    }

    /// The same for every producer.
    pub(crate) async fn all_write_within(&mut self, bound: Duration, since: Instant) -> Duration {
        let (ledger, all) = (Arc::clone(&self.ledger), self.producers.len());
        within(bound, "every producer has a write acknowledged", async || {
            self.check();
            (ledger.have_written_since(since) >= all).then(|| since.elapsed())
        })
        .await
    }

    /// Ends the producers when everything that they sent is acknowledged.
    pub(crate) async fn stop(mut self) -> Arc<Ledger> {
        self.goes_on.send_replace(false);
        while let Some(ended) = self.producers.join_next().await {
            ended.unwrap().unwrap_or_else(|error| panic!("{error}"));
        }
        self.ledger
    }
}

/// A producer that writes one batch now and then.
#[derive(Debug)]
pub(crate) struct Writer {
    producer: Producer,
    ledger: Arc<Ledger>,
}

impl Writer {
    pub(crate) async fn write(&self) {
        let (sent, at) = (self.ledger.next(self.producer.id()), Instant::now());
        let receipt = self.producer.append(sent.batch()).await.unwrap().await.unwrap();
        self.ledger.acknowledged(sent, at, receipt);
    }
}

async fn produce(
    client: Client,
    id: u64,
    pause: Duration,
    ledger: Arc<Ledger>,
    mut goes_on: watch::Receiver<bool>,
) -> Result<(), String> {
    let failed = |error: ProducerError| format!("producer {id}: {error}");
    let producer = client.producer(ProducerOptions::new(id)).await.map_err(failed)?;
    let mut waiting = VecDeque::new();
    loop {
        let goes_on_now = *goes_on.borrow_and_update();
        while goes_on_now && waiting.len() < IN_FLIGHT {
            let (sent, at) = (ledger.next(id), Instant::now());
            waiting.push_back((sent, at, producer.append(sent.batch()).await.map_err(failed)?));
        }
        let Some((sent, at, appended)) = waiting.pop_front() else { return Ok(()) };
        let receipt = appended.await.map_err(|error| format!("{sent:?}: {error}"))?;
        ledger.acknowledged(sent, at, receipt);
        if goes_on_now {
            tokio::time::sleep(pause).await;
        }
    }
}
