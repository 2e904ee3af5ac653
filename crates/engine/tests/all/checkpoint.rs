//! A copy of the database, taken while it is written to: all of one moment, or nothing that opens.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tapebook::{
    BuildError, CheckpointError, CheckpointReport, CompactionGoal, Db, Durability, OpenError, Options,
    WalOptions, verify,
};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Operation, RealVfs, Vfs};

use crate::clients::{Clients, append, send};
use crate::rows::{StoredRow, batch_of, everything};
use crate::support::{on, open, prices, trades};

const COPY: &str = "/backup/copy";

fn options(vfs: Arc<dyn Vfs>) -> Options {
    Options {
        wal: WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 32 << 10, ..WalOptions::default() },
        memtable_bytes: 16 << 10,
        ..on(vfs)
    }
}

fn open_copy(vfs: &Arc<dyn Vfs>) -> Result<Db, OpenError> {
    Db::open_with(COPY, options(Arc::clone(vfs)))
}

fn is_sound(vfs: &Arc<dyn Vfs>, dir: &str) {
    let report = verify(vfs, Path::new(dir), "verify").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.problems, Vec::<String>::new(), "{dir}");
}

/// Works with numbered batches; several files, and rows in memory at the end.
fn work(db: &Db, clients: &mut Clients, batches: u32) {
    for step in 0..batches {
        let sent = clients.next_batch();
        assert!(send(db, clients, sent, Durability::Synced));
        clients.collect_receipts();
        if step % 13 == 12 {
            db.flush().unwrap();
        }
    }
}

#[test]
fn a_checkpoint_is_the_database_at_one_moment() {
    let disk = MemoryVfs::new(1);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(options(Arc::clone(&vfs)));
    let mut clients = Clients::new(1);
    work(&db, &mut clients, 20);
    db.flush().unwrap();
    db.compact(CompactionGoal::History).unwrap();
    work(&db, &mut clients, 30);
    let rows = everything(&db.snapshot());
    let report = db.checkpoint(COPY).unwrap();
    assert_eq!(report.last_seq, rows.len() as u64);
    let history = db.version().history().count() as u64;
    assert!(history > 0 && report.history_files == history, "{report:?}");
    assert!(report.tables > 1 && report.files_linked == report.tables + history + 1, "{report:?}");
    assert_eq!((report.files_copied, report.bytes_copied), (0, 0));
    let at_checkpoint = clients.acknowledged.clone();
    work(&db, &mut clients, 30);
    let original = everything(&db.snapshot());
    assert!(original.len() > rows.len());

    is_sound(&vfs, COPY);
    let copy = open_copy(&vfs).unwrap();
    assert_eq!(everything(&copy.snapshot()), rows);
    assert!(copy.open_report().removed.is_empty() && !copy.open_report().created);
    // Its producers know what they have sent, and it goes its own way.
    let again = at_checkpoint.last().unwrap();
    assert!(rows.contains(again));
    let receipt = append(&copy, trades("COPY", 0, 0..5));
    assert_eq!(receipt.first_seq, report.last_seq + 1);
    copy.flush().unwrap();
    copy.close().unwrap();
    assert_eq!(everything(&db.snapshot()), original);
    db.close().unwrap();
    is_sound(&vfs, "/db");
    is_sound(&vfs, COPY);
    assert_eq!(everything(&open_copy(&vfs).unwrap().snapshot()).len(), rows.len() + 5);
}

#[test]
fn a_checkpoint_that_was_reported_survives_a_power_cut() {
    for code in [None, Some(18)] {
        let disk = MemoryVfs::new(12);
        let no_links = |code| FaultRule::new(Fault::OsError(code)).on(Operation::HardLink).for_ever();
        let plan = code.map_or(FaultPlan::none(), |code| no_links(code).into());
        let db = open(options(Arc::new(FaultVfs::new(Arc::new(disk.clone()), plan))));
        work(&db, &mut Clients::new(12), 20);
        db.flush().unwrap();
        let receipt = append(&db, trades("LAST", 0, 0..2));
        let rows = everything(&db.snapshot());
        db.checkpoint(COPY).unwrap();
        for seed in 0..40 {
            let after = disk.fork();
            after.crash(seed);
            let vfs: Arc<dyn Vfs> = Arc::new(after);
            is_sound(&vfs, COPY);
            let copy = open_copy(&vfs).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(copy.snapshot().visible_seq(), receipt.last_seq);
            assert_eq!(everything(&copy.snapshot()), rows, "seed {seed}");
        }
    }
}

#[test]
fn producers_are_known_to_the_checkpoint() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(2));
    let db = open(options(Arc::clone(&vfs)));
    let mut clients = Clients::new(2);
    let sent = clients.next_batch();
    let first = append(&db, batch_of(sent.producer, &sent.rows));
    db.checkpoint(COPY).unwrap();
    let copy = open_copy(&vfs).unwrap();
    let again = append(&copy, batch_of(sent.producer, &sent.rows));
    assert!(again.duplicate);
    assert_eq!((again.first_seq, again.last_seq), (first.first_seq, first.last_seq));
}

/// Entries that hold no rows are in no MemTable, so no flush takes them along; the checkpoint has them in its log.
#[test]
fn entries_without_rows_are_in_the_checkpoint() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(3));
    let db = open(options(Arc::clone(&vfs)));
    let mut clients = Clients::new(3);
    let sent = clients.next_batch();
    append(&db, batch_of(sent.producer, &sent.rows));
    db.flush().unwrap();
    for _ in 0..3 {
        // Duplicates take their place in the log, and nothing else.
        assert!(append(&db, batch_of(sent.producer, &sent.rows)).duplicate);
    }
    let report = db.checkpoint(COPY).unwrap();
    assert_eq!(report.log_entries, 3);
    let copy = open_copy(&vfs).unwrap();
    assert_eq!(copy.open_report().replayed_entries, 3);
    assert_eq!(everything(&copy.snapshot()), everything(&db.snapshot()));
    drop(copy);
    is_sound(&vfs, COPY);
}

#[test]
fn an_empty_database_has_a_checkpoint() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(4));
    let db = open(options(Arc::clone(&vfs)));
    let report = db.checkpoint(COPY).unwrap();
    assert_eq!((report.last_seq, report.last_index, report.tables, report.log_entries), (0, 1, 0, 1));
    is_sound(&vfs, COPY);
    let copy = open_copy(&vfs).unwrap();
    assert_eq!(append(&copy, trades("S", 0, 0..3)).first_seq, 1);
}

#[test]
fn checkpoints_of_checkpoints_are_the_same() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(5));
    let db = open(options(Arc::clone(&vfs)));
    work(&db, &mut Clients::new(5), 25);
    let first = db.checkpoint(COPY).unwrap();
    let second = open_copy(&vfs).unwrap().checkpoint("/second").unwrap();
    assert_eq!((first.last_seq, first.rolling_hash), (second.last_seq, second.rolling_hash));
    is_sound(&vfs, "/second");
    let again = Db::open_with("/second", options(Arc::clone(&vfs))).unwrap();
    assert_eq!(everything(&again.snapshot()), everything(&db.snapshot()));
}

#[test]
fn what_the_original_removes_stays_in_the_checkpoint() {
    let disk = MemoryVfs::new(6);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(options(Arc::clone(&vfs)));
    work(&db, &mut Clients::new(6), 30);
    let rows = everything(&db.snapshot());
    db.checkpoint(COPY).unwrap();
    drop(db);
    for entry in disk.read_dir(Path::new("/db/tables")).unwrap() {
        disk.remove_file(&Path::new("/db/tables").join(entry.name)).unwrap();
    }
    disk.crash(6);
    is_sound(&vfs, COPY);
    assert_eq!(everything(&open_copy(&vfs).unwrap().snapshot()), rows);
}

/// Where links lead nowhere, every file is copied, and nothing is missing.
#[test]
fn files_are_copied_where_they_cannot_be_linked() {
    // EXDEV, EOPNOTSUPP, EMLINK on Linux.
    for (seed, code) in [(7, 18), (8, 95), (9, 31)] {
        let disk = MemoryVfs::new(seed);
        let no_links = FaultRule::new(Fault::OsError(code)).on(Operation::HardLink).for_ever();
        let vfs: Arc<dyn Vfs> = Arc::new(FaultVfs::new(Arc::new(disk.clone()), no_links.into()));
        let db = open(options(Arc::clone(&vfs)));
        work(&db, &mut Clients::new(seed), 30);
        let rows = everything(&db.snapshot());
        let report = db.checkpoint(COPY).unwrap();
        assert_eq!((report.files_linked, report.files_copied), (0, report.tables + 1));
        assert!(report.bytes_copied > 1000);
        disk.crash(seed);
        let vfs: Arc<dyn Vfs> = Arc::new(disk);
        is_sound(&vfs, COPY);
        assert_eq!(everything(&open_copy(&vfs).unwrap().snapshot()), rows);
    }
}

#[test]
fn checkpoints_are_whole_while_the_database_is_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let options = || Options { background: true, ..options(Arc::clone(&vfs)) };
    let db = Db::open_with(dir.path().join("db"), options()).unwrap();
    let done = AtomicBool::new(false);
    let writers = 3_u32;
    let reports: Vec<(u64, CheckpointReport)> = std::thread::scope(|scope| {
        for writer in 0..writers {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let symbol = format!("W{writer}");
                for round in 0_u32.. {
                    let first = round * 20;
                    append(db, trades(&symbol, first.into(), first..first + 20));
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let taken = (0..6).map(|at| {
            std::thread::sleep(std::time::Duration::from_millis(15));
            let seen = db.snapshot().visible_seq();
            (seen, db.checkpoint(dir.path().join(format!("copy-{at}"))).unwrap())
        });
        let taken = taken.collect();
        done.store(true, Ordering::Relaxed);
        taken
    });
    assert!(reports.last().unwrap().1.last_seq > reports[0].1.last_seq, "there was something to do");
    let whole: Vec<Vec<(i64, u64, f64)>> =
        (0..writers).map(|writer| prices(&db.snapshot(), &format!("W{writer}"))).collect();
    for (at, (seen, report)) in reports.iter().enumerate() {
        assert!(report.last_seq >= *seen, "what was seen before is in it");
        let path = dir.path().join(format!("copy-{at}"));
        assert_eq!(verify(&vfs, &path, "verify").unwrap().problems, Vec::<String>::new());
        let copy = Db::open_with(&path, options()).unwrap();
        assert_eq!(copy.snapshot().visible_seq(), report.last_seq);
        for (writer, whole) in whole.iter().enumerate() {
            let rows = prices(&copy.snapshot(), &format!("W{writer}"));
            assert_eq!(rows.len() % 20, 0, "whole batches");
            let expected = whole.iter().filter(|(_, seq, _)| *seq <= report.last_seq);
            assert!(rows.iter().eq(expected));
        }
        let again = copy.checkpoint(dir.path().join(format!("again-{at}"))).unwrap();
        assert_eq!((again.last_seq, again.rolling_hash), (report.last_seq, report.rolling_hash));
    }
}

#[test]
fn a_place_that_is_taken_is_refused_and_left_alone() {
    let disk = MemoryVfs::new(10);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(options(Arc::clone(&vfs)));
    append(&db, trades("S", 0, 0..3));
    vfs.create_dir_all(Path::new("/mine")).unwrap();
    vfs.open(Path::new("/mine/notes.txt"), tapebook_vfs::OpenMode::CreateNew).unwrap();
    vfs.open(Path::new("/file"), tapebook_vfs::OpenMode::CreateNew).unwrap();
    let refuse = |dir: &str| match db.checkpoint(dir) {
        Err(CheckpointError::Build(error)) => error,
        other => panic!("{dir}: {other:?}"),
    };
    let taken = refuse("/mine");
    assert!(matches!(&taken, BuildError::NotEmpty { found, .. } if found == "notes.txt"), "{taken}");
    assert_eq!(vfs.read_dir(Path::new("/mine")).unwrap().len(), 1);
    assert!(matches!(refuse("/db"), BuildError::NotEmpty { .. }));
    for inside in ["/db/copy", "/db/tables/a/b", "/x/../db/copy"] {
        let error = refuse(inside);
        let around =
            matches!(&error, BuildError::InsideDatabase { database, .. } if database.ends_with("db"));
        assert!(around, "{error}");
    }
    assert!(!vfs.exists(Path::new("/db/copy")).unwrap());
    let file = refuse("/file");
    assert!(file.to_string().contains("/file"), "{file}");
    db.checkpoint("/db/../beside").unwrap();
    assert!(matches!(refuse("/beside"), BuildError::NotEmpty { .. }), "a checkpoint is never replaced");
    is_sound(&vfs, "/beside");
}

#[test]
fn an_unfinished_checkpoint_is_told_and_replaced() {
    unfinished("copy/CURRENT", 1);
    // The first rename gives the unfinished identity its name, the second one would make the database.
    unfinished("copy/IDENTITY", 2);
}

fn unfinished(name: &str, nth: u64) {
    let disk = MemoryVfs::new(11);
    let rule = FaultRule::new(Fault::OsError(5)).on(Operation::Rename).path_contains(name);
    let rule = rule.nth(nth).for_ever();
    let fault = FaultVfs::new(Arc::new(disk.clone()), rule.into());
    let vfs: Arc<dyn Vfs> = Arc::new(fault.clone());
    let db = open(options(Arc::clone(&vfs)));
    work(&db, &mut Clients::new(11), 20);
    let error = db.checkpoint(COPY).unwrap_err();
    assert!(error.to_string().contains(&format!("/backup/{name}")), "{error}");
    let error = open_copy(&vfs).unwrap_err();
    assert!(matches!(error, OpenError::Unfinished { .. }), "{error}");
    let report = verify(&vfs, Path::new(COPY), "verify").unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    let left = disk.read_dir(Path::new("/backup/copy/tables")).unwrap();
    assert!(left.is_empty() == (nth == 1), "the space is given back where the outcome is known: {left:?}");
    fault.set_plan(FaultPlan::none());
    db.checkpoint(COPY).unwrap();
    is_sound(&vfs, COPY);
    assert_eq!(everything(&open_copy(&vfs).unwrap().snapshot()), everything(&db.snapshot()));
}

/// Fails the call with this number during a checkpoint, and perhaps all later ones; then perhaps the power fails. The
/// original is as it was, and the copy is whole or no database.
fn fails_at(call: u64, fault: Fault, for_ever: bool, power_fails: bool) -> Option<bool> {
    let disk = MemoryVfs::new(call);
    let failing = FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none());
    let db = open(options(Arc::new(failing.clone())));
    let mut clients = Clients::new(1);
    work(&db, &mut clients, 22);
    let rows = everything(&db.snapshot());
    let before = failing.calls();
    let rule = FaultRule::new(fault).nth(call);
    failing.set_plan(if for_ever { rule.for_ever() } else { rule }.into());
    let taken = db.checkpoint(COPY);
    if failing.faults() == 0 {
        assert!(taken.is_ok() && failing.calls() - before < call);
        return None;
    }
    assert_eq!(everything(&db.snapshot()), rows);
    let copy_only = !matches!(taken, Err(CheckpointError::Flush(_))) && db.stats().leftovers.is_none();
    if !for_ever && copy_only {
        // What the log or manifest of the copy met concerns the copy alone.
        append(&db, trades("AFTER", 0, 0..1));
    }
    if power_fails {
        disk.crash(call);
        drop(db);
    } else {
        drop(db.close());
    }
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let complete = if let Ok(entries) = vfs.read_dir(Path::new(COPY))
        && entries.iter().any(|entry| entry.name == "IDENTITY")
    {
        is_sound(&vfs, COPY);
        let copy = open_copy(&vfs).unwrap_or_else(|error| panic!("call {call}: {error}"));
        assert_eq!(everything(&copy.snapshot()), rows, "call {call}");
        true
    } else {
        false
    };
    assert!(complete || taken.is_err(), "call {call}: a checkpoint that was reported is there");
    let db =
        Db::open_with("/db", options(Arc::clone(&vfs))).unwrap_or_else(|error| panic!("{call}: {error}"));
    let survived: Vec<StoredRow> =
        everything(&db.snapshot()).into_iter().filter(|stored| stored.row.symbol != "AFTER").collect();
    assert_eq!(survived, rows, "call {call}");
    if !complete {
        db.checkpoint(COPY).unwrap_or_else(|error| panic!("call {call}: again: {error}"));
        is_sound(&vfs, COPY);
        assert_eq!(everything(&open_copy(&vfs).unwrap().snapshot()), everything(&db.snapshot()));
    }
    db.close().unwrap();
    is_sound(&vfs, "/db");
    Some(complete)
}

fn every_call_fails(fault: Fault, for_ever: bool, power_fails: bool) {
    let outcomes: Vec<bool> = (1..).map_while(|call| fails_at(call, fault, for_ever, power_fails)).collect();
    assert!(outcomes.len() > 80, "{}", outcomes.len());
    assert!(outcomes.iter().any(|complete| !complete));
}

#[test]
fn a_crash_at_any_call_leaves_the_database_and_a_whole_copy_or_none() {
    every_call_fails(Fault::Error(ErrorKind::Other), true, true);
}

#[test]
fn any_call_that_fails_once_is_a_clean_error() {
    every_call_fails(Fault::OsError(5), false, false);
    every_call_fails(Fault::Error(ErrorKind::StorageFull), false, true);
}

#[test]
fn a_write_that_stops_half_way_leaves_no_copy() {
    every_call_fails(Fault::ShortWrite { bytes: 100, error: ErrorKind::Other }, true, true);
}
