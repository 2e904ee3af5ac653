//! The journal is kept behind the log: every batch once, in order, from any sequence on, whatever happens meanwhile.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tapebook::{Db, Durability, JournalError, OpenError, Options, Producer, verify};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Vfs};

use crate::clients::{Clients, append, check_survivors, send};
use crate::random::Random;
use crate::rows::{Row, StoredRow, batch_of, everything};
use crate::support::{HOUR, open, trades, with_archive};

fn is_sound(vfs: &Arc<dyn Vfs>) -> u64 {
    let report = verify(vfs, Path::new("/db"), "verify").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.problems, Vec::<String>::new());
    report.archive_files
}

/// The rows that the journal holds from a sequence number on, read from its batches.
fn journal(db: &Db, from_seq: u64) -> Result<Vec<(u64, i64)>, JournalError> {
    let mut rows = Vec::new();
    for found in db.journal(from_seq)? {
        let found = found?;
        for row in 0..found.batch.len() {
            rows.push((found.first_seq + row as u64, found.batch.row_header(row).ts));
        }
        assert_eq!(found.last_seq(), rows.last().unwrap().0);
    }
    Ok(rows)
}

fn expected(rows: &[StoredRow]) -> Vec<(u64, i64)> {
    rows.iter().map(|stored| (stored.seq, stored.row.ts)).collect()
}

/// The journal from any sequence on is what a snapshot shows, beginning with the batch that has that sequence.
fn check_journal(db: &Db, step: usize) {
    let all = expected(&everything(&db.snapshot()));
    assert_eq!(journal(db, 0).unwrap(), all);
    for from in (1..=all.len() as u64).step_by(step) {
        let found = journal(db, from).unwrap_or_else(|error| panic!("from {from}: {error}"));
        let begins = found[0].0;
        assert!(begins <= from && from - begins < 200, "from {from}: {begins}");
        assert_eq!(found, all[begins as usize - 1..]);
    }
    assert_eq!(journal(db, all.len() as u64 + 1).unwrap(), []);
}

fn work(db: &Db, clients: &mut Clients, batches: u32) {
    for step in 0..batches {
        let sent = clients.next_batch();
        let (producer, rows) = (sent.producer, sent.rows.clone());
        assert!(send(db, clients, sent, Durability::Synced));
        clients.collect_receipts();
        if step % 5 == 1 {
            assert!(append(db, batch_of(producer, &rows)).duplicate);
            let far_ahead = Producer { batch_number: producer.batch_number + 50, ..producer };
            let refused = db.append(batch_of(far_ahead, &rows), Durability::Synced);
            assert!(refused.and_then(tapebook::PendingAppend::wait).is_err());
        }
        if step % 17 == 16 {
            db.flush().unwrap();
        }
    }
}

#[test]
fn the_journal_is_read_from_any_sequence_on() {
    let disk = MemoryVfs::new(1);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let mut clients = Clients::new(1);
    for _ in 0..4 {
        let db = open(with_archive(Arc::clone(&vfs)));
        work(&db, &mut clients, 60);
        check_journal(&db, 29);
        db.close().unwrap();
        assert!(is_sound(&vfs) > 3);
    }
    let log = disk.read_dir(Path::new("/db/wal")).unwrap();
    assert!(!log.iter().any(|entry| entry.name == "0000000001.log"), "the beginning is in the archive alone");
    let db = open(with_archive(Arc::clone(&vfs)));
    check_journal(&db, 7);
}

#[test]
fn a_reader_goes_on_in_the_archive_when_the_log_is_purged_under_its_hands() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(2));
    let db = open(Options { memtable_bytes: 4 << 20, ..with_archive(Arc::clone(&vfs)) });
    let mut clients = Clients::new(2);
    work(&db, &mut clients, 16);
    let rows = expected(&everything(&db.snapshot()));
    let mut reader = db.journal(1).unwrap();
    let mut first_seqs = vec![reader.next().unwrap().unwrap().first_seq];
    for _ in 0..8 {
        work(&db, &mut clients, 34);
        first_seqs.extend(reader.by_ref().take(1).map(|found| found.unwrap().first_seq));
    }
    let last_seq = reader.last_seq();
    assert_eq!(last_seq, rows.len() as u64, "it ends where the journal ended when it began");
    first_seqs.extend(reader.map(|found| found.unwrap().first_seq));
    let again: Vec<u64> = db
        .journal(1)
        .unwrap()
        .map(|found| found.unwrap().first_seq)
        .take_while(|first_seq| *first_seq <= last_seq)
        .collect();
    assert_eq!(first_seqs, again);
}

fn archived(disk: &MemoryVfs) -> Vec<PathBuf> {
    let entries = disk.read_dir(Path::new("/db/archive")).unwrap();
    entries.into_iter().map(|entry| Path::new("/db/archive").join(entry.name)).collect()
}

#[test]
fn files_older_than_the_retention_are_dropped_whole() {
    let disk = MemoryVfs::new(3);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(Options { journal_retention: Some(HOUR), ..with_archive(Arc::clone(&vfs)) });
    for round in 0..6_u32 {
        append(&db, trades("S", round.into(), round..round + 1));
        db.flush().unwrap();
        disk.manual_clock().advance(HOUR / 4);
    }
    // At the last flush the files were 75, 60, 45, 30, 15 and 0 minutes old, and a little more.
    assert_eq!(archived(&disk).len(), 4);
    let gone = journal(&db, 2).unwrap_err();
    assert!(matches!(gone, JournalError::Gone { wanted: 2, first_seq: 3 }), "{gone}");
    assert_eq!(journal(&db, 3).unwrap().len(), 4);
    disk.manual_clock().advance(HOUR * 100);
    append(&db, trades("S", 9, 9..10));
    db.flush().unwrap();
    assert_eq!(archived(&disk).len(), 1, "the newest stays, whatever its age: the archive goes on from it");
    assert_eq!(db.stats().leftovers, None);
    db.close().unwrap();
    assert_eq!(is_sound(&vfs), 1);
}

#[test]
fn the_oldest_files_go_when_there_are_more_bytes_than_are_kept() {
    let disk = MemoryVfs::new(13);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let bytes =
        || archived(&disk).iter().map(|path| disk.file_bytes(path).unwrap().len() as u64).sum::<u64>();
    let open = |bytes_max| open(Options { journal_bytes_max: bytes_max, ..with_archive(Arc::clone(&vfs)) });
    let flush = |db: &Db, round: u32| {
        append(db, trades("S", round.into(), round..round + 1));
        db.flush().unwrap();
    };
    let db = open(None);
    (0..6).for_each(|round| flush(&db, round));
    db.close().unwrap();
    assert_eq!(archived(&disk).len(), 6);
    // Counted anew when it is opened, and along the flushes.
    let bytes_max = bytes() / 2;
    let db = open(Some(bytes_max));
    for round in 6..12 {
        flush(&db, round);
        assert!(bytes() <= bytes_max && archived(&disk).len() == 3, "{} of {bytes_max} bytes", bytes());
    }
    let gone = journal(&db, 2).unwrap_err();
    assert!(matches!(gone, JournalError::Gone { wanted: 2, first_seq: 10 }), "{gone}");
    assert_eq!(journal(&db, 10).unwrap().len(), 3);
    db.close().unwrap();
    let db = open(Some(1));
    flush(&db, 12);
    assert_eq!(archived(&disk).len(), 1, "the newest stays, however large it is");
    assert_eq!(db.stats().leftovers, None);
    db.close().unwrap();
    assert_eq!(is_sound(&vfs), 1);
}

#[test]
fn an_archive_that_was_switched_off_begins_anew() {
    let disk = MemoryVfs::new(4);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let mut clients = Clients::new(4);
    let mut sessions = |retention: Option<Duration>| {
        let db = open(Options { journal_retention: retention, ..with_archive(Arc::clone(&vfs)) });
        work(&db, &mut clients, 30);
        db.flush().unwrap();
        let (seq, journal) = (db.snapshot().visible_seq(), journal(&db, 1));
        db.close().unwrap();
        is_sound(&vfs);
        (seq, journal)
    };
    let (_, whole) = sessions(Some(HOUR));
    assert!(whole.is_ok());
    let (off_until, gone) = sessions(None);
    assert!(
        matches!(gone, Err(JournalError::Gone { first_seq, .. }) if first_seq == off_until + 1),
        "{gone:?}"
    );
    let (_, gone) = sessions(Some(HOUR));
    assert!(
        matches!(gone, Err(JournalError::Gone { first_seq, .. }) if first_seq == off_until + 1),
        "{gone:?}"
    );
    let db = open(with_archive(Arc::clone(&vfs)));
    let rows = expected(&everything(&db.snapshot()));
    assert_eq!(journal(&db, off_until + 1).unwrap(), rows[off_until as usize..]);
}

#[test]
fn damage_to_the_archive_is_named() {
    let disk = MemoryVfs::new(5);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(with_archive(Arc::clone(&vfs)));
    work(&db, &mut Clients::new(5), 51);
    db.close().unwrap();
    let files = archived(&disk);
    assert!(files.len() > 2);
    let problems = |disk: MemoryVfs| {
        let vfs: Arc<dyn Vfs> = Arc::new(disk);
        verify(&vfs, Path::new("/db"), "verify").unwrap().problems
    };
    let damaged = disk.fork();
    damaged.flip_byte(&files[1], 200).unwrap();
    let found = problems(damaged.clone());
    assert!(found.len() == 1 && found[0].contains(files[1].to_str().unwrap()), "{found:?}");
    let db = open(with_archive(Arc::new(damaged)));
    let error = journal(&db, 1).unwrap_err();
    assert!(error.to_string().contains(files[1].to_str().unwrap()), "{error}");

    let missing = disk.fork();
    missing.remove_file(&files[1]).unwrap();
    let found = problems(missing.clone());
    assert!(found.len() == 1 && found[0].contains("missing"), "{found:?}");
    let gone = journal(&open(with_archive(Arc::new(missing))), 1).unwrap_err();
    assert!(matches!(gone, JournalError::Gone { .. }), "{gone}");

    // Where the newest is damaged, nobody can say what comes behind it.
    let newest = disk.fork();
    let path = files.last().unwrap();
    let length = newest.file_bytes(path).unwrap().len() as u64;
    newest.flip_byte(path, length - 30).unwrap();
    assert_eq!(problems(newest.clone()).len(), 1);
    let error = Db::open_with("/db", with_archive(Arc::new(newest.clone()))).unwrap_err();
    assert!(
        matches!(error, OpenError::Archive(_)) && error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    open(Options { journal_retention: None, ..with_archive(Arc::new(newest)) });
}

fn copy_archive(from: &MemoryVfs, to: &MemoryVfs) {
    for path in archived(from) {
        let bytes = from.file_bytes(&path).unwrap();
        let _ = to.remove_file(&path);
        let file = to.open(&path, tapebook_vfs::OpenMode::CreateNew).unwrap();
        file.write_all_at(0, &[std::io::IoSlice::new(&bytes)]).unwrap();
    }
}

/// A flush archives first. Where its version edit does not come about, the next one finds its entries archived already,
/// and goes on behind them.
#[test]
fn an_archive_may_be_ahead_of_the_files() {
    let disk = MemoryVfs::new(6);
    let db = open(with_archive(Arc::new(disk.clone())));
    let mut clients = Clients::new(6);
    work(&db, &mut clients, 10);
    let before = disk.fork();
    db.flush().unwrap();
    copy_archive(&disk, &before);
    let db = open(with_archive(Arc::new(before.clone())));
    check_journal(&db, 5);
    work(&db, &mut clients, 10);
    check_journal(&db, 5);
    db.flush().unwrap();
    check_journal(&db, 5);
    db.close().unwrap();
    assert!(is_sound(&(Arc::new(before) as Arc<dyn Vfs>)) > 2);
}

/// The disk has lost what it had reported as synced; no SSTable knows of it, and the archive does.
#[test]
fn a_log_that_ends_before_the_archive_is_refused() {
    let disk = MemoryVfs::new(9);
    let options =
        |disk: &MemoryVfs| Options { memtable_bytes: 4 << 20, ..with_archive(Arc::new(disk.clone())) };
    let db = open(options(&disk));
    let mut clients = Clients::new(9);
    work(&db, &mut clients, 5);
    let earlier = disk.fork();
    work(&db, &mut clients, 1);
    db.flush().unwrap();
    copy_archive(&disk, &earlier);
    let error = Db::open_with("/db", options(&earlier)).unwrap_err();
    assert!(matches!(error, OpenError::Log(tapebook_wal::RecoveryError::LostTail { .. })), "{error}");
    let problems = |disk: &MemoryVfs| {
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        verify(&vfs, Path::new("/db"), "verify").unwrap().problems
    };
    earlier.crash_process();
    let found = problems(&earlier);
    assert!(found.iter().any(|problem| problem.contains("the archive holds entry")), "{found:?}");
    for entry in earlier.read_dir(Path::new("/db/wal")).unwrap() {
        earlier.remove_file(&Path::new("/db/wal").join(entry.name)).unwrap();
    }
    let found = problems(&earlier);
    assert!(found.iter().any(|problem| problem.contains("there is no log, the archive")), "{found:?}");
}

/// Without the mark, a broken frame of the last group looks like a torn tail, but for the files that know better. Whole frames
/// behind it must not make `verify` believe that the log reaches that far. Found by the fault schedules.
#[test]
fn whole_frames_behind_a_broken_one_do_not_count_for_verify() {
    let disk = MemoryVfs::new(10);
    let db = open(Options { memtable_bytes: 4 << 20, ..with_archive(Arc::new(disk.clone())) });
    let pending: Vec<_> = (0..3_u32)
        .map(|at| db.append(trades("S", at.into(), at..at + 1), Durability::Buffered).unwrap())
        .collect();
    db.drive().unwrap();
    for pending in pending {
        pending.wait().unwrap();
    }
    db.flush().unwrap();
    drop(db);
    let segment = Path::new("/db/wal/0000000001.log");
    let frames = tapebook_wal::inspect_segment(&disk, segment).unwrap().frames();
    let second = frames.map(Result::unwrap).find(|report| report.frame.as_ref().unwrap().meta.index == 3);
    disk.mutate("/db/wal/MARK", |bytes| bytes.fill(0)).unwrap();
    disk.flip_byte(segment, second.unwrap().offset + 70).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let problems = verify(&vfs, Path::new("/db"), "verify").unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains("the log ends at entry 2")), "{problems:?}");
    assert!(Db::open_with("/db", with_archive(vfs)).is_err());
}

/// Everything that counts after a failure: what was acknowledged is there, and the journal is what a snapshot shows.
fn settle(disk: &MemoryVfs, clients: &mut Clients, what: &str) {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = Db::open_with("/db", with_archive(Arc::clone(&vfs)))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let survived = everything(&db.snapshot());
    check_survivors(&survived, &[], clients);
    let all = journal(&db, 1).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(all, expected(&survived), "{what}");
    clients.send_again(&db, &survived);
    db.flush().unwrap_or_else(|error| panic!("{what}: {error}"));
    check_journal(&db, 101);
    db.close().unwrap();
    is_sound(&vfs);
}

/// Works until something fails; flushes often, so that segments are purged and files archived at every step.
fn work_until_failure(fault: &FaultVfs, clients: &mut Clients, batches: u32) {
    let Ok(db) = Db::open_with("/db", with_archive(Arc::new(fault.clone()))) else { return };
    for step in 0..batches {
        let sent = clients.next_batch();
        let works = send(&db, clients, sent, Durability::Synced);
        clients.collect_receipts();
        if !works {
            return;
        }
        if step % 6 == 5 && db.flush().is_err() && db.flush().is_err() {
            return;
        }
    }
    let _ = db.close();
}

#[test]
fn a_crash_at_any_call_leaves_the_whole_journal() {
    let mut crashed = 0;
    for seed in 0..150 {
        let disk = MemoryVfs::new(seed);
        let mut clients = Clients::new(seed);
        let mut random = Random::new(seed);
        let call = 1 + random.below(560);
        let bytes = random.below(6_000) as usize;
        let half = FaultRule::new(Fault::ShortWrite { bytes, error: ErrorKind::Other }).nth(call);
        let stop = FaultRule::new(Fault::Error(ErrorKind::Other)).nth(call).for_ever();
        let fault = FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none().with(half).with(stop));
        work_until_failure(&fault, &mut clients, 60);
        crashed += u64::from(fault.faults() > 0);
        if random.chance(25) {
            disk.crash_process();
        } else {
            disk.crash(random.next());
        }
        settle(&disk, &mut clients, &format!("seed {seed}"));
    }
    assert!(crashed > 120, "{crashed}");
}

#[test]
fn any_call_that_fails_once_leaves_the_whole_journal() {
    let counting = FaultVfs::new(Arc::new(MemoryVfs::new(7)), FaultPlan::none());
    work_until_failure(&counting, &mut Clients::new(7), 14);
    for call in 1..=counting.calls() {
        let disk = MemoryVfs::new(7);
        let mut clients = Clients::new(7);
        let rule = FaultRule::new(Fault::Error(ErrorKind::StorageFull)).nth(call);
        let fault = FaultVfs::new(Arc::new(disk.clone()), rule.into());
        work_until_failure(&fault, &mut clients, 14);
        if call % 2 == 0 {
            disk.crash(call);
        }
        settle(&disk, &mut clients, &format!("call {call}"));
    }
}

#[test]
fn rows_of_the_journal_are_those_that_were_written() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(8));
    let db = open(with_archive(Arc::clone(&vfs)));
    let rows: Vec<Row> = (0..50)
        .map(|n| Row { quote: n % 3 == 0, symbol: format!("S{}", n % 4), ts: 100 - n, number: n as u32 })
        .collect();
    let batch = batch_of(Producer::default(), &rows).encode();
    let bytes = batch.bytes().to_vec();
    let before = db.vfs().clock().unix_nanos();
    db.append_encoded(batch, Durability::Synced).unwrap().wait().unwrap();
    db.flush().unwrap();
    let found: Vec<_> = db.journal(1).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].batch.bytes()[..], bytes[..]);
    assert_eq!((found[0].first_seq, found[0].last_seq(), found[0].index), (1, 50, 2));
    assert!(found[0].commit_clock >= before);
}
