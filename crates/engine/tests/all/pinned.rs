//! What slow readers keep in memory is bounded: the oldest are ended and told why, everything else goes on.

use tapebook::{Db, Id, Options, PinnedStats, ReadError, SeqRange, Snapshot, StandardTable, Trade};
use tapebook_vfs::MemoryVfs;

use crate::clients::append;
use crate::support::{open, prices, simulated, trades};

/// Trades of one MemTable.
const ROWS: u32 = 500;

/// A database that lets readers hold `memtables` flushed MemTables of [`ROWS`] trades, and a little.
fn bounded(disk: &MemoryVfs, memtables: u64) -> Db {
    // Only `flush` ends a MemTable.
    let large = |disk: &MemoryVfs| Options { memtable_bytes: 1 << 30, ..simulated(disk) };
    let one = {
        let db = open(large(&MemoryVfs::new(0)));
        append(&db, trades("S", 0, 0..ROWS));
        db.stats().memtable_bytes
    };
    let pinned_bytes_max = one * memtables + one / 2;
    open(Options { pinned_bytes_max, ..large(disk) })
}

/// Fills a MemTable and has it flushed.
fn fill(db: &Db, round: u32) {
    let first = round * ROWS;
    append(db, trades("S", first.into(), first..first + ROWS));
    db.flush().unwrap();
}

fn is_released(error: &ReadError) -> bool {
    let asked = error.to_string().contains("ask again, or raise the bound");
    match error {
        ReadError::Released { pinned_bytes, pinned_bytes_max } => asked && pinned_bytes > pinned_bytes_max,
        _ => false,
    }
}

#[test]
fn the_oldest_snapshots_end_and_writes_go_on() {
    let db = bounded(&MemoryVfs::new(1), 3);
    let mut readers: Vec<Snapshot> = Vec::new();
    for round in 0..10 {
        // Each holds the MemTable that this round fills.
        readers.push(db.snapshot());
        fill(&db, round);
        let pinned = db.stats().pinned;
        assert_eq!(pinned.memtables, readers.len(), "nobody has let go");
        for (number, reader) in (0..).zip(&readers) {
            let read = reader.scan::<Trade>("S", ..).map(Iterator::count);
            let newer = round - number;
            match read {
                Ok(rows) => {
                    assert!(newer < 3, "round {round}: reader {number} is beyond the bound");
                    assert_eq!(rows as u32, number * ROWS);
                }
                Err(error) => assert!(newer >= 3 && is_released(&error), "reader {number}: {error}"),
            }
        }
        assert_eq!(prices(&db.snapshot(), "S").len() as u32, (round + 1) * ROWS, "a new one reads all");
    }
    let all = db.stats().pinned;
    assert_eq!(all.memtables, 10);
    assert_eq!(all.reads_ended, (1..=7).sum::<u64>(), "each read of each round that was refused");
    readers.drain(..7);
    let rest = db.stats().pinned;
    assert_eq!((rest.memtables, rest.bytes), (3, all.bytes / 10 * 3), "what the ended ones held is free");
    drop(readers);
    assert_eq!(db.stats().pinned, PinnedStats { memtables: 0, bytes: 0, ..all });
}

/// Its rows may all be in files: what its snapshot holds counts.
#[test]
fn a_scan_ends_in_the_middle() {
    for (symbol, flushed) in [("S", true), ("S", false), ("T", true)] {
        let db = bounded(&MemoryVfs::new(2), 0);
        for part in 0..5 {
            append(&db, trades(symbol, part * 1_000, 0..1_000));
        }
        if flushed {
            db.flush().unwrap();
        }
        let snapshot = db.snapshot();
        let mut scan = snapshot.scan::<Trade>(symbol, ..).unwrap();
        let mut tables = snapshot.scan_table(Trade::ID, tapebook::TimeRange::ALL);
        assert_eq!((scan.next().unwrap().unwrap().seq(), tables.next().unwrap().unwrap().seq()), (1, 1));
        fill(&db, 10);
        let (mut rows, mut ended) = (1, None);
        for record in &mut scan {
            match record {
                Ok(record) => {
                    rows += 1;
                    assert_eq!(record.seq(), rows, "until then it gives the right rows");
                }
                Err(error) => ended = Some(error),
            }
        }
        assert!(ended.is_some_and(|error| is_released(&error)), "{symbol}: {rows} rows and no end");
        assert!(rows <= 1_024, "{rows} rows after the bound was reached");
        assert!(scan.next().is_none(), "and that is its end");
        assert!(tables.find_map(Result::err).is_some_and(|error| is_released(&error)));
        assert!(tables.next().is_none());
        let new = db.snapshot();
        let all = new.scan::<Trade>(symbol, ..).unwrap().map(Result::unwrap).count();
        assert!(all >= 5_000, "the same question, asked again");
    }
}

#[test]
fn every_kind_of_read_is_told() {
    let db = bounded(&MemoryVfs::new(3), 0);
    append(&db, trades("S", 0, 0..10));
    let snapshot = db.snapshot();
    let earlier = snapshot.as_of(5).unwrap();
    fill(&db, 1);
    assert_eq!(snapshot.visible_seq(), 10, "what needs no rows is still there");
    for old in [&snapshot, &earlier] {
        let whole = SeqRange { first: 1, last: 10 };
        let errors = [
            old.get(Trade::ID, "S", 0, 1).map(drop),
            old.last(Trade::ID, "S", i64::MAX).map(drop),
            old.by_id(Trade::ID, "trade_id", Id::Number(1)).map(drop),
            old.count_series(Trade::ID, "S").map(drop),
            old.count_rows(Trade::ID, whole).map(drop),
            old.scan_back::<Trade>("S", ..).map(drop),
            old.as_of(3).unwrap().last_record::<Trade>("S", 5).map(drop),
            old.check_held(),
        ];
        for error in errors {
            assert!(is_released(&error.expect_err("a read of a released snapshot")));
        }
    }
}

/// A MemTable that nobody holds is not held by the database itself either.
#[test]
fn without_readers_nothing_is_pinned() {
    let db = bounded(&MemoryVfs::new(4), 0);
    for round in 0..5 {
        fill(&db, round);
        assert_eq!(db.stats().pinned, PinnedStats::default());
    }
    let short = db.snapshot();
    drop(short);
    fill(&db, 5);
    assert_eq!(db.stats().pinned, PinnedStats::default());
}

/// What only the flush itself held does not count against those who read.
#[test]
fn flushes_that_nobody_reads_behind_end_nobody() {
    let db = bounded(&MemoryVfs::new(5), 1);
    let reader = db.snapshot();
    for round in 0..3 {
        fill(&db, round);
        reader.check_held().expect("one MemTable may be held");
    }
    assert_eq!(db.stats().pinned.memtables, 1);
}
