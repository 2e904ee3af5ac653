//! A bit flips, a file is cut, missing, swapped or too new: an error that names the file, or the right rows; never wrong
//! rows, never a panic.
//!
//! Every byte of `IDENTITY`, `CURRENT`, the state file, the SSTable, `MARK` and of the used part of the last segment is
//! flipped. Of zeros that pad a block or wait to be written, and of the long payload that fills the closed segment, every
//! 61st byte is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook::{
    Db, Durability, Id, OpenError, Options, ReadError, Snapshot, StandardTable, TimeRange, Trade, WalOptions,
};
use tapebook_record::{Crc32c, crc32c};
use tapebook_vfs::{MemoryVfs, Vfs};

use crate::rows::{Row, StoredRow};
use crate::support::{on, trades};

const SAMPLED: usize = 61;

fn options(disk: &MemoryVfs) -> Options {
    let wal = WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 48 << 10, ..WalOptions::default() };
    Options { wal, memtable_bytes: 1 << 20, ..on(Arc::new(disk.clone())) }
}

/// An SSTable, a state file, a closed segment, and a last segment with an entry behind a sealed one.
fn database(seed: u64, id: u32) -> MemoryVfs {
    let disk = MemoryVfs::new(seed);
    let db = Db::open_with("/db", options(&disk)).unwrap();
    let add = |symbol: &str, first: u32, rows: u32| {
        db.append(trades(symbol, first.into(), id + first..id + first + rows), Durability::Synced)
            .unwrap()
            .wait()
            .unwrap();
    };
    add("FLUSHED", 0, 8);
    add("TOO", 8, 4);
    db.flush().unwrap();
    add("LONG", 20, 290);
    add("LONG", 310, 290);
    add("LAST", 600, 2);
    add("LAST", 602, 1);
    assert_eq!(db.stats().wal.segments_begun, 1, "there is a closed segment");
    db.close().unwrap();
    disk
}

/// What a snapshot answers to all kinds of reads, or the first error.
fn answers(snapshot: &Snapshot) -> Result<Vec<StoredRow>, ReadError> {
    let mut rows = Vec::new();
    for record in snapshot.scan_table(Trade::ID, TimeRange::ALL) {
        rows.push(Row::read(Trade::ID, record?));
    }
    for symbol in snapshot.symbols_of(Trade::ID) {
        assert_eq!(
            snapshot.series_rows(Trade::ID, symbol),
            rows.iter().filter(|row| row.row.symbol == symbol).count() as u64
        );
        if let Some(last) = snapshot.last(Trade::ID, symbol, i64::MAX)? {
            assert!(rows.contains(&Row::read(Trade::ID, last)));
        }
    }
    for stored in rows.iter().step_by(3) {
        let found = snapshot.by_id(Trade::ID, "trade_id", Id::Number(stored.row.number.into()))?;
        assert_eq!(found.len(), 1);
        assert_eq!(&Row::read(Trade::ID, found[0].clone()), stored);
        let found = snapshot.get(Trade::ID, &stored.row.symbol, stored.row.ts, stored.seq)?;
        assert!(found.is_some());
    }
    rows.sort();
    Ok(rows)
}

fn open_and_read(disk: &MemoryVfs) -> Result<Vec<StoredRow>, String> {
    let db = Db::open_with("/db", options(disk)).map_err(|error| error.to_string())?;
    answers(&db.snapshot()).map_err(|error| error.to_string())
}

fn problems(disk: &MemoryVfs) -> Vec<String> {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    tapebook::verify(&vfs, Path::new("/db"), "verify").unwrap_or_else(|error| panic!("{error}")).problems
}

fn files(disk: &MemoryVfs) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["/db", "/db/wal", "/db/tables", "/db/state"] {
        for entry in disk.read_dir(Path::new(folder)).unwrap().into_iter().filter(|entry| !entry.is_dir) {
            let path = Path::new(folder).join(entry.name);
            files.insert(path.clone(), disk.file_bytes(&path).unwrap());
        }
    }
    files
}

fn named(disk: &MemoryVfs, part: &str) -> PathBuf {
    let mut found = files(disk).into_keys().filter(|path| path.to_string_lossy().contains(part));
    found.next().unwrap_or_else(|| panic!("no file {part}"))
}

/// Damages a copy of the database and looks what it says. True where it says that something is wrong.
fn damaged(
    disk: &MemoryVfs,
    expected: &[StoredRow],
    path: &Path,
    what: &str,
    damage: impl FnOnce(&MemoryVfs),
) -> bool {
    let copy = disk.fork();
    damage(&copy);
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    // Before opening, which cuts what it may cut.
    let problems = problems(&copy);
    match open_and_read(&copy) {
        Ok(rows) => {
            assert_eq!(rows, expected, "{what}: wrong rows");
            false
        }
        Err(error) => {
            // Of a file that is missing only its folder may be known.
            let folder = path.parent().unwrap().to_string_lossy().into_owned();
            let named =
                |text: &str| text.contains(&name) || what.ends_with("missing") && text.contains(&folder);
            assert!(named(&error), "{what}: {error}");
            assert!(
                problems.iter().any(|problem| named(problem)),
                "{what}: verify finds {problems:?}, open {error}"
            );
            true
        }
    }
}

/// Flips bytes of one file; how many were flipped, and how many of them were noticed.
fn flip_bytes(part: &str, chosen: impl Fn(&[u8], usize) -> bool) -> (u64, u64) {
    let disk = database(1, 0);
    let expected = open_and_read(&disk.fork()).unwrap();
    assert_eq!(problems(&disk.fork()), Vec::<String>::new());
    let path = named(&disk, part);
    let bytes = disk.file_bytes(&path).unwrap();
    let (mut flipped, mut noticed) = (0, 0);
    for offset in (0..bytes.len()).filter(|offset| chosen(&bytes, *offset)) {
        let what = format!("{} byte {offset}", path.display());
        flipped += 1;
        noticed += u64::from(damaged(&disk, &expected, &path, &what, |copy| {
            copy.flip_byte(&path, offset as u64).unwrap()
        }));
    }
    println!("{part}: {flipped} flipped, {noticed} noticed");
    (flipped, noticed)
}

/// All but long stretches of zeros, of which some.
fn meaningful(bytes: &[u8], offset: usize) -> bool {
    let around = &bytes[offset.saturating_sub(16)..bytes.len().min(offset + 16)];
    around.iter().any(|byte| *byte != 0) || offset.is_multiple_of(SAMPLED)
}

#[test]
fn flipped_bytes_of_small_files_are_noticed() {
    for part in ["IDENTITY", "CURRENT", ".state"] {
        let (flipped, noticed) = flip_bytes(part, |_, _| true);
        assert_eq!(flipped, noticed, "{part}");
    }
}

#[test]
fn flipped_bytes_of_an_sstable_are_noticed() {
    let (flipped, noticed) = flip_bytes(".sst", |_, _| true);
    assert!(flipped > 1_000 && noticed * 10 > flipped * 9, "{noticed} of {flipped}");
}

#[test]
fn flipped_bytes_of_the_manifest_are_noticed() {
    let (flipped, noticed) = flip_bytes("MANIFEST", |bytes, offset| match offset {
        0..16_384 => meaningful(bytes, offset),
        _ => offset.is_multiple_of(SAMPLED * 41),
    });
    assert!(flipped > 300 && noticed > 200, "{noticed} of {flipped}");
}

#[test]
fn flipped_bytes_of_a_closed_segment_are_noticed() {
    let (flipped, noticed) = flip_bytes("0000000001.log", |bytes, offset| match offset {
        0..4_700 => meaningful(bytes, offset),
        _ => offset.is_multiple_of(SAMPLED),
    });
    assert!(flipped > 700 && noticed > 500, "{noticed} of {flipped}");
}

#[test]
fn flipped_bytes_of_the_last_segment_are_noticed() {
    let (flipped, noticed) = flip_bytes("0000000002.log", |bytes, offset| {
        let long_payload = (5_200..30_000).contains(&offset);
        if long_payload { offset.is_multiple_of(SAMPLED) } else { meaningful(bytes, offset) }
    });
    assert!(flipped > 700 && noticed > 500, "{noticed} of {flipped}");
}

/// The mark helps to judge the log; without it the log still says what it says.
#[test]
fn flipped_bytes_of_the_mark_do_no_harm() {
    let (flipped, noticed) = flip_bytes("MARK", meaningful);
    assert!(flipped > 60);
    assert_eq!(noticed, 0);
}

#[test]
fn files_that_are_cut_or_missing_are_named() {
    let disk = database(1, 0);
    let expected = open_and_read(&disk.fork()).unwrap();
    for (path, bytes) in files(&disk) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "LOCK" || name.starts_with("spare-") {
            continue;
        }
        for len in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            let what = format!("{name} cut to {len}");
            let told = damaged(&disk, &expected, &path, &what, |copy| {
                copy.mutate(&path, |bytes| bytes.truncate(len)).unwrap()
            });
            // The manifest's second half is prepared space.
            assert!(told || name == "MARK" || name.starts_with("MANIFEST") && len > 8 << 10, "{what}");
        }
        let what = format!("{name} missing");
        let told = damaged(&disk, &expected, &path, &what, |copy| copy.remove_file(&path).unwrap());
        assert!(told || name == "MARK", "{what}");
    }
}

/// A disk or file of another database, or an older copy of one's own file, is not taken for the right one.
#[test]
fn files_of_another_database_are_refused() {
    let (disk, other) = (database(1, 0), database(2, 5_000));
    let expected = open_and_read(&disk.fork()).unwrap();
    let others = files(&other);
    for path in files(&disk).into_keys() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(foreign) = others.get(&path).filter(|_| name != "LOCK" && !name.starts_with("spare-"))
        else {
            continue;
        };
        let copy = disk.fork();
        copy.mutate(&path, |bytes| bytes.clone_from(foreign)).unwrap();
        match open_and_read(&copy) {
            Ok(rows) => {
                assert_eq!(rows, expected, "{name}: rows of another database");
                assert_eq!(name, "MARK");
            }
            // With the other's identity it is every other file that is foreign.
            Err(error) => assert!(error.contains(&name) || name == "IDENTITY", "{name}: {error}"),
        }
    }
}

#[test]
fn another_sstable_of_the_same_database_is_refused() {
    let disk = MemoryVfs::new(3);
    let db = Db::open_with("/db", options(&disk)).unwrap();
    let unused = disk.fork();
    db.append(trades("S", 0, 0..5), Durability::Synced).unwrap().wait().unwrap();
    db.flush().unwrap();
    db.close().unwrap();
    let db = Db::open_with("/db", options(&unused)).unwrap();
    db.append(trades("S", 0, 5..10), Durability::Synced).unwrap().wait().unwrap();
    db.flush().unwrap();
    let path = named(&disk, ".sst");
    let copy = unused.file_bytes(&path).unwrap();
    disk.mutate(&path, |bytes| *bytes = copy).unwrap();
    let error = Db::open_with("/db", options(&disk)).unwrap_err();
    assert!(matches!(&error, OpenError::OtherTable { path: named, .. } if *named == path), "{error}");
    assert!(!problems(&disk).is_empty());
}

#[test]
fn newer_formats_are_told_apart_from_damage() {
    let disk = database(1, 0);
    let refused = |part: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let copy = disk.fork();
        let path = named(&copy, part);
        copy.mutate(&path, |bytes| change(bytes)).unwrap();
        let before = files(&copy);
        let text = open_and_read(&copy).unwrap_err();
        assert!(text.contains(&*path.file_name().unwrap().to_string_lossy()), "{text}");
        assert!(text.contains("version") || text.contains("format"), "{part}: {text}");
        assert!(!text.contains("checksum"), "{part}: {text}");
        let mut after = files(&copy);
        after.retain(|path, _| !path.ends_with("LOCK"));
        assert!(
            after.iter().all(|(path, bytes)| before.get(path) == Some(bytes)),
            "{part}: nothing was changed"
        );
    };
    let whole = |bytes: &mut Vec<u8>| {
        bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
        let end = bytes.len() - 4;
        let crc = crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
    };
    refused("IDENTITY", &whole);
    refused("CURRENT", &whole);
    refused("0000000002.log", &|bytes| {
        bytes[12..16].copy_from_slice(&2_u32.to_le_bytes());
        let mut crc = Crc32c::seeded(&bytes[..8]);
        crc.update(&bytes[12..4096]);
        let crc = crc.finish();
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    });
    refused(".sst", &|bytes| {
        bytes[8..10].copy_from_slice(&2_u16.to_le_bytes());
        let crc = crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    });
}

/// Nothing vouches for a log but its own files, were it not for what the first flush has written down.
#[test]
fn a_log_that_is_gone_is_missed() {
    let disk = database(1, 0);
    for path in files(&disk).into_keys().filter(|path| path.starts_with("/db/wal")) {
        disk.remove_file(&path).unwrap();
    }
    let error = Db::open_with("/db", options(&disk)).unwrap_err();
    assert!(matches!(error, OpenError::Log(_)), "{error}");
    assert!(error.to_string().contains("/db/wal"), "{error}");
    assert!(!problems(&disk).is_empty(), "verify misses it too");
}
