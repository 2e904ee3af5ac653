//! What is written is read: from the log's replay, the MemTable and SSTables alike.

use tapebook::{AppendError, Db, Durability, Id, OpenError, StandardTable, TimeRange, Trade};
use tapebook_vfs::MemoryVfs;

use crate::support::{open, prices, simulated, trades};

#[test]
fn rows_are_the_same_before_and_after_flush_and_restart() {
    let vfs = MemoryVfs::new(1);
    let mut expected = Vec::new();
    {
        let db = open(simulated(&vfs));
        assert!(db.open_report().created);
        for batch in 0..20_u32 {
            let first = batch * 10;
            let receipt = db
                .append(trades("B", i64::from(first), first..first + 10), Durability::Synced)
                .unwrap()
                .wait()
                .unwrap();
            assert_eq!((receipt.first_seq, receipt.last_seq), (u64::from(first) + 1, u64::from(first) + 10));
            expected.extend((first..first + 10).map(|n| (i64::from(n), u64::from(n) + 1, f64::from(n))));
            assert_eq!(prices(&db.snapshot(), "B"), expected);
            if batch == 9 {
                db.flush().unwrap();
                assert_eq!(db.snapshot().pieces().tables.len(), 1);
                assert_eq!(prices(&db.snapshot(), "B"), expected);
            }
        }
        db.close().unwrap();
    }
    let db = open(simulated(&vfs));
    assert!(!db.open_report().created);
    assert_eq!(db.open_report().replayed_entries, 10);
    let snapshot = db.snapshot();
    assert_eq!(prices(&snapshot, "B"), expected);
    assert_eq!(snapshot.visible_seq(), 200);
    let receipt = db.append(trades("A", 5, 900..901), Durability::Synced).unwrap().wait().unwrap();
    assert_eq!(receipt.first_seq, 201);
    // The older snapshot does not change.
    assert_eq!(prices(&snapshot, "A"), []);
    assert_eq!(prices(&db.snapshot(), "A"), [(5, 201, 900.0)]);
}

#[test]
fn late_rows_are_merged_by_time_across_files_and_memtables() {
    let vfs = MemoryVfs::new(2);
    let db = open(simulated(&vfs));
    for (round, first_ts) in [100, 50, 75, 0, 110].into_iter().enumerate() {
        let first = round as u32 * 100;
        db.append(trades("S", first_ts, first..first + 30), Durability::Synced).unwrap().wait().unwrap();
        if round % 2 == 1 {
            db.flush().unwrap();
        }
    }
    let snapshot = db.snapshot();
    let forward = prices(&snapshot, "S");
    assert_eq!(forward.len(), 150);
    assert!(forward.is_sorted_by_key(|(ts, seq, _)| (*ts, *seq)));
    let mut backward: Vec<_> = snapshot
        .scan_back::<Trade>("S", ..)
        .unwrap()
        .map(|trade| trade.unwrap())
        .map(|trade| (trade.ts(), trade.seq(), trade.price().unwrap()))
        .collect();
    backward.reverse();
    assert_eq!(forward, backward);
    let middle: Vec<_> =
        snapshot.scan::<Trade>("S", 60..=80).unwrap().map(|trade| trade.unwrap().ts()).collect();
    assert_eq!(
        middle,
        forward.iter().map(|(ts, ..)| *ts).filter(|ts| (60..=80).contains(ts)).collect::<Vec<_>>()
    );

    let last = snapshot.last_record::<Trade>("S", 90).unwrap().unwrap();
    let expected =
        forward.iter().filter(|(ts, ..)| *ts <= 90).max_by_key(|(ts, seq, _)| (*ts, *seq)).unwrap();
    assert_eq!((last.ts(), last.seq()), (expected.0, expected.1));
    for (ts, seq, price) in &forward {
        let found = snapshot.get(Trade::ID, "S", *ts, *seq).unwrap().unwrap();
        assert_eq!((found.ts(), found.seq()), (*ts, *seq));
        let by_id = snapshot.by_id(Trade::ID, "trade_id", Id::Number(*price as u64)).unwrap();
        assert_eq!(by_id.iter().map(|record| record.seq()).collect::<Vec<_>>(), [*seq]);
    }
    assert_eq!(snapshot.scan_table(Trade::ID, TimeRange::ALL).count(), 150);
    assert!(snapshot.by_id(Trade::ID, "price", Id::Number(1)).unwrap_err().to_string().contains("trade_id"));
}

#[test]
fn a_retry_gets_the_first_receipt_also_after_flush_and_restart() {
    let vfs = MemoryVfs::new(3);
    let numbered = |number| {
        let producer = tapebook::Producer { id: 7, epoch: 1, batch_number: number };
        let mut batch = tapebook::Batch::from_producer(producer);
        batch.push(Trade { symbol: "S", ts: number as i64, ..Trade::default() }).unwrap();
        batch
    };
    let db = open(simulated(&vfs));
    let first = db.append(numbered(1), Durability::Synced).unwrap().wait().unwrap();
    db.flush().unwrap();
    let second = db.append(numbered(2), Durability::Synced).unwrap().wait().unwrap();
    drop(db);
    let db = open(simulated(&vfs));
    for (number, receipt) in [(1, first), (2, second)] {
        let again = db.append(numbered(number), Durability::Synced).unwrap().wait().unwrap();
        assert_eq!(again, tapebook::Receipt { duplicate: true, ..receipt });
    }
    let gap = db.append(numbered(4), Durability::Synced).unwrap().wait().unwrap_err();
    assert!(matches!(gap, AppendError::Producer(_)), "{gap}");
    assert_eq!(db.snapshot().visible_seq(), 2);
}

#[test]
fn threads_append_and_read_while_memtables_are_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let options = tapebook::Options { memtable_bytes: 256 << 10, ..tapebook::Options::default() };
    let db = Db::open_with(dir.path(), options).unwrap();
    let (writers, batches) = (8_u32, 40_u32);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let db = &db;
            scope.spawn(move || {
                let symbol = format!("S{writer}");
                for batch in 0..batches {
                    let first = batch * 100;
                    db.append(trades(&symbol, i64::from(first), first..first + 100), Durability::Synced)
                        .unwrap()
                        .wait()
                        .unwrap();
                    let seen = prices(&db.snapshot(), &symbol);
                    assert_eq!(seen.len() as u32, first + 100, "what is acknowledged is visible");
                }
            });
        }
    });
    db.flush().unwrap();
    let snapshot = db.snapshot();
    assert_eq!(snapshot.visible_seq(), u64::from(writers * batches * 100));
    let mut seqs: Vec<u64> =
        snapshot.scan_table(Trade::ID, TimeRange::ALL).map(|record| record.unwrap().seq()).collect();
    seqs.sort_unstable();
    assert!(seqs.iter().copied().eq(1..=u64::from(writers * batches * 100)), "dense, each once");
    db.close().unwrap();
    let db = Db::open(dir.path()).unwrap();
    assert_eq!(db.snapshot().scan_table(Trade::ID, TimeRange::ALL).count() as u32, writers * batches * 100);
    let report = tapebook::verify(db.vfs(), dir.path(), "verify");
    assert!(matches!(report, Err(OpenError::Lock(_))), "the directory is in use");
    drop(db);
    let vfs: std::sync::Arc<dyn tapebook_vfs::Vfs> = std::sync::Arc::new(tapebook_vfs::RealVfs::new());
    let report = tapebook::verify(&vfs, dir.path(), "verify").unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.tables > 0 && report.frames > 0);
}

#[test]
fn tasks_get_their_receipts_too() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path()).unwrap();
    let pending = db.submit(trades("S", 0, 0..5).encode()).unwrap();
    struct Wake(std::thread::Thread);
    impl std::task::Wake for Wake {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Wake(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut pending = std::pin::pin!(pending);
    let receipt = loop {
        match std::future::Future::poll(pending.as_mut(), &mut context) {
            std::task::Poll::Ready(receipt) => break receipt.unwrap(),
            std::task::Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!((receipt.first_seq, receipt.last_seq), (1, 5));
}
