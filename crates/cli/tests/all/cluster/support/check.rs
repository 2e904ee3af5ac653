//! Whether the journal holds what it must and nothing else.
//!
//! - every batch with a receipt is at the sequences of its receipt, with its rows;
//! - sequences are dense from 1;
//! - nothing is there that nobody sent, and nothing twice;
//! - the batches of one producer are there in order, none left out;
//! - all nodes that run hold the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tapebook_client::JournalBatch;

use super::journal::{self, CONVERGENCE_TIME_MAX};
use super::ledger::{Ledger, Sent};
use super::watch::Seen;
use super::{TestCluster, within};

/// Reads a journal from its begin, perhaps in several goes, and compares it with what producers know.
#[derive(Debug)]
pub(crate) struct Checked {
    ledger: Arc<Ledger>,
    /// Rows up to this one were there before the producers began.
    before_seq: u64,
    next_seq: u64,
    /// The last batch that was found of each producer.
    found: BTreeMap<u64, u64>,
}

impl Checked {
    pub(crate) fn new(ledger: &Arc<Ledger>, before_seq: u64) -> Self {
        Self { ledger: Arc::clone(ledger), before_seq, next_seq: 1, found: BTreeMap::new() }
    }

    /// Reads on, at one node, as far as there are receipts at this moment.
    pub(crate) async fn read_on(&mut self, cluster: &TestCluster, node: u64) {
        let through = self.ledger.last_seq();
        self.read_through(cluster, node, through).await;
    }

    async fn read_through(&mut self, cluster: &TestCluster, node: u64, through: u64) {
        let accounts = self.ledger.accounts();
        let client = cluster.client_of(node).await;
        let (mut batches, from) = (Vec::new(), self.next_seq);
        journal::read(&client, from, through, |batch| {
            self.take_order(batch, node);
            if batch.last_seq() > self.before_seq {
                batches.push((Sent::found(batch), batch.first_seq(), batch.last_seq()));
            }
        })
        .await;
        // What was found may have been sent, and got its receipt, while it was read.
        let now = self.ledger.accounts();
        for (sent, first_seq, last_seq) in batches {
            let sent = sent.unwrap_or_else(|error| panic!("node {node}: {error}"));
            let account = &now[&sent.producer];
            let before = self.found.insert(sent.producer, sent.number).unwrap_or(0);
            assert_eq!(sent.number, before + 1, "node {node}, seq {first_seq}: {sent:?} is out of order");
            assert!(sent.number <= account.sent, "node {node}, seq {first_seq}: nobody sent {sent:?}");
            if let Some(receipt) = account.acknowledged.get(usize::try_from(before).unwrap()) {
                let (is, promised) = ((first_seq, last_seq), (receipt.first_seq, receipt.last_seq));
                assert_eq!(is, promised, "node {node}: {sent:?} is not where its receipt says");
            }
        }
        for (producer, account) in accounts {
            let found = self.found.get(&producer).copied().unwrap_or(0);
            let acknowledged =
                account.acknowledged.iter().take_while(|receipt| receipt.last_seq <= through).count();
            assert!(
                found >= acknowledged as u64,
                "node {node}: producer {producer} has {acknowledged} receipts, and {found} batches are there"
            );
        }
    }

    fn take_order(&mut self, batch: &JournalBatch, node: u64) {
        assert_eq!(batch.first_seq(), self.next_seq, "node {node}: sequences are not dense");
        self.next_seq = batch.last_seq() + 1;
    }
}

/// Waits until all nodes that run hold the same, then reads all of it on each of them.
pub(crate) async fn check_everything(cluster: &TestCluster, ledger: &Arc<Ledger>, before_seq: u64) {
    let since = Instant::now();
    let last_seq = converged(cluster, ledger.last_seq()).await;
    let (took, since) = (since.elapsed(), Instant::now());
    for node in cluster.running() {
        let mut checked = Checked::new(ledger, before_seq);
        checked.read_through(cluster, node, last_seq).await;
        assert_eq!(checked.next_seq, last_seq + 1, "node {node}");
    }
    cluster.check_watch();
    eprintln!(
        "{} batches, {last_seq} rows; equal on all nodes after {:.1} s, read on all in {:.1} s; slowest write {:.2} s; {}",
        ledger.count(),
        took.as_secs_f32(),
        since.elapsed().as_secs_f32(),
        ledger.slowest().as_secs_f32(),
        cluster.watch.in_words(),
    );
}

/// Waits until all nodes hold the same, with everything that was acknowledged; the last sequence.
async fn converged(cluster: &TestCluster, acknowledged: u64) -> u64 {
    let running = cluster.running();
    within(CONVERGENCE_TIME_MAX, "all nodes hold the same", async || {
        let seen: Option<Vec<Seen>> = running.iter().map(|id| cluster.watch.now(*id)).collect();
        let seen = seen?;
        let holds = |seen: &Seen| (seen.applied_seq, seen.applied_index, seen.rolling_hash.clone());
        let same = seen.iter().all(|other| holds(other) == holds(&seen[0]));
        (same && seen[0].applied_seq >= acknowledged).then_some(seen[0].applied_seq)
    })
    .await
}
