//! Appends: several producers with numbers, retries, gaps and floods, synced and not.

use tapebook::{AppendError, Db, Durability, EncodedBatch, Producer, Schemas, SharedBytes};

use crate::model::{Change, Sent};
use crate::rows::{Kind, Row, encode};
use crate::schedule::Schedule;
use crate::totals::Group;

const PRODUCERS: u64 = 4;
/// New symbols that accepted batches may bring together.
const UNDER_WAY_MAX: usize = 40;
const HOUR: i64 = 3_600_000_000_000;

impl Schedule {
    /// Appends the batch of some producer.
    pub(crate) fn append(&mut self, db: &Db, synced: bool) {
        let sent = self.next_batch();
        self.send(db, sent, synced);
    }

    fn next_batch(&mut self) -> Sent {
        if self.random.chance(12) {
            let rows = self.some_rows();
            return sent(Producer::default(), rows);
        }
        let id = 1 + self.random.below(PRODUCERS);
        let (epoch, next) = self.model.next_number(id);
        let number = |batch_number| Producer { id, epoch, batch_number };
        match self.random.below(100) {
            // Sends something again, as a client does that has not heard.
            0..9 if next > 1 => {
                let again = 1 + self.random.below(next - 1);
                if let Some(sent) = self.model.sent(id, epoch, again) {
                    return sent.clone();
                }
            }
            9..11 => {
                let rows = self.some_rows();
                return sent(number(next + 1 + self.random.below(3)), rows);
            }
            11..13 => {
                let rows = self.some_rows();
                return sent(Producer { epoch: epoch + 1, ..number(1) }, rows);
            }
            13..15 if epoch > 1 => {
                let rows = self.some_rows();
                return sent(Producer { epoch: epoch - 1, ..number(next) }, rows);
            }
            _ => {}
        }
        let rows = self.some_rows();
        sent(number(next), rows)
    }

    fn some_rows(&mut self) -> Vec<Row> {
        let count = match self.random.below(100) {
            _ if self.heavy && self.random.chance(50) => self.random.within(100..150),
            0..12 => self.random.within(60..150),
            12..13 => 600,
            _ => self.random.within(1..13),
        };
        (0..count).map(|_| self.some_row()).collect()
    }

    fn some_row(&mut self) -> Row {
        // Mostly the same few symbols, now and then a new one, whose name sorts anywhere.
        let random = &mut self.random;
        let symbol = if random.chance(4) { 100 + random.below(900) } else { random.below(5) };
        let symbol = format!("{:03}.S{symbol}", symbol * 37 % 1000);
        self.latest_ts += random.below(3) as i64;
        let late = match random.below(1_000) {
            0..90 => random.below(500) as i64,
            // Hours and years early.
            90..94 => random.below(200_000) as i64 * HOUR,
            _ => 0,
        };
        let kind = random.weighted(&[(5, Kind::Trade), (3, Kind::Quote), (2, Kind::Delta)]);
        let number = self.next_row;
        self.next_row += 1;
        Row { kind, symbol, ts: self.latest_ts - late, number }
    }

    /// Hands a batch in, and checks that it is taken or refused as it must be.
    pub(crate) fn send(&mut self, db: &Db, sent: Sent, synced: bool) {
        self.collect();
        let expected = self.expected_refusal(db, &sent);
        let durability = if synced { Durability::Synced } else { Durability::Buffered };
        self.trace.line(format_args!(
            "  producer {:?}, {} rows from number {}, {durability:?}",
            sent.producer,
            sent.rows.len(),
            sent.rows[0].number
        ));
        // A panic may come before or after the log has taken it; nothing is handed in behind it any more.
        let admitted = self.model.log.len();
        self.model.admit(Change::Batch(sent.clone()), None);
        match db.append_encoded(sent.encoded.clone(), durability) {
            Ok(pending) => {
                assert_eq!(self.poisoned, None, "the log took an entry after a sync or write had failed");
                self.model.log[admitted].pending = Some(pending);
                assert_eq!(expected, None, "taken although it must be refused: {:?}", sent.producer);
                self.collect();
                let poisoned = self.model.next_unknown().is_some();
                assert!(!synced || !poisoned || self.is_explained(), "a synced append has its receipt");
            }
            Err(error) => {
                self.model.log.truncate(admitted);
                self.trace.line(format_args!("  refused: {error}"));
                if refusal_name(&error) == "poisoned" {
                    self.poisoned.get_or_insert(self.machine.watched.log_syncs());
                }
                let explained = self.is_explained();
                let busy = matches!(&error, AppendError::Busy);
                match expected {
                    Some(expected) => assert!(
                        refusal_name(&error) == expected || explained,
                        "refused with {error}, expected {expected}"
                    ),
                    None => assert!(explained || (busy && !synced), "refused without a reason: {error}"),
                }
                self.totals.count(Group::Outcome, format_args!("appends refused: {}", refusal_name(&error)));
                let retried = sent.producer.id != 0 && expected.is_none();
                if retried {
                    self.unsettled.push(sent);
                }
            }
        }
    }

    /// Why the database must refuse a batch before it writes anything, as its settings say.
    fn expected_refusal(&self, db: &Db, sent: &Sent) -> Option<&'static str> {
        if let Some(max_future) = self.options.max_future {
            let latest = db.vfs().clock().unix_nanos() + max_future.as_nanos() as i64;
            if sent.rows.iter().any(|row| row.ts > latest) {
                return Some("future");
            }
        }
        let mut new: Vec<&str> = sent.rows.iter().map(|row| &*row.symbol).collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|name| !self.model.symbols.contains(*name));
        if new.len() > self.options.symbols_max.saturating_sub(self.model.symbols.len()) {
            return Some("symbols");
        }
        let id = sent.producer.id;
        let producers = self.model.producers();
        if id != 0 && !producers.contains_key(&id) && producers.len() >= self.options.producers_max {
            return Some("producers");
        }
        (sent.encoded.bytes().len() > self.options.wal.payload_bytes_max as usize).then_some("length")
    }

    /// Ends a producer, sometimes one that is not there or has ended before.
    pub(crate) fn expire(&mut self, db: &Db) {
        self.collect();
        let id = 1 + self.random.below(PRODUCERS);
        let known = self.model.producers().get(&id).map(|state| state.epoch);
        self.trace.line(format_args!("  producer {id}, epoch {known:?}"));
        // As with a batch, a panic may come before or after the log has taken it.
        let admitted = self.model.log.len();
        self.model.admit(Change::Expire { id, epoch: known.unwrap_or(0) }, None);
        match db.expire_producer(id) {
            Ok(pending) => {
                assert!(known.is_some(), "ended although nobody knows it");
                self.model.log[admitted].pending = Some(pending);
                self.collect();
            }
            Err(error) => {
                self.model.log.truncate(admitted);
                self.trace.line(format_args!("  refused: {error}"));
                if refusal_name(&error) == "poisoned" {
                    self.poisoned.get_or_insert(self.machine.watched.log_syncs());
                }
                assert!(known.is_none() || self.is_explained(), "not ended without a reason: {error}");
            }
        }
    }

    /// A flood (B2): new symbols, new producers, or times far off. It is taken as far as the bounds go, and no further.
    pub(crate) fn flood(&mut self, db: &Db) {
        let way = self.random.below(3);
        for at in 0..4 {
            let mut rows: Vec<Row> = (0..12).map(|_| self.some_row()).collect();
            let mut producer = Producer::default();
            match way {
                0 => {
                    for row in &mut rows {
                        row.symbol = format!("flood.{}", row.number);
                    }
                }
                1 => producer = Producer { id: 1_000 + u64::from(rows[0].number), epoch: 1, batch_number: 1 },
                _ => {
                    let ahead = (1 + self.random.below(400_000) as i64) * HOUR;
                    rows.iter_mut().for_each(|row| row.ts += if at % 2 == 0 { ahead } else { -ahead });
                }
            }
            self.send(db, sent(producer, rows), true);
            // Batches on their way when the bound is reached may go a little past it.
            let symbols = db.snapshot().symbols().len();
            assert!(symbols <= self.options.symbols_max + UNDER_WAY_MAX, "{symbols} symbols");
            let version = db.version();
            let files = version.tables().count() + version.history().count();
            let partitions = version.partitions().count();
            assert!(partitions <= files + 2, "{partitions} partitions of {files} files");
        }
    }

    /// A bit flips on the way from the client (D4): the batch's own checksum notices.
    pub(crate) fn append_damaged(&mut self) {
        let rows = self.some_rows();
        let encoded = encode(Producer::default(), &rows);
        let mut bytes = encoded.bytes().to_vec();
        let at = self.random.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << self.random.below(8);
        let checked = EncodedBatch::check(SharedBytes::from(&*bytes), &Schemas::standard());
        assert!(checked.is_err(), "a flipped bit at byte {at} of {} was not noticed", bytes.len());
        self.totals.count(Group::Fault, "bit flipped in a batch");
    }
}

fn sent(producer: Producer, rows: Vec<Row>) -> Sent {
    let encoded = encode(producer, &rows);
    Sent { producer, rows, encoded }
}

fn refusal_name(error: &AppendError) -> &'static str {
    match error {
        AppendError::Future { .. } => "future",
        AppendError::TooManySymbols { .. } => "symbols",
        AppendError::Producer(_) => "producers",
        AppendError::FlushFailing(_) => "flush failing",
        AppendError::Log(tapebook_wal::WalError::PayloadTooLong { .. }) => "length",
        AppendError::Log(tapebook_wal::WalError::NoSpace { .. }) => "no space",
        AppendError::Log(tapebook_wal::WalError::Poisoned { .. }) => "poisoned",
        AppendError::Busy => "busy",
        AppendError::Log(_) => "log",
        _ => "other",
    }
}
