//! A writer: numbered batches, sent again until each has its receipt.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapebook::{AppendError, Batch, EncodedBatch, Producer, Receipt, Trade};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::log::Log;
use super::server::Contact;
use crate::random::Random;

/// A client that hears nothing for so long asks somebody else.
const PATIENCE: Duration = Duration::from_secs(1);
const SYMBOLS: [&str; 5] = ["A", "B.C", "D", "E.F.G", "H"];

/// Nodes that run, by id.
pub(super) type Contacts = Arc<Mutex<BTreeMap<u64, Contact>>>;

/// What writers were told, and what they have asked for.
#[derive(Clone, Default)]
pub(super) struct Told {
    shared: Arc<Mutex<Writes>>,
}

/// By producer.
#[derive(Default)]
pub(super) struct Writes {
    pub receipts: BTreeMap<(u64, u64), Receipt>,
    /// The last batch that was sent.
    pub sent: BTreeMap<u64, u64>,
    pub retries: u64,
}

impl Told {
    pub fn with<T>(&self, look: impl FnOnce(&mut Writes) -> T) -> T {
        look(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The batch of a producer with this number. It is the same whenever it is made.
pub(super) fn batch(producer: u64, number: u64) -> EncodedBatch {
    let mut random = Random::new(producer << 32 | number);
    let mut batch = Batch::new();
    for row in 0..1 + random.below(6) {
        let symbol = *random.pick(&SYMBOLS);
        let ts = 1_767_225_600_000_000_000 + (number * 1_000 + row) as i64;
        let price = Some((producer * 1_000_000 + number) as f64);
        batch.push(Trade { symbol, ts, price, ..Trade::default() }).expect("a sound row");
    }
    batch.encode().with_producer(Producer { id: producer, epoch: 1, batch_number: number })
}

/// Writes until `stop`, and ends once the last batch has its receipt.
pub(super) async fn write(
    producer: u64,
    contacts: Contacts,
    told: Told,
    log: Log,
    mut random: Random,
    stop: watch::Receiver<bool>,
) {
    let mut leader = None;
    for number in 1.. {
        if *stop.borrow() {
            return;
        }
        told.with(|writes| writes.sent.insert(producer, number));
        let batch = batch(producer, number);
        loop {
            let contact = {
                let contacts = contacts.lock().unwrap_or_else(PoisonError::into_inner);
                let known =
                    leader.take().and_then(|id| contacts.get(&id).map(|contact| (id, contact.clone())));
                known.or_else(|| {
                    let at = random.below(contacts.len().max(1) as u64) as usize;
                    contacts.iter().nth(at).map(|(id, contact)| (*id, contact.clone()))
                })
            };
            let Some((node_id, contact)) = contact else {
                sleep(PATIENCE).await;
                continue;
            };
            match ask(contact, &batch).await {
                Answer::Receipt(receipt) => {
                    log.hidden(format_args!("receipt {producer} {number} {receipt:?}"));
                    told.with(|writes| writes.receipts.insert((producer, number), receipt));
                    leader = Some(node_id);
                    break;
                }
                Answer::Elsewhere(node_id) => leader = node_id,
                Answer::Unknown => {}
            }
            told.with(|writes| writes.retries += 1);
            sleep(Duration::from_micros(random.within(1_000..30_000))).await;
        }
        sleep(Duration::from_millis(random.within(1..80))).await;
    }
}

enum Answer {
    Receipt(Receipt),
    Elsewhere(Option<u64>),
    Unknown,
}

async fn ask(mut contact: Contact, batch: &EncodedBatch) -> Answer {
    let pending = match contact.node.replica().db().try_submit(batch.clone()) {
        Ok(pending) => pending,
        Err(AppendError::NotLeader { leader }) => {
            return Answer::Elsewhere(leader.map(|(node_id, _)| node_id));
        }
        Err(_) => return Answer::Unknown,
    };
    let dead = contact.clone();
    let outcome = tokio::select! {
        biased;
        () = contact.ends() => return Answer::Unknown,
        outcome = timeout(PATIENCE, pending) => outcome,
    };
    // What a dead process says, nobody hears.
    if dead.has_ended() {
        return Answer::Unknown;
    }
    match outcome {
        Ok(Ok(receipt)) => Answer::Receipt(receipt),
        Ok(Err(AppendError::NotLeader { leader })) => Answer::Elsewhere(leader.map(|(node_id, _)| node_id)),
        Ok(Err(_)) | Err(_) => Answer::Unknown,
    }
}
