//! Every single call to the disk fails in turn, and the disk is full at every place where it can be.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use tapebook::{
    AppendError, CompactionError, CompactionGoal, Db, Durability, FlushError, Options, ReadError, WalOptions,
};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Vfs};

use crate::clients::{Clients, append, check_survivors, send};
use crate::rows::{batch_of, everything, try_everything};
use crate::support::{SMALL_FILES, on, open, prices, trades};

fn options(vfs: Arc<dyn Vfs>) -> Options {
    Options {
        wal: WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 32 << 10, ..WalOptions::default() },
        memtable_bytes: 16 << 10,
        frozen_memtables_max: 2,
        compaction: SMALL_FILES,
        ..on(vfs)
    }
}

/// Opens, appends, flushes, compacts, rolls the log, closes; goes on after whatever can be gone on after.
fn work(fault: &FaultVfs, clients: &mut Clients, goal: CompactionGoal) {
    let open = || Db::open_with("/db", options(Arc::new(fault.clone())));
    let Ok(db) = open().or_else(|_| open()) else { return };
    for step in 0..26 {
        if step % 9 == 8
            && let Err(error) = db.flush()
        {
            let again = db.flush();
            let outcome_unknown = matches!(error, FlushError::Again(_));
            assert!(again.is_ok() || outcome_unknown || fault.faults() > 1, "{again:?} after {error}");
        }
        if step % 12 == 10
            && let Err(error) = db.compact(goal)
        {
            let again = db.compact(goal);
            let outcome_unknown = matches!(error, CompactionError::Files(FlushError::Again(_)));
            assert!(again.is_ok() || outcome_unknown || fault.faults() > 1, "{again:?} after {error}");
        }
        let durability = if step % 5 == 4 { Durability::Buffered } else { Durability::Synced };
        let mut sent = clients.next_batch();
        let works = send(&db, clients, sent, durability);
        clients.collect_receipts();
        if works {
            continue;
        }
        // Whoever is refused or hears nothing sends the same again.
        sent = clients.unsettled.pop().expect("it has no receipt");
        if !send(&db, clients, sent, Durability::Synced) {
            break;
        }
        clients.collect_receipts();
    }
    let _ = db.drive();
    clients.collect_receipts();
    match try_everything(&db.snapshot()) {
        Ok(shown) => {
            assert!(clients.acknowledged.iter().all(|stored| shown.contains(stored)), "reads go on");
        }
        Err(error) => {
            assert!(matches!(error, ReadError::History(_)), "only history is read from the disk: {error}")
        }
    }
    let _ = db.close();
    clients.collect_receipts();
}

fn every_call_fails(fault: Fault, for_ever: bool, goal: CompactionGoal) {
    let counting = FaultVfs::new(Arc::new(MemoryVfs::new(7)), FaultPlan::none());
    let mut clients = Clients::new(7);
    work(&counting, &mut clients, goal);
    assert!(clients.unsettled.is_empty() && clients.acknowledged.len() > 200);
    let calls = counting.calls();
    assert!(calls > 150, "{calls}");
    for call in 1..=calls {
        let disk = MemoryVfs::new(7);
        let mut clients = Clients::new(7);
        let rule = FaultRule::new(fault).nth(call);
        let rule = if for_ever { rule.for_ever() } else { rule };
        let failing = FaultVfs::new(Arc::new(disk.clone()), rule.into());
        work(&failing, &mut clients, goal);
        assert!(failing.faults() > 0, "call {call}");
        if call % 2 == 0 {
            disk.crash(call);
        }
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let db = Db::open_with("/db", options(Arc::clone(&vfs)))
            .unwrap_or_else(|error| panic!("call {call}: {error}"));
        let survived = everything(&db.snapshot());
        check_survivors(&survived, &[], &clients);
        clients.send_again(&db, &survived);
        db.flush().unwrap_or_else(|error| panic!("call {call}: {error}"));
        clients.acknowledged.sort();
        assert_eq!(everything(&db.snapshot()), clients.acknowledged, "call {call}");
        db.close().unwrap_or_else(|error| panic!("call {call}: {error}"));
        let report = tapebook::verify(&vfs, Path::new("/db"), "verify").unwrap();
        assert_eq!(report.problems, Vec::<String>::new(), "call {call}");
    }
}

#[test]
fn any_call_that_fails_once_is_a_clean_error() {
    every_call_fails(Fault::OsError(5), false, CompactionGoal::History);
}

#[test]
fn a_disk_that_dies_at_any_call_is_a_clean_stop() {
    every_call_fails(Fault::OsError(5), true, CompactionGoal::Settled);
}

#[test]
fn a_disk_that_is_full_at_any_call_is_a_clean_error() {
    every_call_fails(Fault::Error(ErrorKind::StorageFull), false, CompactionGoal::History);
}

#[test]
fn a_write_that_stops_half_way_at_any_call_is_a_clean_error() {
    every_call_fails(
        Fault::ShortWrite { bytes: 100, error: ErrorKind::Other },
        false,
        CompactionGoal::Settled,
    );
}

/// Leaves no room for anything new.
fn fill(disk: &MemoryVfs, room_bytes: u64) {
    const LARGE: u64 = 1 << 40;
    disk.set_capacity_bytes(Some(LARGE));
    let available = disk.available_bytes(Path::new("/db")).unwrap();
    disk.set_capacity_bytes(Some(LARGE - available + room_bytes));
}

fn a_full_disk_stops_flushes(background: bool) {
    let disk = MemoryVfs::new(11);
    let roomy = WalOptions { segment_bytes: 4 << 20, ..WalOptions::default() };
    let options = Options { wal: roomy, background, ..options(Arc::new(disk.clone())) };
    let db = open(options);
    append(&db, trades("S", 0, 0..50));
    db.flush().unwrap();
    fill(&disk, 0);
    let mut written = 50_u32;
    let error = loop {
        let batch = trades("S", written.into(), written..written + 50);
        match db.append(batch, Durability::Synced).and_then(tapebook::PendingAppend::wait) {
            Ok(_) => written += 50,
            Err(error) => break error,
        }
        assert!(written < 10_000, "MemTables pile up without a bound");
    };
    assert!(matches!(error, AppendError::FlushFailing(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("/db/tables/") || text.contains("/db/state/"), "it names the file: {text}");
    assert!(written >= 150, "writes went on for a while: {written}");
    assert!(db.stats().frozen_memtables <= 3);
    assert!(!background || db.stats().flush_failing.is_some());
    assert_eq!(prices(&db.snapshot(), "S").len(), written as usize, "reads go on");

    disk.set_capacity_bytes(None);
    db.flush().unwrap();
    append(&db, trades("S", written.into(), written..written + 50));
    assert_eq!(db.stats().flush_failing, None);
    let rows = prices(&db.snapshot(), "S");
    assert_eq!(rows.len(), written as usize + 50);
    db.close().unwrap();
    assert_eq!(prices(&open(on(Arc::new(disk))).snapshot(), "S"), rows);
}

#[test]
fn a_disk_that_is_full_at_a_flush_stops_writes_until_there_is_room() {
    a_full_disk_stops_flushes(false);
    a_full_disk_stops_flushes(true);
}

fn a_full_disk_stops_segments(background: bool) {
    let disk = MemoryVfs::new(12);
    let db = open(Options { background, memtable_bytes: 64 << 20, ..options(Arc::new(disk.clone())) });
    append(&db, trades("S", 0, 0..50));
    fill(&disk, 8 << 10);
    let mut written = 50_u32;
    let error = loop {
        let batch = trades("S", written.into(), written..written + 50);
        match db.append(batch, Durability::Synced) {
            Ok(pending) => drop(pending.wait().unwrap()),
            Err(error) => break error,
        }
        written += 50;
        assert!(written < 10_000);
    };
    let AppendError::Log(no_space) = &error else { panic!("{error}") };
    assert!(matches!(no_space, tapebook_wal::WalError::NoSpace { .. }), "{error}");
    assert!(error.to_string().contains("/db/wal/"), "{error}");
    assert_eq!(prices(&db.snapshot(), "S").len(), written as usize, "reads go on");

    disk.set_capacity_bytes(None);
    append(&db, trades("S", written.into(), written..written + 50));
    let rows = prices(&db.snapshot(), "S");
    assert_eq!(rows.len(), written as usize + 50);
    db.close().unwrap();
    assert_eq!(prices(&open(on(Arc::new(disk))).snapshot(), "S"), rows);
}

#[test]
fn a_disk_that_is_full_at_a_new_segment_stops_writes_until_there_is_room() {
    a_full_disk_stops_segments(false);
    a_full_disk_stops_segments(true);
}

/// The version edit may have reached the disk although its sync failed. A second attempt at the flush would remove and
/// rewrite the files that this edit names, and a crash in between would leave a database that cannot be opened.
#[test]
fn after_a_version_edit_of_unknown_outcome_no_file_is_touched() {
    let disk = MemoryVfs::new(13);
    let db = open(options(Arc::new(disk.clone())));
    append(&db, batch_of(tapebook::Producer::default(), &Clients::new(1).next_batch().rows));
    let rows = everything(&db.snapshot());
    disk.fail_next_sync("MANIFEST");
    db.flush().unwrap_err();
    disk.set_trace(true);
    db.flush().unwrap_err();
    assert_eq!(disk.operations(), [], "nothing is written, renamed or removed any more");
    assert_eq!(everything(&db.snapshot()), rows);
    for seed in 0..20 {
        let after = disk.fork();
        after.crash(seed);
        assert_eq!(everything(&open(options(Arc::new(after))).snapshot()), rows);
    }
}

#[test]
fn files_that_cannot_be_removed_do_not_stop_flushes() {
    let disk = MemoryVfs::new(14);
    let rule = FaultRule::new(Fault::OsError(13))
        .on(tapebook_vfs::Operation::Remove)
        .path_contains("000002.state")
        .nth(2);
    let fault = FaultVfs::new(Arc::new(disk.clone()), rule.into());
    let db = open(options(Arc::new(fault.clone())));
    for round in 0..4_u32 {
        append(&db, trades("S", round.into(), round..round + 1));
        db.flush().unwrap();
        assert_eq!(db.stats().flush_failing, None);
        assert_eq!(db.stats().leftovers.is_some(), round == 1);
    }
    assert_eq!(fault.faults(), 1);
    let states = disk.read_dir(Path::new("/db/state")).unwrap();
    assert_eq!(states.len(), 1, "what could not be removed was removed later: {states:?}");
}
