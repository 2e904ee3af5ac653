//! Backups: any sequence comes back with the source's rolling hash; what is cut off, damaged or missing is named.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapebook::{
    BackupError, BackupTarget, CompactionGoal, Db, DirectoryTarget, Durability, JournalBatch, Options,
    RestoreBound, RestoreReport, TargetObject, WalOptions, list_backups, restore, verify, verify_backups,
};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Operation, Vfs};
use xxhash_rust::xxh3::Xxh3;

use crate::clients::{Clients, append, send};
use crate::hook::HookVfs;
use crate::rows::everything;
use crate::support::{on, open, prices, trades};

const TARGET: &str = "/elsewhere/backups";

fn options(vfs: Arc<dyn Vfs>) -> Options {
    Options {
        wal: WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 32 << 10, ..WalOptions::default() },
        memtable_bytes: 16 << 10,
        journal_retention: Some(Duration::from_secs(86_400)),
        ..on(vfs)
    }
}

fn target(vfs: &Arc<dyn Vfs>) -> DirectoryTarget {
    DirectoryTarget::new(Arc::clone(vfs), TARGET)
}

fn work(db: &Db, disk: &MemoryVfs, clients: &mut Clients, batches: u32) {
    for _ in 0..batches {
        let sent = clients.next_batch();
        let (producer, rows) = (sent.producer, sent.rows.clone());
        assert!(send(db, clients, sent, Durability::Synced));
        clients.collect_receipts();
        if producer.batch_number.is_multiple_of(7) {
            assert!(append(db, crate::rows::batch_of(producer, &rows)).duplicate);
        }
        disk.manual_clock().advance(Duration::from_millis(10));
    }
}

/// Every batch with the rolling hash behind it, computed here.
fn hashes(db: &Db) -> Vec<(JournalBatch, [u8; 16])> {
    let mut hash = [0; 16];
    let batches = db.journal(1).unwrap().map(Result::unwrap).map(|found| {
        let mut next = Xxh3::new();
        next.update(&hash);
        next.update(&found.first_seq.to_le_bytes());
        next.update(found.batch.bytes());
        hash = next.digest128().to_le_bytes();
        (found, hash)
    });
    batches.collect()
}

/// Opens what was restored, compares it with the source, and says so.
fn check_restored(vfs: &Arc<dyn Vfs>, dir: &str, report: &RestoreReport, source: &Db) {
    let sound = verify(vfs, Path::new(dir), "verify").unwrap();
    assert_eq!(sound.problems, Vec::<String>::new(), "{dir}");
    let db = Db::open_with(dir, options(Arc::clone(vfs))).unwrap_or_else(|error| panic!("{error}"));
    let mut rows = everything(&source.snapshot());
    rows.truncate(report.last_seq as usize);
    assert_eq!(everything(&db.snapshot()), rows);
    let copy = db.checkpoint(format!("{dir}-checkpoint")).unwrap();
    assert_eq!((copy.last_seq, copy.rolling_hash), (report.last_seq, report.rolling_hash), "as applied");
    assert_eq!(append(&db, trades("NEW", 0, 0..1)).first_seq, report.last_seq + 1);
    db.close().unwrap();
}

#[test]
fn any_sequence_and_any_time_come_back_with_the_rolling_hash_of_the_source() {
    let disk = MemoryVfs::new(1);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (db, target) = (open(options(Arc::clone(&vfs))), target(&vfs));
    let mut clients = Clients::new(1);
    for number in 1..=3 {
        work(&db, &disk, &mut clients, 14);
        if number == 2 {
            db.flush().unwrap();
            db.compact(CompactionGoal::History).unwrap();
            assert!(db.version().history().next().is_some(), "history is backed up as well");
        }
        assert_eq!(db.backup(&target).unwrap().number, number);
    }
    let journal = hashes(&db);
    let whole = db.checkpoint("/whole").unwrap();
    assert_eq!(journal.last().unwrap().1, whole.rolling_hash);
    let mut epochs = HashSet::new();
    for (place, (batch, hash)) in journal.iter().enumerate() {
        let next_last = journal.get(place + 1).map_or(u64::MAX, |(next, _)| next.last_seq());
        let dir = format!("/restored/{place}");
        let bound = match place % 3 {
            0 => RestoreBound::Seq(batch.last_seq()),
            // Not the whole of the next batch.
            1 => RestoreBound::Seq(next_last - 1),
            _ => RestoreBound::Time(batch.commit_clock),
        };
        let report = restore(&target, &vfs, Path::new(&dir), bound, "restore").unwrap();
        assert_eq!((report.last_seq, report.rolling_hash), (batch.last_seq(), *hash), "{bound:?}");
        assert!(report.commit_clock >= batch.commit_clock && report.epoch > 1);
        assert!(epochs.insert(report.epoch), "every restore has an epoch of its own");
        check_restored(&vfs, &dir, &report, &db);
    }
    let latest = restore(&target, &vfs, Path::new("/latest"), RestoreBound::Latest, "restore").unwrap();
    assert_eq!((latest.backup, latest.rolling_hash), (3, whole.rolling_hash));
    check_restored(&vfs, "/latest", &latest, &db);
    let beyond = RestoreBound::Seq(u64::MAX);
    assert_eq!(
        restore(&target, &vfs, Path::new("/beyond"), beyond, "restore").unwrap().last_seq,
        latest.last_seq
    );
    let early = restore(&target, &vfs, Path::new("/early"), RestoreBound::Time(0), "restore").unwrap_err();
    assert!(matches!(early, BackupError::TooEarly { .. }), "{early}");
    assert!(!vfs.exists(Path::new("/early")).unwrap());
}

#[test]
fn what_came_before_the_next_batch_belongs_to_a_sequence() {
    // Whether the retraction is in the backup to begin with, in the same file of the archive, or in the next one.
    for flushed in [false, true] {
        let disk = MemoryVfs::new(5);
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let (db, target) = (open(options(Arc::clone(&vfs))), target(&vfs));
        append(&db, trades("S", 0, 0..5));
        db.backup(&target).unwrap();
        append(&db, trades("S", 5, 5..10));
        if flushed {
            db.flush().unwrap();
        }
        db.retract("trades", 6..=7, "the wrong file").unwrap();
        append(&db, trades("S", 10, 10..15));
        db.backup(&target).unwrap();
        for (seq, rows) in [(5, 5), (9, 5), (10, 8), (14, 8), (15, 13)] {
            let dir = format!("/restored/{seq}");
            let report = restore(&target, &vfs, Path::new(&dir), RestoreBound::Seq(seq), "restore").unwrap();
            assert_eq!(report.last_seq, seq / 5 * 5);
            let restored = Db::open_with(&dir, options(Arc::clone(&vfs))).unwrap();
            assert_eq!(prices(&restored.snapshot(), "S").len(), rows, "seq {seq}, flushed {flushed}");
        }
    }
}

#[test]
fn what_the_target_has_is_not_copied_again() {
    let disk = MemoryVfs::new(2);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (db, target) = (open(options(Arc::clone(&vfs))), target(&vfs));
    let mut clients = Clients::new(2);
    work(&db, &disk, &mut clients, 60);
    let first = db.backup(&target).unwrap();
    assert!(first.objects_copied > 10 && first.objects_shared == 0, "{first:?}");
    append(&db, trades("ONE", 0, 0..1));
    let second = db.backup(&target).unwrap();
    assert_eq!(
        second.objects_shared,
        first.objects_copied - 5,
        "all but state, manifest, CURRENT, log and mark"
    );
    let again = db.backup(&target).unwrap();
    assert_eq!((again.last_seq, again.objects_copied), (second.last_seq, 4), "{again:?}");
    let report = verify_backups(&target).unwrap();
    assert_eq!((report.backups, report.problems), (3, vec![]));
    let listed = list_backups(&target).unwrap();
    assert_eq!(
        listed.iter().map(|backup| backup.through.last_seq).collect::<Vec<_>>(),
        [first.last_seq, second.last_seq, again.last_seq]
    );
    // What was lost in the target is copied again.
    let lost = Path::new(TARGET).join(&listed[0].files[1].object);
    vfs.remove_file(&lost).unwrap();
    let found = verify_backups(&target).unwrap().problems;
    assert!(found.len() == 1 && found[0].contains(lost.to_str().unwrap()), "{found:?}");
    db.backup(&target).unwrap();
    assert_eq!(verify_backups(&target).unwrap().problems, Vec::<String>::new());
}

#[test]
fn without_an_archive_only_the_backups_themselves_come_back() {
    let disk = MemoryVfs::new(3);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let target = target(&vfs);
    let db = open(Options { journal_retention: None, ..options(Arc::clone(&vfs)) });
    let mut clients = Clients::new(3);
    work(&db, &disk, &mut clients, 5);
    let first = db.backup(&target).unwrap();
    work(&db, &disk, &mut clients, 5);
    let second = db.backup(&target).unwrap();
    for exact in [first, second] {
        let dir = format!("/restored/{}", exact.number);
        let bound = RestoreBound::Seq(exact.last_seq);
        let report = restore(&target, &vfs, Path::new(&dir), bound, "restore").unwrap();
        assert_eq!((report.backup, report.rolling_hash), (exact.number, exact.rolling_hash));
        check_restored(&vfs, &dir, &report, &db);
    }
    let between = RestoreBound::Seq(second.last_seq - 1);
    let error = restore(&target, &vfs, Path::new("/between"), between, "restore").unwrap_err();
    let told = matches!(error, BackupError::Unreachable { reached_seq, next_seq }
        if (reached_seq, next_seq) == (first.last_seq, second.last_seq));
    assert!(told, "{error}");
    let early = restore(&target, &vfs, Path::new("/early"), RestoreBound::Seq(1), "restore").unwrap_err();
    assert!(matches!(early, BackupError::TooEarly { oldest_seq } if oldest_seq == first.last_seq), "{early}");
}

#[test]
fn a_restored_database_is_backed_up_beside_what_it_came_from() {
    let disk = MemoryVfs::new(4);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (db, target) = (open(options(Arc::clone(&vfs))), target(&vfs));
    let mut clients = Clients::new(4);
    work(&db, &disk, &mut clients, 20);
    db.backup(&target).unwrap();
    let half = db.snapshot().visible_seq() / 2;
    let report = restore(&target, &vfs, Path::new("/fork"), RestoreBound::Seq(half), "restore").unwrap();
    let fork = Db::open_with("/fork", options(Arc::clone(&vfs))).unwrap();
    work(&fork, &disk, &mut Clients::new(44), 0);
    for n in 0..20 {
        append(&fork, trades("FORK", n, n as u32..n as u32 + 30));
    }
    let backup = fork.backup(&target).unwrap();
    let inside = report.last_seq + 70;
    let again = restore(&target, &vfs, Path::new("/again"), RestoreBound::Seq(inside), "restore").unwrap();
    assert_eq!(again.last_seq, report.last_seq + 60);
    assert!(again.epoch > report.epoch, "also where the clock stands still");
    check_restored(&vfs, "/again", &again, &fork);
    let latest = restore(&target, &vfs, Path::new("/latest"), RestoreBound::Latest, "restore").unwrap();
    assert_eq!((latest.backup, latest.rolling_hash), (2, backup.rolling_hash));
    check_restored(&vfs, "/latest", &latest, &fork);
    assert_eq!(verify_backups(&target).unwrap().problems, Vec::<String>::new());
    let other = open(Options { vfs: Arc::new(MemoryVfs::new(5)), ..options(Arc::clone(&vfs)) });
    let foreign = other.backup(&target).unwrap_err();
    assert!(matches!(foreign, BackupError::Foreign { .. }), "{foreign}");
}

#[test]
fn a_record_that_is_cut_off_is_refused_and_named() {
    let disk = MemoryVfs::new(6);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (db, target) = (open(options(Arc::clone(&vfs))), target(&vfs));
    work(&db, &disk, &mut Clients::new(6), 10);
    for _ in 0..2 {
        db.backup(&target).unwrap();
    }
    let record = format!("{TARGET}/backups/000002.backup");
    disk.mutate(&record, |bytes| bytes.truncate(bytes.len() - 9)).unwrap();
    let error = restore(&target, &vfs, Path::new("/restored"), RestoreBound::Latest, "restore").unwrap_err();
    assert!(matches!(error, BackupError::Record { .. }) && error.to_string().contains(&record), "{error}");
    assert!(!vfs.exists(Path::new("/restored")).unwrap());
    let found = verify_backups(&target).unwrap();
    assert!(found.problems.len() == 1 && found.problems[0].contains(&record), "{:?}", found.problems);
    vfs.remove_file(Path::new(&record)).unwrap();
    let report = restore(&target, &vfs, Path::new("/restored"), RestoreBound::Latest, "restore").unwrap();
    assert_eq!(report.backup, 1);
    check_restored(&vfs, "/restored", &report, &db);
}

#[test]
fn damage_to_any_object_is_found_and_nothing_is_restored_from_it() {
    let disk = MemoryVfs::new(7);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (db, whole_target) = (open(options(Arc::clone(&vfs))), target(&vfs));
    let mut clients = Clients::new(7);
    work(&db, &disk, &mut clients, 12);
    let first = db.backup(&whole_target).unwrap();
    work(&db, &disk, &mut clients, 12);
    db.flush().unwrap();
    db.compact(CompactionGoal::History).unwrap();
    work(&db, &disk, &mut clients, 6);
    let second = db.backup(&whole_target).unwrap();
    let newest = list_backups(&whole_target).unwrap().pop().unwrap();
    let between = RestoreBound::Seq((first.last_seq + second.last_seq) / 2);
    for file in newest.objects() {
        let damaged = disk.fork();
        let path = format!("{TARGET}/{}", file.object);
        damaged.flip_byte(&path, file.bytes / 2).unwrap();
        let vfs: Arc<dyn Vfs> = Arc::new(damaged);
        let target = target(&vfs);
        let found = verify_backups(&target).unwrap().problems;
        assert!(found.len() == 1 && found[0].contains(&path), "{path}: {found:?}");
        let bound = if file.name.starts_with("archive/") { between } else { RestoreBound::Latest };
        let restored = restore(&target, &vfs, Path::new("/restored"), bound, "restore");
        // Files of the archive that lie before the first backup are not needed for this bound.
        match restored {
            Err(error) => {
                assert!(error.to_string().contains(&path), "{error}");
                assert!(!vfs.exists(Path::new("/restored/IDENTITY")).unwrap());
            }
            Ok(report) => assert!(bound == between && report.last_seq <= second.last_seq, "{path}"),
        }
    }
}

#[test]
fn a_backup_that_fails_at_any_call_leaves_the_earlier_ones_whole() {
    let mut outcomes = [0, 0];
    for call in (1..).step_by(2) {
        let disk = MemoryVfs::new(call);
        let failing = FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none());
        let vfs: Arc<dyn Vfs> = Arc::new(failing.clone());
        let (db, faulty_target) = (open(options(Arc::clone(&vfs))), target(&vfs));
        let mut clients = Clients::new(8);
        work(&db, &disk, &mut clients, 8);
        let first = db.backup(&faulty_target).unwrap();
        work(&db, &disk, &mut clients, 8);
        let rule = FaultRule::new(Fault::Error(ErrorKind::Other)).nth(call).for_ever();
        failing.set_plan(rule.into());
        let taken = db.backup(&faulty_target);
        if failing.faults() == 0 {
            break;
        }
        disk.crash(call);
        drop(db);
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let target = target(&vfs);
        let report = verify_backups(&target).unwrap();
        assert_eq!(report.problems, Vec::<String>::new(), "call {call}");
        assert!(report.backups == 1 || (report.backups == 2 && taken.is_err()));
        outcomes[report.backups as usize - 1] += 1;
        let bound = RestoreBound::Seq(first.last_seq);
        let restored = restore(&target, &vfs, Path::new("/restored"), bound, "restore").unwrap();
        assert_eq!(restored.rolling_hash, first.rolling_hash);
        // The next attempt takes the place of the one that was cut off.
        let db = Db::open_with("/db", options(Arc::clone(&vfs))).unwrap();
        let again = db.backup(&target).unwrap();
        assert_eq!(again.number, report.backups + 1);
        assert_eq!(verify_backups(&target).unwrap().problems, Vec::<String>::new(), "call {call}");
        let latest = restore(&target, &vfs, Path::new("/latest"), RestoreBound::Latest, "restore").unwrap();
        check_restored(&vfs, "/latest", &latest, &db);
    }
    assert!(outcomes[0] > 30, "{outcomes:?}");
}

#[test]
fn a_restore_that_is_cut_off_leaves_no_database_and_can_be_repeated() {
    let disk = MemoryVfs::new(9);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (db, whole_target) = (open(options(Arc::clone(&vfs))), target(&vfs));
    work(&db, &disk, &mut Clients::new(9), 20);
    let backup = db.backup(&whole_target).unwrap();
    let bound = RestoreBound::Seq(backup.last_seq - 1);
    for call in (1..).step_by(3) {
        let disk = disk.fork();
        let rule = FaultRule::new(Fault::Error(ErrorKind::Other)).nth(call).for_ever();
        let failing = FaultVfs::new(Arc::new(disk.clone()), rule.into());
        let vfs: Arc<dyn Vfs> = Arc::new(failing.clone());
        let taken = restore(&target(&vfs), &vfs, Path::new("/restored"), bound, "restore");
        if failing.faults() == 0 {
            assert!(call > 60, "{call}");
            taken.unwrap();
            break;
        }
        disk.crash(call);
        let vfs: Arc<dyn Vfs> = Arc::new(disk);
        let complete = vfs.exists(Path::new("/restored/IDENTITY")).unwrap();
        assert!(complete || taken.is_err());
        if !complete {
            let report = restore(&target(&vfs), &vfs, Path::new("/restored"), bound, "restore").unwrap();
            check_restored(&vfs, "/restored", &report, &db);
        }
    }
}

/// A target that tells the scenario before it writes an object.
struct Watched<'a> {
    inner: DirectoryTarget,
    before_put: Box<dyn Fn(&str) + Send + Sync + 'a>,
}

impl fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl BackupTarget for Watched<'_> {
    fn put(&self, name: &str, content: &mut dyn Read, bytes: u64) -> io::Result<()> {
        (self.before_put)(name);
        self.inner.put(name, content, bytes)
    }

    fn put_new(&self, name: &str, content: &[u8]) -> io::Result<()> {
        (self.before_put)(name);
        self.inner.put_new(name, content)
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        self.inner.get(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<TargetObject>> {
        self.inner.list(folder)
    }

    fn place(&self, name: &str) -> String {
        self.inner.place(name)
    }
}

#[test]
fn files_are_opened_one_at_a_time_and_only_where_the_target_lacks_them() {
    let disk = MemoryVfs::new(10);
    let opened: Arc<Mutex<Vec<String>>> = Arc::default();
    let noting = Arc::clone(&opened);
    let vfs: Arc<dyn Vfs> = Arc::new(HookVfs::new(Arc::new(disk.clone()), move |operation, path| {
        if operation == Operation::Open && path.starts_with("/db/tables") {
            noting.lock().unwrap().push(path.display().to_string());
        }
    }));
    let db = open(options(Arc::clone(&vfs)));
    work(&db, &disk, &mut Clients::new(10), 80);
    db.flush().unwrap();
    let watched = Watched {
        inner: target(&vfs),
        before_put: Box::new(|name| {
            let opened = std::mem::take(&mut *opened.lock().unwrap());
            let expected = usize::from(name.starts_with("objects/tables"));
            assert_eq!(opened.len(), expected, "{name}: {opened:?}");
        }),
    };
    opened.lock().unwrap().clear();
    let tables = vfs.read_dir(Path::new("/db/tables")).unwrap().len() as u64;
    assert!(tables > 3);
    let first = db.backup(&watched).unwrap();
    assert!(first.objects_copied > tables, "{first:?}");
    let second = db.backup(&watched).unwrap();
    assert!(second.objects_shared >= tables, "{second:?}");
}

#[test]
fn what_compaction_replaces_meanwhile_stays_until_the_backup_has_it() {
    let disk = MemoryVfs::new(11);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(options(Arc::clone(&vfs)));
    work(&db, &disk, &mut Clients::new(11), 80);
    db.flush().unwrap();
    let tables = || vfs.read_dir(Path::new("/db/tables")).unwrap().len();
    let before = tables();
    let most = Mutex::new(0);
    let watched = Watched {
        inner: target(&vfs),
        before_put: Box::new(|name| {
            // Every file that the backup wants is replaced by others before it gets to the first one.
            if name.starts_with("objects/tables") && *most.lock().unwrap() == 0 {
                db.compact(CompactionGoal::Settled).unwrap();
                *most.lock().unwrap() = tables();
            }
        }),
    };
    let taken = db.backup(&watched).unwrap();
    assert!(*most.lock().unwrap() > before, "compaction wrote new files beside the old ones");
    assert_eq!(tables(), db.stats().version.tables().count(), "and the old ones are gone at the end");
    assert_eq!(verify_backups(&watched).unwrap().problems, Vec::<String>::new());
    let report = restore(&watched, &vfs, Path::new("/restored"), RestoreBound::Latest, "restore").unwrap();
    assert_eq!(report.rolling_hash, taken.rolling_hash);
    check_restored(&vfs, "/restored", &report, &db);
}

#[test]
fn of_two_backups_at_the_same_time_one_is_whole_and_the_other_says_so() {
    let disk = MemoryVfs::new(12);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(options(Arc::clone(&vfs)));
    work(&db, &disk, &mut Clients::new(12), 10);
    let other = Mutex::new(None);
    let watched = Watched {
        inner: target(&vfs),
        before_put: Box::new(|name| {
            // Whole before this one writes what both would call the same.
            if name.starts_with("objects/backup-") && other.lock().unwrap().is_none() {
                append(&db, trades("MORE", 0, 0..3));
                *other.lock().unwrap() = Some(db.backup(&target(&vfs)).unwrap());
            }
        }),
    };
    let error = db.backup(&watched).unwrap_err();
    assert!(matches!(error, BackupError::Overtaken { .. }), "{error}");
    let other = other.lock().unwrap().unwrap();
    let report = verify_backups(&target(&vfs)).unwrap();
    assert_eq!((report.backups, report.problems), (1, vec![]));
    let restored = restore(&target(&vfs), &vfs, Path::new("/restored"), RestoreBound::Latest, "restore");
    assert_eq!(restored.unwrap().rolling_hash, other.rolling_hash);
    assert_eq!(db.backup(&target(&vfs)).unwrap().number, 2);
}

#[test]
fn what_was_cut_in_the_target_is_copied_again() {
    let disk = MemoryVfs::new(13);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (db, target) = (open(options(Arc::clone(&vfs))), target(&vfs));
    work(&db, &disk, &mut Clients::new(13), 20);
    db.backup(&target).unwrap();
    let listed = list_backups(&target).unwrap();
    let cut = Path::new(TARGET).join(&listed[0].files[0].object);
    disk.mutate(&cut, |bytes| bytes.truncate(bytes.len() - 1)).unwrap();
    assert_eq!(verify_backups(&target).unwrap().problems.len(), 1);
    db.backup(&target).unwrap();
    assert_eq!(verify_backups(&target).unwrap().problems, Vec::<String>::new());
}

#[test]
fn epochs_grow_where_the_clock_was_set_back() {
    let disk = MemoryVfs::new(14);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (db, target) = (open(options(Arc::clone(&vfs))), target(&vfs));
    work(&db, &disk, &mut Clients::new(14), 5);
    db.backup(&target).unwrap();
    disk.manual_clock().advance(Duration::from_secs(100_000_000));
    let first = restore(&target, &vfs, Path::new("/first"), RestoreBound::Latest, "restore").unwrap();
    let fork = Db::open_with("/first", options(Arc::clone(&vfs))).unwrap();
    fork.backup(&target).unwrap();
    // Another machine, whose clock is years behind.
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(15));
    let later: Vec<u64> = (0..3)
        .map(|n| {
            restore(&target, &vfs, Path::new(&format!("/{n}")), RestoreBound::Latest, "restore")
                .unwrap()
                .epoch
        })
        .collect();
    assert!(later.iter().all(|epoch| *epoch > first.epoch), "{later:?}");
    assert_eq!(later.iter().collect::<HashSet<_>>().len(), 3);
}
