//! Damage to a file in use is found by reading it again, named, and forgotten when it is gone.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use tapebook::{CompactionGoal, Db, Durability, Options, ScrubOptions};
use tempfile::TempDir;

use crate::support::trades;

fn options(every: Option<Duration>) -> Options {
    Options {
        scrub: ScrubOptions { every, bytes_per_second: 1 << 30 },
        max_future: None,
        ..Options::default()
    }
}

/// A database with one SSTable, and where that lies.
fn flushed(dir: &TempDir, every: Option<Duration>) -> (Db, std::path::PathBuf) {
    let db = Db::open_with(dir.path().join("db"), options(every)).unwrap();
    db.append(trades("S", 1, 0..1_000), Durability::Synced).unwrap().wait().unwrap();
    db.flush().unwrap();
    let path = db.snapshot().pieces().tables[0].path().to_owned();
    (db, path)
}

#[allow(clippy::disallowed_methods, reason = "damages a file behind the database's back")]
fn flip(path: &Path, offset: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
}

#[test]
fn damage_to_a_file_in_use_is_found_and_forgotten_when_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = flushed(&dir, None);
    let sound = db.scrub();
    assert_eq!((sound.passes, sound.problems.len()), (1, 0));
    assert!(sound.bytes > 50_000 && sound.last_ended_at.is_some(), "{sound:?}");

    // Rows that were read already, and so verified once.
    assert_eq!(db.snapshot().scan::<tapebook::Trade>("S", ..).unwrap().count(), 1_000);
    flip(&path, 5_000);
    let [problem] = &db.scrub().problems[..] else { panic!("one file is damaged") };
    assert!(problem.contains(path.to_str().unwrap()) && problem.contains("checksum"), "{problem}");
    assert_eq!(db.stats().scrub.problems, std::slice::from_ref(problem));

    flip(&path, 5_000);
    assert_eq!(db.scrub().problems, Vec::<String>::new());
    // In a filter or an id index, which lie behind the blocks of rows.
    let bytes = db.snapshot().pieces().tables[0].file_bytes();
    flip(&path, bytes * 9 / 10);
    assert_eq!(db.scrub().problems.len(), 1);
    flip(&path, bytes * 9 / 10);
    db.compact(CompactionGoal::History).unwrap();
    assert_eq!(db.scrub().problems, Vec::<String>::new());
    let file_id = db.version().history().next().unwrap().file_id;
    let history = db.layout().history(file_id);
    flip(&history, 500);
    let [problem] = &db.scrub().problems[..] else { panic!("one file is damaged") };
    assert!(problem.contains(history.to_str().unwrap()) && problem.contains("checksum"), "{problem}");
    flip(&history, 500);
    assert_eq!(db.scrub().problems, Vec::<String>::new());
    db.close().unwrap();
}

#[test]
fn the_database_reads_its_files_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = flushed(&dir, Some(Duration::from_millis(5)));
    flip(&path, 5_000);
    let mut stats = db.stats().scrub;
    while stats.problems.is_empty() {
        std::thread::sleep(Duration::from_millis(5));
        stats = db.stats().scrub;
    }
    assert!(stats.problems[0].contains(path.to_str().unwrap()));
    db.close().unwrap();
}

/// A pass takes hours, and MemTables are flushed meanwhile.
#[test]
fn a_pass_keeps_no_memtable_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let slow = ScrubOptions { every: Some(Duration::from_millis(1)), bytes_per_second: 1 };
    let db = Db::open_with(dir.path().join("db"), Options { scrub: slow, ..options(None) }).unwrap();
    let fill = |first: u32| {
        db.append(trades("S", first.into(), first..first + 1_000), Durability::Synced)
            .unwrap()
            .wait()
            .unwrap();
        db.flush().unwrap();
    };
    fill(0);
    while db.stats().scrub.bytes == 0 {
        std::thread::yield_now();
    }
    // Those over no files are short.
    let passes = db.stats().scrub.passes;
    fill(1_000);
    fill(2_000);
    let stats = db.stats();
    assert_eq!(
        (stats.scrub.passes, stats.pinned.memtables),
        (passes, 0),
        "the pass goes on and holds nothing"
    );
}
