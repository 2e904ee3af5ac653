//! Who subscribes: what `sys.subscribers` shows, and the bounds that all subscribers share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapebook_proto::v1::{Refusal, RefusalReason as Reason, SubscribeStart};
use tokio::sync::Semaphore;

use crate::access::Caller;

/// So many of those who are behind read the disk at the same time; others wait, and nobody who is up to date notices.
const READERS_MAX: usize = 4;

/// All subscriptions of a node.
#[derive(Debug)]
pub struct Subscribers {
    max: usize,
    readers: Arc<Semaphore>,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_id: BTreeMap<u64, Arc<Entry>>,
    next_id: u64,
}

/// One subscription, as others see it while it goes on.
#[derive(Debug)]
pub(super) struct Entry {
    name: Arc<str>,
    address: Option<SocketAddr>,
    tables: Vec<String>,
    symbols: usize,
    since: i64,
    next_seq: AtomicU64,
    credit: AtomicI64,
    live: AtomicBool,
}

/// How a subscription stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubscriberState {
    /// Counts the subscriptions of this process from 1.
    pub id: u64,
    /// What the caller is called.
    pub name: Arc<str>,
    /// Where he comes from.
    pub address: Option<SocketAddr>,
    /// The tables that he asked for; none: all.
    pub tables: Vec<String>,
    /// How many symbols he asked for; 0: all.
    pub symbols: usize,
    /// When he subscribed, nanoseconds since the epoch.
    pub since: i64,
    /// The sequence behind all that he was sent.
    pub next_seq: u64,
    /// How many sequences of the journal come after it.
    pub lag: u64,
    /// Bytes that may still go to him; below 0 where the last batch was larger than what he had allowed.
    pub credit: i64,
    /// True where he has got all there is.
    pub live: bool,
}

impl Subscribers {
    /// Nobody yet, and at most so many.
    pub fn new(max: usize) -> Self {
        Self { max, readers: Arc::new(Semaphore::new(READERS_MAX)), entries: Mutex::default() }
    }

    /// How all of them stand, in a journal that ends with `last_seq`.
    pub fn states(&self, last_seq: u64) -> Vec<SubscriberState> {
        self.lock().by_id.iter().map(|(id, entry)| entry.state(*id, last_seq)).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes another one in, until the registration is dropped.
    pub(super) fn register(
        self: &Arc<Self>,
        caller: &Caller,
        start: &SubscribeStart,
        since: i64,
    ) -> Result<Registration, Refusal> {
        let entry = Arc::new(Entry {
            name: Arc::clone(&caller.name),
            address: caller.address,
            tables: start.tables.clone(),
            symbols: start.symbols.len(),
            since,
            next_seq: AtomicU64::new(0),
            credit: AtomicI64::new(0),
            live: AtomicBool::new(false),
        });
        let mut entries = self.lock();
        if entries.by_id.len() >= self.max {
            let message = format!("there are already {} subscriptions, the most there may be", self.max);
            return Err(Refusal::with_value(Reason::TooMany, message, self.max as u64));
        }
        entries.next_id += 1;
        let id = entries.next_id;
        entries.by_id.insert(id, Arc::clone(&entry));
        Ok(Registration { subscribers: Arc::clone(self), id, entry })
    }

    /// What bounds how many read the disk at the same time.
    pub(super) fn readers(&self) -> Arc<Semaphore> {
        Arc::clone(&self.readers)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn state(&self, id: u64, last_seq: u64) -> SubscriberState {
        let next_seq = self.next_seq.load(Ordering::Relaxed);
        SubscriberState {
            id,
            name: Arc::clone(&self.name),
            address: self.address,
            tables: self.tables.clone(),
            symbols: self.symbols,
            since: self.since,
            next_seq,
            lag: (last_seq + 1).saturating_sub(next_seq),
            credit: self.credit.load(Ordering::Relaxed),
            live: self.live.load(Ordering::Relaxed),
        }
    }
}

/// Keeps a subscription among those that are there.
#[derive(Debug)]
pub(super) struct Registration {
    subscribers: Arc<Subscribers>,
    id: u64,
    entry: Arc<Entry>,
}

impl Registration {
    /// Tells others how the subscription stands.
    pub(super) fn show(&self, next_seq: u64, credit: i64, live: bool) {
        self.entry.next_seq.store(next_seq, Ordering::Relaxed);
        self.entry.credit.store(credit, Ordering::Relaxed);
        self.entry.live.store(live, Ordering::Relaxed);
    }

    pub(super) fn subscribers(&self) -> &Arc<Subscribers> {
        &self.subscribers
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.subscribers.lock().by_id.remove(&self.id);
    }
}
