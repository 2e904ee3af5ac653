//! Feed gaps: rows are taken out of a generated channel, and exactly those are found, across restarts and failovers of the
//! producer, until a backfill closes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tapebook::{
    Action, Batch, BookDelta, Db, Durability, FeedGap, FeedNumbers, JournalFollower, JournalStart, Options,
    Producer, Quote, Receipt, StandardRow, StandardTable, Trade,
};
use tapebook_market::{Row, generator};
use tapebook_vfs::MemoryVfs;

use crate::random::Random;
use crate::support::{on, open};

const FEED: u64 = 7;
const BACKFILL: u64 = 8;

fn options(disk: &MemoryVfs) -> Options {
    Options {
        journal_retention: Some(Duration::from_secs(24 * 60 * 60)),
        memtable_bytes: 32 << 10,
        ..on(Arc::new(disk.clone()))
    }
}

fn declare(db: &Db, producer: u64, numbers: FeedNumbers) {
    db.declare_feed(producer, numbers).unwrap().wait().unwrap();
}

/// A producer's process: it numbers its batches from 1 in an epoch of its own.
struct Sender {
    producer: Producer,
}

impl Sender {
    fn new(id: u64, epoch: u32) -> Self {
        Self { producer: Producer { id, epoch, batch_number: 1 } }
    }

    fn send<R: StandardRow + Copy>(&mut self, db: &Db, rows: &[R]) -> Receipt {
        let mut batch = Batch::from_producer(self.producer);
        rows.iter().for_each(|row| batch.push(*row).unwrap());
        self.producer.batch_number += 1;
        db.append(batch, Durability::Synced).unwrap().wait().unwrap()
    }
}

/// A row of the generator without what it borrows.
#[derive(Clone, Copy, Debug)]
struct Message {
    symbol: usize,
    trade: bool,
    ts: i64,
    number: u64,
}

impl Message {
    fn series(&self) -> (usize, bool) {
        (self.symbol, self.trade)
    }

    fn row<'a>(&self, symbols: &'a [String], number: u64) -> Row<'a> {
        let (symbol, ts, feed_seq) = (&*symbols[self.symbol], self.ts, Some(number));
        if self.trade {
            Trade { symbol, ts, feed_seq, ..Trade::default() }.into()
        } else {
            Quote { symbol, ts, feed_seq, ..Quote::default() }.into()
        }
    }
}

fn generated(seed: u64, count: usize) -> (Vec<String>, Vec<Message>) {
    let mut ticks = generator::ticks(seed, 12, 1.0).unwrap();
    let symbols = ticks.symbols().to_vec();
    let messages = (0..count).map(|_| {
        let row = ticks.next_row();
        let symbol = symbols.iter().position(|name| *name == row.symbol()).unwrap();
        let (trade, ts) = (matches!(row, Row::Trade(_)), row.ts());
        Message { symbol, trade, ts, number: row.feed_seq().unwrap() }
    });
    (symbols.clone(), messages.collect())
}

/// The numbers that are missing, or were, by what they belong to.
type Missing = BTreeMap<(Option<u16>, Option<String>), BTreeSet<u64>>;

fn listed(db: &Db, closed: bool) -> Missing {
    let mut missing = Missing::new();
    for gap in db.system_view().feed_gaps() {
        assert_eq!(gap.producer, FEED);
        assert_eq!(gap.closed_seq.is_some(), gap.closed_at.is_some());
        if gap.closed_seq.is_some() == closed {
            add(&mut missing, &gap);
        }
    }
    missing
}

fn add(missing: &mut Missing, gap: &FeedGap) {
    let of = (gap.table.map(|table| table.0), gap.symbol.as_deref().map(str::to_owned));
    missing.entry(of).or_default().extend(gap.first_feed_seq..=gap.last_feed_seq);
}

fn remove(missing: &mut Missing, gap: &FeedGap) {
    let of = (gap.table.map(|table| table.0), gap.symbol.as_deref().map(str::to_owned));
    let numbers = missing.get_mut(&of).expect("it was told that they are missing");
    (gap.first_feed_seq..=gap.last_feed_seq).for_each(|number| assert!(numbers.remove(&number)));
    if numbers.is_empty() {
        missing.remove(&of);
    }
}

/// What a follower was told of gaps adds up to what is missing now.
fn told(follower: &mut JournalFollower) -> Missing {
    let mut missing = Missing::new();
    loop {
        let found = follower.try_next().unwrap();
        while let Some(gap) = follower.next_gap() {
            if gap.closed_seq.is_some() { remove(&mut missing, &gap) } else { add(&mut missing, &gap) }
        }
        if found.is_none() {
            return missing;
        }
    }
}

/// Where a scenario restarts, and where the producer's process is replaced by another one.
fn scenario(seed: u64, numbers: FeedNumbers) {
    let disk = MemoryVfs::new(seed);
    let mut random = Random::new(seed);
    let (symbols, messages) = generated(seed, 3_000);
    let channel = numbers == FeedNumbers::PerChannel;
    let number_of = |at: usize| if channel { 100 + at as u64 } else { messages[at].number };
    // Neither the first row nor the last one of a series can be missed.
    let mut first_of = BTreeMap::new();
    let mut last_of = BTreeMap::new();
    for (at, message) in messages.iter().enumerate() {
        let of = if channel { (0, false) } else { message.series() };
        first_of.entry(of).or_insert(at);
        last_of.insert(of, at);
    }
    let ends: BTreeSet<usize> = first_of.into_values().chain(last_of.into_values()).collect();
    let removed: BTreeSet<usize> = (0..messages.len())
        .filter(|at| !ends.contains(at) && random.chance(if at % 500 < 30 { 60 } else { 4 }))
        .collect();
    let mut expected = Missing::new();
    for at in &removed {
        let message = messages[*at];
        let table = if message.trade { Trade::ID } else { Quote::ID };
        let of = (table.0, symbols[message.symbol].clone());
        let of = if channel { (None, None) } else { (Some(of.0), Some(of.1)) };
        expected.entry(of).or_default().insert(number_of(*at));
    }
    assert!(expected.values().map(BTreeSet::len).sum::<usize>() > 150);

    let mut db = Arc::new(open(options(&disk)));
    declare(&db, FEED, numbers);
    let mut sender = Sender::new(FEED, 1);
    let mut live = db.follow(JournalStart::Latest).unwrap();
    let mut seen = Missing::new();
    let mut watch = |live: &mut JournalFollower| {
        for (of, numbers) in told(live) {
            seen.entry(of).or_default().extend(numbers);
        }
    };
    let kept: Vec<usize> = (0..messages.len()).filter(|at| !removed.contains(at)).collect();
    let mut rest = &kept[..];
    let mut resent: Vec<Row<'_>> = Vec::new();
    while !rest.is_empty() {
        let count = (1 + random.below(40) as usize).min(rest.len());
        let (now, later) = rest.split_at(count);
        rest = later;
        let mut rows = std::mem::take(&mut resent);
        rows.extend(now.iter().map(|at| messages[*at].row(&symbols, number_of(*at))));
        sender.send(&db, &rows);
        match random.below(12) {
            0 => db.flush().unwrap(),
            1 => {
                watch(&mut live);
                Arc::into_inner(db).unwrap().close().unwrap();
                db = Arc::new(open(options(&disk)));
                live = db.follow(JournalStart::Latest).unwrap();
            }
            // Another process takes over, and sends some again: older numbers are no gaps.
            2 => {
                sender = Sender::new(FEED, sender.producer.epoch + 1);
                resent = rows[rows.len() - rows.len().min(5)..].to_vec();
            }
            _ => {}
        }
        if random.chance(30) {
            declare(&db, FEED, numbers);
        }
    }
    assert_eq!(listed(&db, false), expected, "{numbers:?}, seed {seed}");
    watch(&mut live);
    assert_eq!(seen, expected, "told as they came");
    assert_eq!(
        told(&mut db.follow(JournalStart::Seq(1)).unwrap()),
        expected,
        "told to who reads what is stored"
    );

    // Half of it comes from another producer, in any order, the rest from its own.
    declare(&db, BACKFILL, FeedNumbers::Backfill { of: FEED });
    let mut rows: Vec<usize> = removed.iter().copied().collect();
    for at in (1..rows.len()).rev() {
        rows.swap(at, random.below(at as u64 + 1) as usize);
    }
    let (foreign, own) = rows.split_at(rows.len() / 2);
    let mut backfill = Sender::new(BACKFILL, 1);
    let of = |at: &usize| messages[*at].row(&symbols, number_of(*at));
    for some in foreign.chunks(17) {
        backfill.send(&db, &some.iter().map(of).collect::<Vec<_>>());
    }
    let open_now: usize = listed(&db, false).values().map(BTreeSet::len).sum();
    assert_eq!(open_now, own.len());
    Arc::into_inner(db).unwrap().close().unwrap();
    let db = Arc::new(open(options(&disk)));
    assert_eq!(listed(&db, false).values().map(BTreeSet::len).sum::<usize>(), own.len());
    sender.send(&db, &own.iter().map(of).collect::<Vec<_>>());
    assert_eq!(listed(&db, false), Missing::new());
    assert_eq!(listed(&db, true), expected, "what was closed");
    assert_eq!(told(&mut db.follow(JournalStart::Seq(1)).unwrap()), Missing::new(), "opened and closed");
    db.flush().unwrap();
    Arc::into_inner(db).unwrap().close().unwrap();
    let db = open(options(&disk));
    assert_eq!(listed(&db, true), expected, "read from the state file");
    assert_eq!(db.system_view().feed_overflow(FEED), Default::default());
}

#[test]
fn rows_that_are_taken_out_of_a_channel_are_found_and_closed() {
    for seed in 0..4 {
        scenario(seed, FeedNumbers::PerChannel);
    }
}

#[test]
fn rows_that_are_taken_out_of_series_are_found_and_closed() {
    for seed in 10..14 {
        scenario(seed, FeedNumbers::PerSymbol);
    }
}

/// A row of an event; `end` where it is the last one.
fn delta(number: u64, end: bool) -> BookDelta<'static> {
    BookDelta {
        symbol: "S",
        action: Some(Action::Set),
        event_end: Some(end),
        feed_seq: Some(number),
        ..BookDelta::default()
    }
}

fn open_ranges(db: &Db) -> Vec<(u64, u64)> {
    let open = db.system_view().feed_gaps().into_iter().filter(|gap| gap.closed_seq.is_none());
    open.map(|gap| (gap.first_feed_seq, gap.last_feed_seq)).collect()
}

#[test]
fn events_cover_ranges_of_numbers() {
    let disk = MemoryVfs::new(3);
    let db = open(options(&disk));
    declare(&db, FEED, FeedNumbers::Ranges);
    let mut sender = Sender::new(FEED, 1);
    sender.send(&db, &[delta(100, false), delta(104, false), delta(109, true)]);
    sender.send(&db, &[delta(110, true), delta(111, false)]);
    assert_eq!(open_ranges(&db), []);
    // It goes on in the next batch, behind a restart.
    drop(db);
    let db = open(options(&disk));
    let shown = sender.send(&db, &[delta(120, true), delta(131, false), delta(140, true)]);
    assert_eq!(open_ranges(&db), [(121, 130)]);
    let gap = db.system_view().feed_gaps().remove(0);
    assert_eq!((gap.seen_seq, gap.table), (shown.first_seq + 1, Some(BookDelta::ID)));
    assert_eq!(gap.symbol.as_deref(), Some("S"));
    // An older event closes what it covers, and disturbs nothing.
    sender.send(&db, &[delta(119, false), delta(123, true), delta(141, true)]);
    assert_eq!(open_ranges(&db), [(124, 130)]);
    // A producer that begins anew ends what it had begun.
    sender.send(&db, &[delta(142, false), delta(145, false)]);
    let mut sender = Sender::new(FEED, 2);
    sender.send(&db, &[delta(150, true)]);
    assert_eq!(open_ranges(&db), [(124, 130), (146, 149)]);
    declare(&db, BACKFILL, FeedNumbers::Backfill { of: FEED });
    let mut backfill = Sender::new(BACKFILL, 1);
    backfill.send(&db, &[delta(140, false)]);
    backfill.send(&db, &[delta(148, true), delta(126, true)]);
    assert_eq!(open_ranges(&db), [(124, 125), (127, 130), (149, 149)]);
    let closed = db.system_view().feed_gaps().into_iter().filter(|gap| gap.closed_seq.is_some()).count();
    assert_eq!(closed, 3);
}

/// A row without event ends is an event of its own, and rows without a number say nothing.
#[test]
fn rows_without_number_or_event_say_nothing() {
    let db = open(options(&MemoryVfs::new(4)));
    let trade = |feed_seq| Trade { symbol: "S", feed_seq, ..Trade::default() };
    declare(&db, FEED, FeedNumbers::Ranges);
    let mut sender = Sender::new(FEED, 1);
    sender.send(
        &db,
        &[trade(None), trade(Some(0)), trade(Some(1)), trade(None), trade(Some(4)), trade(Some(u64::MAX))],
    );
    assert_eq!(open_ranges(&db), [(2, 3), (5, u64::MAX - 1)]);
    let mut nobody = Sender::new(9, 1);
    nobody.send(&db, &[trade(Some(1)), trade(Some(9))]);
    Sender::new(0, 0).send(&db, &[trade(Some(1)), trade(Some(9))]);
    assert_eq!(open_ranges(&db).len(), 2, "who declares nothing has no gaps");
}

#[test]
fn another_declaration_begins_anew_and_the_same_one_changes_nothing() {
    let db = open(options(&MemoryVfs::new(5)));
    let trade = |number| Trade { symbol: "S", feed_seq: Some(number), ..Trade::default() };
    declare(&db, FEED, FeedNumbers::PerChannel);
    let known = db.producer(FEED).unwrap();
    assert_eq!((known.epoch, known.last_number, known.feed), (0, 0, FeedNumbers::PerChannel));
    let mut sender = Sender::new(FEED, 1);
    sender.send(&db, &[trade(5), trade(8)]);
    let entries = db.stats().applied_index;
    declare(&db, FEED, FeedNumbers::PerChannel);
    assert_eq!(db.stats().applied_index, entries, "nothing is written");
    sender.send(&db, &[trade(10)]);
    assert_eq!(open_ranges(&db), [(6, 7), (9, 9)]);
    declare(&db, FEED, FeedNumbers::None);
    sender.send(&db, &[trade(20)]);
    declare(&db, FEED, FeedNumbers::PerChannel);
    sender.send(&db, &[trade(1), trade(3)]);
    assert_eq!(open_ranges(&db), [(2, 2)]);
    // Who has expired keeps his declaration, and goes on anywhere.
    db.expire_producer(FEED).unwrap().wait().unwrap();
    Sender::new(FEED, 2).send(&db, &[trade(90), trade(92)]);
    assert_eq!(open_ranges(&db), [(2, 2), (91, 91)]);
    assert!(db.declare_feed(0, FeedNumbers::PerChannel).is_err());
}
