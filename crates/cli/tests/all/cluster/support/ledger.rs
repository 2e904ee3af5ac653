//! What producers sent and what they got a receipt for.
//!
//! A row says who sent it, in which batch and at which place, so that it is known again wherever it is found.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tapebook_client::{JournalBatch, Receipt};
use tapebook_record::{Batch, Id, Record, Trade};

const ROWS_MAX: u64 = 3;
const NUMBER_BITS: u32 = 36;
const PLACE_BITS: u32 = 4;

/// One batch of one producer, numbered from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sent {
    pub(crate) producer: u64,
    pub(crate) number: u64,
}

impl Sent {
    pub(crate) fn rows(self) -> u64 {
        1 + (self.producer + self.number) % ROWS_MAX
    }

    fn trade_id(self, place: u64) -> u64 {
        (((self.producer << NUMBER_BITS) | self.number) << PLACE_BITS) | place
    }

    pub(crate) fn batch(self) -> Batch {
        let symbol = format!("P{}", self.producer);
        let mut batch = Batch::new();
        for place in 0..self.rows() {
            let trade = Trade {
                symbol: &symbol,
                ts: 1_723_161_600_000_000_000 + i64::try_from(self.number).unwrap() * 1_000,
                price: Some(self.number as f64),
                trade_id: Some(Id::Number(self.trade_id(place))),
                ..Trade::default()
            };
            batch.push(trade).unwrap();
        }
        batch
    }

    /// Which one it is that is found in the journal, all of it.
    pub(crate) fn found(batch: &JournalBatch) -> Result<Self, String> {
        let told = |what: &str| format!("seq {}..={}: {what}", batch.first_seq(), batch.last_seq());
        let mut found: Option<Self> = None;
        let mut rows = 0;
        for (_, raw) in batch.records() {
            let trade = Record::<Trade>::new(raw).ok_or_else(|| told("a row is no trade"))?;
            let Some(Id::Number(id)) = trade.trade_id() else { return Err(told("a trade has another id")) };
            let number = (id >> PLACE_BITS) & ((1 << NUMBER_BITS) - 1);
            let sent = Self { producer: id >> (NUMBER_BITS + PLACE_BITS), number };
            let is_so = found.is_none_or(|found| found == sent)
                && id == sent.trade_id(rows)
                && trade.price() == Some(number as f64)
                && *trade.symbol() == *format!("P{}", sent.producer);
            if !is_so {
                return Err(told(&format!("row {rows} is another one than was sent: {trade:?}")));
            }
            (found, rows) = (Some(sent), rows + 1);
        }
        let found = found.ok_or_else(|| told("no rows"))?;
        if rows != found.rows() {
            return Err(told(&format!("{rows} rows of {found:?}, which has {}", found.rows())));
        }
        Ok(found)
    }
}

/// A batch with its receipt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) took: Duration,
}

/// Of one producer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Batches that were begun to be sent.
    pub(crate) sent: u64,
    /// Of the first, the second and so on: receipts come in order.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// When the last batch with a receipt was sent.
    last_sent_at: Option<Instant>,
}

/// All producers' accounts.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    accounts: BTreeMap<u64, Account>,
    last_seq: u64,
}

impl Ledger {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A producer sends his next batch.
    pub(crate) fn next(&self, producer: u64) -> Sent {
        let mut inner = self.inner();
        let account = inner.accounts.entry(producer).or_default();
        account.sent += 1;
        Sent { producer, number: account.sent }
    }

    pub(crate) fn acknowledged(&self, sent: Sent, sent_at: Instant, receipt: Receipt) {
        let mut inner = self.inner();
        let account = inner.accounts.entry(sent.producer).or_default();
        assert_eq!(account.acknowledged.len() as u64 + 1, sent.number, "receipts come in order");
        let Receipt { first_seq, last_seq, .. } = receipt;
        account.acknowledged.push(Acknowledged { first_seq, last_seq, took: sent_at.elapsed() });
        account.last_sent_at = Some(sent_at);
        inner.last_seq = inner.last_seq.max(last_seq);
    }

    /// How many producers have a receipt for a batch that was sent after a moment.
    pub(crate) fn have_written_since(&self, moment: Instant) -> usize {
        let inner = self.inner();
        inner.accounts.values().filter(|account| account.last_sent_at > Some(moment)).count()
    }

    /// Batches with receipts.
    pub(crate) fn count(&self) -> u64 {
        self.inner().accounts.values().map(|account| account.acknowledged.len() as u64).sum()
    }

    /// The greatest sequence of a receipt.
    pub(crate) fn last_seq(&self) -> u64 {
        self.inner().last_seq
    }

    /// The longest that a receipt took.
    pub(crate) fn slowest(&self) -> Duration {
        let inner = self.inner();
        let all = inner.accounts.values().flat_map(|account| &account.acknowledged);
        all.map(|acknowledged| acknowledged.took).max().unwrap_or_default()
    }

    /// The accounts as they are now.
    pub(crate) fn accounts(&self) -> BTreeMap<u64, Account> {
        self.inner().accounts.clone()
    }
}
