//! No acknowledgement before the sync that covers it, and nothing to be seen before it either.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use tapebook::{AppendError, Db, Durability, Options, PendingAppend};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Operation, Vfs};

use crate::clients::{Clients, append, check_survivors, send};
use crate::hook::{HookVfs, is_segment};
use crate::rows::{batch_of, everything};
use crate::support::{on, open, prices, simulated, trades};

/// Segments that were written and not synced since.
fn unsynced_segments(disk: &MemoryVfs) -> BTreeSet<std::path::PathBuf> {
    let mut unsynced = BTreeSet::new();
    for call in disk.operations().into_iter().filter(|call| call.path.starts_with("/db/wal")) {
        match call.operation {
            Operation::Write if !call.path.ends_with("MARK") => drop(unsynced.insert(call.path)),
            Operation::Sync => drop(unsynced.remove(&call.path)),
            _ => {}
        }
    }
    unsynced
}

#[test]
fn a_receipt_comes_after_the_sync_that_covers_it() {
    let disk = MemoryVfs::new(1);
    disk.set_trace(true);
    let db = open(simulated(&disk));
    let mut accepted: Vec<PendingAppend> = Vec::new();
    for batch in 0..60_u32 {
        let durability = if batch % 4 == 3 { Durability::Synced } else { Durability::Buffered };
        let visible = db.snapshot().visible_seq();
        let pending = db.append(trades("S", batch.into(), batch * 9..batch * 9 + 9), durability).unwrap();
        if durability == Durability::Buffered {
            assert!(pending.poll_receipt().is_none(), "accepted is not durable");
            assert_eq!(db.snapshot().visible_seq(), visible, "what is not synced is not seen");
            accepted.push(pending);
            continue;
        }
        assert_eq!(unsynced_segments(&disk), BTreeSet::new());
        for pending in accepted.drain(..).chain([pending]) {
            pending.poll_receipt().expect("a sync covers it").unwrap();
        }
    }
    let pending = db.append(trades("S", 60, 900..901), Durability::Buffered).unwrap();
    db.drive().unwrap();
    assert_eq!(unsynced_segments(&disk), BTreeSet::new());
    assert_eq!(pending.wait().unwrap().first_seq, 541);
}

#[test]
fn a_power_cut_at_any_moment_leaves_all_that_was_seen_or_acknowledged() {
    let disk = MemoryVfs::new(2);
    let database: Arc<OnceLock<Weak<Db>>> = Arc::default();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let checks = Arc::new(AtomicU64::new(0));
    let lost: Arc<Mutex<Vec<String>>> = Arc::default();
    let check = {
        let (disk, database, acknowledged) = (disk.clone(), Arc::clone(&database), Arc::clone(&acknowledged));
        let (checks, lost) = (Arc::clone(&checks), Arc::clone(&lost));
        move |operation: Operation, path: &Path| {
            let Some(db) = database.get().and_then(Weak::upgrade) else { return };
            if !is_segment(path) || !matches!(operation, Operation::Write | Operation::Sync) {
                return;
            }
            let promised = db.snapshot().visible_seq().max(acknowledged.load(Ordering::SeqCst));
            let after = disk.fork();
            let seed = checks.fetch_add(1, Ordering::SeqCst);
            after.crash(seed);
            let found = open(simulated(&after)).snapshot().visible_seq();
            if found < promised {
                lost.lock().unwrap().push(format!("{promised} was seen or acknowledged, {found} survives"));
            }
        }
    };
    let vfs = Arc::new(HookVfs::new(Arc::new(disk.clone()), check));
    let db = Arc::new(open(Options { background: true, ..on(vfs) }));
    database.set(Arc::downgrade(&db)).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4_u32 {
            let (db, acknowledged) = (&db, &acknowledged);
            scope.spawn(move || {
                for batch in 0..30_u32 {
                    let first = (writer * 30 + batch) * 5;
                    let durability = if batch % 3 == 0 { Durability::Buffered } else { Durability::Synced };
                    let pending = db.append(trades("S", first.into(), first..first + 5), durability).unwrap();
                    acknowledged.fetch_max(pending.wait().unwrap().last_seq, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(*lost.lock().unwrap(), Vec::<String>::new());
    assert!(checks.load(Ordering::SeqCst) > 40);
    assert_eq!(acknowledged.load(Ordering::SeqCst), 600);
}

#[test]
fn after_a_failed_sync_nothing_is_promised_and_a_restart_decides() {
    for seed in 0..200 {
        let disk = MemoryVfs::new(seed);
        let mut clients = Clients::new(seed);
        let db = open(simulated(&disk));
        for _ in 0..5 {
            let sent = clients.next_batch();
            assert!(send(&db, &mut clients, sent, Durability::Synced));
        }
        clients.collect_receipts();
        let before = everything(&db.snapshot());
        disk.fail_next_sync(".log");
        let sent = clients.next_batch();
        let pending = db.append(batch_of(sent.producer, &sent.rows), Durability::Synced).unwrap();
        let error = pending.poll_receipt().expect("an answer").unwrap_err();
        assert!(matches!(&error, AppendError::Log(error) if error.is_poisoned()), "{error}");
        clients.unsettled.push(sent);
        assert_eq!(everything(&db.snapshot()), before, "its rows are not to be seen, and reads go on");
        for _ in 0..2 {
            let next = clients.next_batch();
            let error = db.append(batch_of(next.producer, &next.rows), Durability::Synced).unwrap_err();
            assert!(matches!(&error, AppendError::Log(error) if error.is_poisoned()), "{error}");
        }
        assert!(db.close().unwrap_err().to_string().contains("cannot sync"));
        if seed % 2 == 0 {
            disk.crash(seed);
        }
        // The pages of the failed sync may be in the cache only: what the restart shows must be durable by then.
        let db = open(simulated(&disk));
        let survived = everything(&db.snapshot());
        check_survivors(&survived, &before, &clients);
        drop(db);
        disk.crash(seed + 1);
        let db = open(simulated(&disk));
        assert_eq!(everything(&db.snapshot()), survived);
        clients.send_again(&db, &survived);
    }
}

#[test]
fn everybody_who_waits_for_a_failed_sync_is_told() {
    let disk = MemoryVfs::new(3);
    let fault = FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none());
    let db = open(Options { background: true, ..on(Arc::new(fault.clone())) });
    append(&db, trades("S", 0, 0..5));
    fault.set_plan(
        FaultRule::new(Fault::Error(ErrorKind::Other))
            .on(Operation::Sync)
            .path_contains(".log")
            .nth(3)
            .for_ever()
            .into(),
    );
    let promised: u64 = std::thread::scope(|scope| {
        let writers: Vec<_> = (1..9_u32)
            .map(|writer| {
                let db = &db;
                scope.spawn(move || {
                    let mut promised = 0;
                    for batch in 0..50 {
                        let first = (writer * 50 + batch) * 5;
                        let batch = trades("S", first.into(), first..first + 5);
                        match db.append(batch, Durability::Buffered).and_then(PendingAppend::wait) {
                            Ok(_) => promised += 1,
                            Err(error) => assert!(
                                matches!(&error, AppendError::Log(error) if error.is_poisoned()),
                                "{error}"
                            ),
                        }
                    }
                    promised
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(prices(&db.snapshot(), "S").len() as u64, 5 + promised * 5);
    drop(db);
    let db = open(simulated(&disk));
    assert!(prices(&db.snapshot(), "S").len() as u64 >= 5 + promised * 5);
}

#[test]
fn nobody_waits_for_a_thread_that_a_panic_ended() {
    let disk = MemoryVfs::new(4);
    let syncs = Arc::new(AtomicU64::new(0));
    let panicking = {
        let syncs = Arc::clone(&syncs);
        move |operation: Operation, path: &Path| {
            if operation == Operation::Sync && is_segment(path) && syncs.fetch_add(1, Ordering::SeqCst) == 2 {
                panic!("a sync that panics");
            }
        }
    };
    let vfs = Arc::new(HookVfs::new(Arc::new(disk.clone()), panicking));
    let db = open(Options { background: true, ..on(vfs) });
    append(&db, trades("S", 0, 0..5));
    let pending = db.append(trades("S", 5, 5..10), Durability::Buffered).unwrap();
    let error = pending.wait().unwrap_err();
    assert!(matches!(error, AppendError::Interrupted), "{error}");
    let error = db.append(trades("S", 5, 5..10), Durability::Synced).unwrap_err();
    assert!(matches!(&error, AppendError::Log(error) if error.is_poisoned()), "{error}");
    assert_eq!(prices(&db.snapshot(), "S").len(), 5, "reads go on");
    db.flush().expect("what is durable can be flushed");
    drop(db);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    assert!(prices(&open(on(vfs)).snapshot(), "S").len() >= 5);
}
