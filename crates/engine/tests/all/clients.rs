//! Clients that write with numbers, what they know, and what must hold of it after a failure.

use std::collections::BTreeSet;

use tapebook::{Batch, Db, Durability, PendingAppend, Producer, Receipt};

use crate::random::Random;
use crate::rows::{Row, StoredRow, batch_of};

const PRODUCERS: usize = 3;
/// Rows come from before and behind it, so that they belong to two days.
const MIDNIGHT: i64 = 24 * 60 * 60 * 1_000_000_000;

/// A batch that was handed in.
pub struct Sent {
    pub producer: Producer,
    pub rows: Vec<Row>,
    pub pending: Option<PendingAppend>,
    /// The log did not take it, so it must never appear.
    pub refused: bool,
}

/// What the clients know.
pub struct Clients {
    pub random: Random,
    next_row: u32,
    next_number: [u64; PRODUCERS],
    latest_ts: i64,
    pub acknowledged: Vec<StoredRow>,
    /// In the order in which they were sent.
    pub unsettled: Vec<Sent>,
}

impl Clients {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            next_row: 1,
            next_number: [1; PRODUCERS],
            latest_ts: MIDNIGHT - 900,
            acknowledged: Vec::new(),
            unsettled: Vec::new(),
        }
    }

    pub fn next_batch(&mut self) -> Sent {
        let producer = self.random.below(PRODUCERS as u64) as usize;
        let batch_number = self.next_number[producer];
        self.next_number[producer] += 1;
        let count =
            if self.random.chance(15) { 60 + self.random.below(130) } else { 1 + self.random.below(12) };
        let rows = (0..count).map(|_| self.next_row()).collect();
        let producer = Producer { id: producer as u64 + 1, epoch: 1, batch_number };
        Sent { producer, rows, pending: None, refused: false }
    }

    fn next_row(&mut self) -> Row {
        // Mostly the same few symbols, now and then a new one, whose name sorts anywhere.
        let symbol = if self.random.chance(4) { 100 + self.random.below(900) } else { self.random.below(5) };
        let symbol = format!("{:03}.S{symbol}", symbol * 37 % 1000);
        self.latest_ts += self.random.below(3) as i64;
        let late = if self.random.chance(10) { self.random.below(500) as i64 } else { 0 };
        let number = self.next_row;
        self.next_row += 1;
        Row { quote: self.random.chance(30), symbol, ts: self.latest_ts - late, number }
    }

    pub fn settle(&mut self, sent: &Sent, receipt: Receipt) {
        assert_eq!(receipt.last_seq - receipt.first_seq + 1, sent.rows.len() as u64);
        for (row, seq) in sent.rows.iter().zip(receipt.first_seq..) {
            self.acknowledged.push(StoredRow { seq, row: row.clone() });
        }
    }

    /// Looks which of the accepted batches have their receipt by now.
    pub fn collect_receipts(&mut self) {
        let (mut kept, sent) = (Vec::new(), std::mem::take(&mut self.unsettled));
        for sent in sent {
            match sent.pending.as_ref().and_then(PendingAppend::poll_receipt) {
                Some(Ok(receipt)) => self.settle(&sent, receipt),
                _ => kept.push(sent),
            }
        }
        self.unsettled = kept;
    }

    /// Sends again, in order, what got no receipt; `survived` is what was there before.
    pub fn send_again(&mut self, db: &Db, survived: &[StoredRow]) {
        for sent in std::mem::take(&mut self.unsettled) {
            let receipt = append(db, batch_of(sent.producer, &sent.rows));
            let before = survived.iter().find(|stored| stored.row == sent.rows[0]);
            assert_eq!(receipt.duplicate, before.is_some(), "{:?}: {receipt:?}", sent.producer);
            assert!(
                before.is_none_or(|before| before.seq == receipt.first_seq),
                "the receipt of the first time"
            );
            self.settle(&sent, receipt);
        }
    }
}

pub fn append(db: &Db, batch: Batch) -> Receipt {
    let pending = db.append(batch, Durability::Synced).unwrap_or_else(|error| panic!("{error}"));
    pending.wait().unwrap_or_else(|error| panic!("{error}"))
}

/// False where it was refused or failed.
pub fn send(db: &Db, clients: &mut Clients, mut sent: Sent, durability: Durability) -> bool {
    match db.append(batch_of(sent.producer, &sent.rows), durability) {
        Ok(pending) => sent.pending = Some(pending),
        Err(_) => sent.refused = sent.pending.is_none(),
    }
    let outcome = sent.pending.as_ref().and_then(PendingAppend::poll_receipt);
    let works = !sent.refused && !matches!(outcome, Some(Err(_)));
    clients.unsettled.push(sent);
    works
}

pub fn check_survivors(survived: &[StoredRow], seen: &[StoredRow], clients: &Clients) {
    let seqs = survived.iter().map(|stored| stored.seq);
    assert!(seqs.eq(1..=survived.len() as u64), "sequences are dense from 1");
    let numbers: BTreeSet<u32> = survived.iter().map(|stored| stored.row.number).collect();
    assert_eq!(numbers.len(), survived.len(), "no row is there twice");
    let at = |seq: u64| survived.get(seq as usize - 1);
    for stored in &clients.acknowledged {
        assert_eq!(at(stored.seq), Some(stored), "an acknowledged row");
    }
    for stored in seen {
        assert_eq!(at(stored.seq), Some(stored), "a row that a snapshot showed");
    }
    let mut rows = clients.acknowledged.len();
    for sent in &clients.unsettled {
        let there: Vec<&StoredRow> = survived
            .iter()
            .filter(|stored| sent.rows.iter().any(|row| row.number == stored.row.number))
            .collect();
        assert!(!sent.refused || there.is_empty(), "a batch that was refused is not there");
        if there.is_empty() {
            continue;
        }
        assert!(
            there.iter().map(|stored| &stored.row).eq(&sent.rows),
            "a batch is there as a whole or not at all"
        );
        rows += there.len();
    }
    assert_eq!(rows, survived.len(), "nothing is there that nobody wrote");
}
