//! Everything is bounded, waits end, and who may not come in is told why.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{OnceLock, Weak};

use tapebook::{
    AppendError, Batch, Db, Durability, FlushError, OpenError, Options, Producer, ProducerRefusal, Trade,
    WalOptions,
};
use tapebook_vfs::{Fault, FaultRule, FaultVfs, LockError, MemoryVfs, Operation, RealVfs, Vfs};

use crate::clients::append;
use crate::hook::{Gate, HookVfs, begins_table};
use crate::support::{on, open, prices, simulated, trades};

/// A database with threads, whose every batch of 50 trades fills a MemTable.
fn small(vfs: Arc<dyn Vfs>) -> Options {
    Options { background: true, memtable_bytes: 4 << 10, frozen_memtables_max: 2, ..on(vfs) }
}

fn gated(disk: &MemoryVfs) -> (Arc<Gate>, Arc<HookVfs>) {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let hook = move |operation: Operation, path: &Path| {
        if begins_table(operation, path) {
            held.pass();
        }
    };
    (gate, Arc::new(HookVfs::new(Arc::new(disk.clone()), hook)))
}

#[test]
fn appends_wait_while_too_many_memtables_wait_to_be_flushed() {
    let disk = MemoryVfs::new(1);
    let (gate, vfs) = gated(&disk);
    let db = open(small(vfs));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3_u32)
            .map(|writer| {
                let db = &db;
                scope.spawn(move || {
                    for batch in 0..10 {
                        let first = (writer * 10 + batch) * 50;
                        append(db, trades("S", first.into(), first..first + 50));
                    }
                })
            })
            .collect();
        while db.stats().stalls < 3 {
            std::thread::yield_now();
        }
        // Each writer may have had a batch on its way when the bound was reached.
        let held = db.stats().frozen_memtables;
        assert!((2..=2 + 3).contains(&held), "{held}");
        assert_eq!(prices(&db.snapshot(), "S").len(), held * 50, "reads go on");
        gate.open();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    let stats = db.stats();
    assert!(stats.stalls >= 3 && stats.stall_time > std::time::Duration::ZERO, "{stats:?}");
    assert_eq!(prices(&db.snapshot(), "S").len(), 1500);
    db.close().unwrap();
    assert_eq!(prices(&open(simulated(&disk)).snapshot(), "S").len(), 1500);
}

/// Whoever asked for a flush waits for the rows that were there then, however fast others write.
#[test]
fn a_flush_ends_although_others_go_on_writing() {
    let disk = MemoryVfs::new(2);
    let database: Arc<OnceLock<Weak<Db>>> = Arc::default();
    let flushes = Arc::new(AtomicU32::new(0));
    let hook = {
        let (database, flushes) = (Arc::clone(&database), Arc::clone(&flushes));
        move |operation: Operation, path: &Path| {
            let db = database.get().and_then(Weak::upgrade).filter(|_| begins_table(operation, path));
            if let Some(db) = db {
                // While one MemTable is written to its file, another one is filled.
                let first = flushes.fetch_add(1, Ordering::SeqCst) * 50 + 50;
                if first < 5_000 {
                    append(&db, trades("S", first.into(), first..first + 50));
                }
            }
        }
    };
    let vfs = Arc::new(HookVfs::new(Arc::new(disk.clone()), hook));
    let db = Arc::new(open(Options { frozen_memtables_max: 1_000, ..small(vfs) }));
    append(&db, trades("S", 0, 0..10));
    database.set(Arc::downgrade(&db)).unwrap();
    db.flush().unwrap();
    assert!(flushes.load(Ordering::SeqCst) < 90, "the flush went after the rows that came later");
    assert!(!db.snapshot().pieces().tables.is_empty());
    // The thread that is inside the hook has the other reference for a moment.
    let mut db = db;
    let db = loop {
        match Arc::try_unwrap(db) {
            Ok(db) => break db,
            Err(shared) => db = shared,
        }
    };
    db.close().unwrap();
}

#[test]
fn closing_and_dropping_end_while_a_flush_is_under_way() {
    for close in [true, false] {
        let disk = MemoryVfs::new(3);
        let (gate, vfs) = gated(&disk);
        let db = open(Options { frozen_memtables_max: 100, ..small(vfs) });
        append(&db, trades("S", 0, 0..50));
        append(&db, trades("S", 50, 50..100));
        gate.wait_for_arrival();
        let accepted: Vec<_> = (0..5_u32)
            .map(|batch| db.append(trades("T", 0, batch..batch + 1), Durability::Buffered).unwrap())
            .collect();
        let ending = std::thread::spawn(move || if close { db.close().unwrap() } else { drop(db) });
        gate.open();
        ending.join().unwrap();
        for pending in accepted {
            pending.wait().expect("what was accepted is written before the end");
        }
        let db = open(simulated(&disk));
        assert_eq!(prices(&db.snapshot(), "S").len(), 100);
        assert_eq!(prices(&db.snapshot(), "T").len(), 5);
    }
}

#[test]
fn without_threads_what_was_accepted_ends_with_the_database() {
    let disk = MemoryVfs::new(4);
    let db = open(simulated(&disk));
    let pending = db.append(trades("S", 0, 0..5), Durability::Buffered).unwrap();
    drop(db);
    let error = pending.wait().unwrap_err();
    assert!(matches!(&error, AppendError::Log(_)), "{error}");
    let db = open(simulated(&disk));
    assert_eq!(prices(&db.snapshot(), "S"), []);
    let pending = db.append(trades("S", 0, 0..5), Durability::Buffered).unwrap();
    db.close().unwrap();
    assert_eq!(pending.wait().unwrap().last_seq, 5);
    assert_eq!(prices(&open(simulated(&disk)).snapshot(), "S").len(), 5);
}

#[test]
fn nobody_waits_for_a_flush_that_a_panic_ended() {
    let disk = MemoryVfs::new(5);
    let panicking = |operation: Operation, path: &Path| {
        assert!(!begins_table(operation, path), "a flush that panics");
    };
    let db = open(small(Arc::new(HookVfs::new(Arc::new(disk.clone()), panicking))));
    append(&db, trades("S", 0, 0..10));
    assert!(matches!(db.flush().unwrap_err(), FlushError::Again(_)));
    assert!(matches!(db.flush().unwrap_err(), FlushError::Again(_)), "also the second time");
    let mut written = 10_u32;
    let error = loop {
        match db.append(trades("S", written.into(), written..written + 50), Durability::Synced) {
            Ok(pending) => drop(pending.wait().unwrap()),
            Err(error) => break error,
        }
        written += 50;
        assert!(written < 1_000);
    };
    assert!(matches!(error, AppendError::FlushFailing(_)), "{error}");
    assert_eq!(prices(&db.snapshot(), "S").len() as u32, written, "reads go on");
    db.close().unwrap();
    assert_eq!(prices(&open(simulated(&disk)).snapshot(), "S").len() as u32, written);
}

#[test]
fn at_least_one_memtable_may_wait() {
    for background in [true, false] {
        let disk = MemoryVfs::new(6);
        let db = open(Options { frozen_memtables_max: 0, background, ..small(Arc::new(disk)) });
        for batch in 0..10_u32 {
            append(&db, trades("S", batch.into(), batch * 50..batch * 50 + 50));
        }
        assert_eq!(prices(&db.snapshot(), "S").len(), 500);
    }
}

/// The bounds are settings: were they asked when the log is replayed, a smaller one would lose acknowledged rows, and
/// a larger one would bring back what was refused.
#[test]
fn bounds_decide_about_new_batches_and_never_about_written_ones() {
    let numbered = |producer: u64, batch_number: u64, symbol: &str| {
        let mut batch = Batch::from_producer(Producer { id: producer, epoch: 1, batch_number });
        batch.push(Trade { symbol, ts: 1, price: Some(1.0), ..Trade::default() }).unwrap();
        batch
    };
    let disk = MemoryVfs::new(7);
    let bounded = |max| Options { symbols_max: max, producers_max: max, ..simulated(&disk) };
    let db = open(bounded(5));
    for id in 1..=5 {
        append(&db, numbered(id, 1, &format!("S{id}")));
    }
    let refused = |db: &Db, batch| db.append(batch, Durability::Synced).unwrap_err();
    let error = refused(&db, numbered(1, 2, "S6"));
    assert!(matches!(&error, AppendError::TooManySymbols { name, max: 5 } if name == "S6"), "{error}");
    let error = refused(&db, numbered(6, 1, "S1"));
    assert!(
        matches!(error, AppendError::Producer(ProducerRefusal::TooMany { producer: 6, max: 5 })),
        "{error}"
    );
    drop(db);

    let db = open(bounded(2));
    for id in 1..=5 {
        assert_eq!(prices(&db.snapshot(), &format!("S{id}")).len(), 1, "an acknowledged row");
        append(&db, numbered(id, 2, "S1"));
    }
    assert!(matches!(refused(&db, numbered(1, 3, "S6")), AppendError::TooManySymbols { max: 2, .. }));
    drop(db);

    let db = open(bounded(100));
    assert_eq!(db.snapshot().visible_seq(), 10, "what was refused stays away");
    append(&db, numbered(6, 1, "S6"));
}

/// A number below the first one must be refused, not taken for one of an older epoch's.
#[test]
fn impossible_numbers_are_refused_and_do_no_harm() {
    let disk = MemoryVfs::new(8);
    let numbered = |epoch, batch_number| {
        let mut batch = Batch::from_producer(Producer { id: 1, epoch, batch_number });
        batch.push(Trade { symbol: "S", ts: 1, ..Trade::default() }).unwrap();
        batch
    };
    let db = open(simulated(&disk));
    append(&db, numbered(1, 1));
    append(&db, numbered(1, 2));
    for (epoch, number) in [(1, 0), (2, 0), (1, u64::MAX), (2, u64::MAX), (0, 1)] {
        let pending = db.append(numbered(epoch, number), Durability::Synced).unwrap();
        let error = pending.wait().unwrap_err();
        assert!(matches!(error, AppendError::Producer(_)), "{error}");
    }
    drop(db);
    let db = open(simulated(&disk));
    assert_eq!(append(&db, numbered(2, 1)).first_seq, 3);
}

#[test]
fn a_directory_has_one_owner_who_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let named = |command: &str| Options { command: command.to_owned(), ..Options::default() };
    let db = Db::open_with(dir.path(), named("tapebook serve --data here")).unwrap();
    let error = Db::open_with(dir.path(), named("other")).unwrap_err();
    assert!(matches!(error, OpenError::Lock(LockError::InUse { .. })), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("tapebook serve --data here") && text.contains(&std::process::id().to_string()),
        "{text}"
    );
    append(&db, trades("S", 0, 0..5));
    drop(db);
    assert_eq!(Db::open(dir.path()).unwrap().snapshot().visible_seq(), 5);

    let disk = MemoryVfs::new(9);
    let db = open(simulated(&disk));
    assert!(matches!(Db::open_with("/db", simulated(&disk)), Err(OpenError::Lock(_))));
    drop(db);
    open(simulated(&disk));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "what is in this directory is not the database's")]
fn a_directory_that_cannot_be_used_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("photos");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("cat.jpg"), b"meow").unwrap();
    let error = Db::open(&foreign).unwrap_err();
    assert!(
        matches!(&error, OpenError::Foreign { path, found } if *path == foreign && found == "cat.jpg"),
        "{error}"
    );
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let report = tapebook::verify(&vfs, &foreign, "verify").unwrap();
    assert!(report.problems[0].contains("IDENTITY"), "{report:?}");
    let left: Vec<_> = std::fs::read_dir(&foreign).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["cat.jpg"], "nothing was put beside it");

    let below_file = foreign.join("cat.jpg").join("db");
    let error = Db::open(&below_file).unwrap_err();
    assert!(matches!(&error, OpenError::Io { path, .. } if *path == below_file), "{error}");

    for operation in [Operation::CreateDir, Operation::ReadDir, Operation::Lock] {
        let denied = FaultRule::new(Fault::Error(std::io::ErrorKind::PermissionDenied)).on(operation);
        let vfs = FaultVfs::new(Arc::new(MemoryVfs::new(10)), denied.into());
        let text = Db::open_with("/db", on(Arc::new(vfs))).unwrap_err().to_string();
        assert!(text.contains("/db"), "{text}");
    }
    let impossible = WalOptions { segment_bytes: 1, ..WalOptions::default() };
    let error =
        Db::open_with("/db", Options { wal: impossible, ..simulated(&MemoryVfs::new(11)) }).unwrap_err();
    assert!(error.to_string().contains("segment_bytes"), "{error}");
}

#[test]
fn rows_of_the_far_future_and_empty_batches_are_refused() {
    let disk = MemoryVfs::new(12);
    let hour = std::time::Duration::from_secs(3_600);
    let db = open(Options { max_future: Some(hour), ..simulated(&disk) });
    let now = disk.clock().unix_nanos();
    append(&db, trades("S", now + 3_500_000_000_000, 0..2));
    let error = db.append(trades("S", now + 3_700_000_000_000, 0..2), Durability::Synced).unwrap_err();
    assert!(matches!(error, AppendError::Future { row: 0, max_future_seconds: 3_600, .. }), "{error}");
    assert!(matches!(db.append(Batch::new(), Durability::Synced).unwrap_err(), AppendError::Empty));
    assert_eq!(db.snapshot().visible_seq(), 2);
}

#[test]
fn unsynced_bytes_are_bounded() {
    let disk = MemoryVfs::new(13);
    let waiting = Arc::new(AtomicU64::new(0));
    let wal = WalOptions { unsynced_bytes_max: 64 << 10, segment_bytes: 4 << 20, ..WalOptions::default() };
    let db = open(Options { background: true, wal, memtable_bytes: 64 << 20, ..on(Arc::new(disk)) });
    std::thread::scope(|scope| {
        for writer in 0..4_u32 {
            let (db, waiting) = (&db, &waiting);
            scope.spawn(move || {
                let mut accepted = Vec::new();
                for batch in 0..30 {
                    let first = (writer * 30 + batch) * 50;
                    let pending =
                        db.append(trades("S", first.into(), first..first + 50), Durability::Buffered);
                    accepted.push(pending.unwrap());
                    waiting.fetch_max(db.stats().wal.unsynced_bytes, Ordering::Relaxed);
                }
                for pending in accepted {
                    pending.wait().unwrap();
                }
            });
        }
    });
    assert!(waiting.load(Ordering::Relaxed) <= 64 << 10, "{waiting:?}");
    assert_eq!(db.snapshot().visible_seq(), 6_000);
}
