//! Replay gives the same database, whether one thread reads and applies the log or two share the work.

use std::sync::Arc;
use std::time::Duration;

use tapebook::{Batch, Durability, Options, Producer, Receipt, Trade, WalOptions};
use tapebook_vfs::{MemoryVfs, Vfs};

use crate::support::{on, open, prices, simulated, trades};

/// Everything stays in the log: more than is handed over from thread to thread at a time, several times.
const BATCHES: u32 = 60;
const ROWS: u32 = 1_000;

fn from_producer(batch_number: u64) -> Batch {
    let mut batch = Batch::from_producer(Producer { id: 7, epoch: 1, batch_number });
    let price = Some(f64::from(batch_number as u32));
    let trade = Trade { symbol: "P", ts: 1, price, ..Trade::default() };
    batch.push(trade).unwrap();
    batch
}

#[test]
fn with_and_without_threads_it_is_the_same() {
    let disk = MemoryVfs::new(9);
    let options = |background| Options {
        background,
        memtable_bytes: 1 << 30,
        wal: WalOptions { segment_bytes: 4 << 20, ..WalOptions::default() },
        ..on(Arc::new(disk.clone()) as Arc<dyn Vfs>)
    };
    let db = open(options(false));
    let mut first = None;
    for batch in 0..BATCHES {
        let price = batch * ROWS;
        db.append(trades("S", price.into(), price..price + ROWS), Durability::Synced)
            .unwrap()
            .wait()
            .unwrap();
        // Refused and repeated batches are in the log, too.
        let number = u64::from(batch / 2) + 1;
        let receipt = db.append(from_producer(number), Durability::Synced).unwrap().wait().unwrap();
        first.get_or_insert(receipt);
        let gap = db.append(from_producer(number + 5), Durability::Synced).unwrap().wait();
        assert!(gap.is_err(), "{gap:?}");
    }
    let (all, numbered) = (prices(&db.snapshot(), "S"), prices(&db.snapshot(), "P"));
    assert_eq!((all.len() as u32, numbered.len() as u32), (BATCHES * ROWS, BATCHES / 2));
    db.close().unwrap();

    for (opened, background) in (0..).zip([true, false, true]) {
        let db = open(options(background));
        let report = db.open_report();
        // The membership of the cluster of one, three batches each time, and what each open before this one added.
        assert_eq!(report.replayed_entries, 1 + 3 * u64::from(BATCHES) + opened);
        assert!(report.replayed_bytes > 4 << 20, "{} bytes", report.replayed_bytes);
        assert!(prices(&db.snapshot(), "S") == all);
        assert_eq!(prices(&db.snapshot(), "P"), numbered);
        let again = db.append(from_producer(1), Durability::Synced).unwrap().wait().unwrap();
        assert_eq!(again, Receipt { duplicate: true, ..first.unwrap() });
        db.close().unwrap();
    }
}

#[test]
fn a_log_of_entries_without_rows_does_not_grow() {
    let disk = MemoryVfs::new(3);
    let options = || Options {
        recovery_target: Duration::ZERO,
        wal: WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 32 << 10, ..WalOptions::default() },
        ..simulated(&disk)
    };
    let db = open(options());
    let producer = Producer { id: 1, epoch: 1, batch_number: 1 };
    let batch = || {
        let mut batch = Batch::from_producer(producer);
        for ts in 0..10 {
            batch.push(Trade { symbol: "A", ts, price: Some(1.0), ..Trade::default() }).unwrap();
        }
        batch
    };
    let first = db.append(batch(), Durability::Synced).unwrap().wait().unwrap();
    for _ in 0..3_000 {
        let again = db.append(batch(), Durability::Synced).unwrap().wait().unwrap();
        assert_eq!(
            (again.first_seq, again.last_seq, again.duplicate),
            (first.first_seq, first.last_seq, true)
        );
    }
    db.close().unwrap();

    let db = open(options());
    let replayed = db.open_report().replayed_bytes;
    // The smallest bound there is, for the active MemTable and those that wait.
    assert!(replayed <= 5 * (64 << 10), "{replayed} bytes");
    assert_eq!(db.snapshot().pieces().tables.len(), 1, "what has no rows makes no file");
    let again = db.append(batch(), Durability::Synced).unwrap().wait().unwrap();
    assert!(again.duplicate && again.first_seq == first.first_seq);
    let trades = db.snapshot().scan::<Trade>("A", ..).unwrap().count();
    assert_eq!(trades, 10);
}
