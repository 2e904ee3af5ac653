//! Injected faults: which call they hit, and what they leave behind.

use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tapebook_vfs::{
    Fault, FaultPlan, FaultRule, FaultVfs, LockError, MemoryVfs, OpenMode, Operation, Vfs, os_error_code,
};

use super::{exists, get, put, put_durably, write};

const EIO: i32 = 5;

fn faulty(rule: FaultRule) -> (MemoryVfs, FaultVfs) {
    let memory = MemoryVfs::new(1);
    let vfs = FaultVfs::new(Arc::new(memory.clone()), rule.into());
    (memory, vfs)
}

#[test]
fn the_nth_matching_call_fails_once() {
    let eio = Fault::OsError(EIO);
    let (_, vfs) = faulty(FaultRule::new(eio).on(Operation::Write).path_contains("log").nth(2));
    let table = put(&vfs, "/table", b"");
    let log = put(&vfs, "/log", b"1");
    write(&*table, 0, b"x").unwrap();
    let error = write(&*log, 1, b"2").unwrap_err();
    assert_eq!(os_error_code(&error), Some(EIO));
    assert_eq!(os_error_code(error.source().unwrap().downcast_ref().unwrap()), Some(EIO));
    assert!(error.to_string().starts_with("/log: "), "{error}");
    write(&*log, 1, b"3").unwrap();
    assert_eq!(get(&vfs, "/log").unwrap(), b"13");
    assert_eq!((vfs.calls_of(Operation::Write), vfs.calls_of(Operation::Open), vfs.faults()), (5, 3, 1));
}

#[test]
fn a_fault_for_ever_ends_with_its_plan() {
    let full = Fault::Error(ErrorKind::StorageFull);
    let (_, vfs) = faulty(FaultRule::new(full).on(Operation::Prepare).for_ever());
    let file = put(&vfs, "/file", b"");
    for _ in 0..3 {
        assert_eq!(file.prepare_zeroed(100).unwrap_err().kind(), ErrorKind::StorageFull);
    }
    vfs.set_plan(FaultPlan::none());
    file.prepare_zeroed(100).unwrap();
    assert_eq!(vfs.faults(), 3);
}

#[test]
fn a_short_write_leaves_its_first_bytes() {
    for (bytes, left) in [(0, &b""[..]), (4, b"abcd"), (100, b"abcdef")] {
        let short = Fault::ShortWrite { bytes, error: ErrorKind::StorageFull };
        let (_, vfs) = faulty(FaultRule::new(short).on(Operation::Write));
        let file = vfs.open(Path::new("/file"), OpenMode::CreateNew).unwrap();
        let slices = [IoSlice::new(b"abc"), IoSlice::new(b"def")];
        assert_eq!(file.write_all_at(0, &slices).unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(get(&vfs, "/file").unwrap(), left);
    }
}

#[test]
fn a_disk_that_lies_about_its_sync_loses_the_bytes() {
    let (memory, vfs) = faulty(FaultRule::new(Fault::Skip).on(Operation::Sync).nth(2));
    let file = put_durably(&vfs, "/file", b"one");
    write(&*file, 0, b"two").unwrap();
    file.sync_data().unwrap();
    let lost = (0..100).filter(|&seed| {
        let crashed = memory.fork();
        crashed.crash(seed);
        get(&crashed, "/file").unwrap() == b"one"
    });
    assert!(lost.count() > 10);
}

#[test]
fn writes_get_lost_or_land_elsewhere() {
    let (_, vfs) = faulty(FaultRule::new(Fault::Skip).on(Operation::Write).nth(2));
    let file = put(&vfs, "/file", b"abcdef");
    write(&*file, 0, b"x").unwrap();
    assert_eq!(get(&vfs, "/file").unwrap(), b"abcdef");
    vfs.set_plan(FaultRule::new(Fault::Misplace { offset: 3 }).on(Operation::Write).into());
    write(&*file, 0, b"x").unwrap();
    assert_eq!(get(&vfs, "/file").unwrap(), b"abcxef");
    vfs.set_plan(FaultRule::new(Fault::Misplace { offset: 2 }).on(Operation::Read).into());
    let mut buf = [0; 2];
    file.read_exact_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"cx");
}

#[test]
fn reads_and_maps_are_spoiled_and_the_file_is_not() {
    let spoil = Fault::CorruptRead { index: 7, mask: 0x20 };
    let (_, vfs) = faulty(FaultRule::new(spoil).on(Operation::Read));
    let file = put(&vfs, "/file", b"abcdef");
    assert_eq!(get(&vfs, "/file").unwrap(), b"aBcdef");
    assert_eq!(get(&vfs, "/file").unwrap(), b"abcdef");
    vfs.set_plan(FaultRule::new(spoil).on(Operation::Map).into());
    let map = file.map(6).unwrap();
    assert_eq!((&*map, map.as_ptr().addr() % 16), (&b"aBcdef"[..], 0));
    assert_eq!(&*file.map(6).unwrap(), b"abcdef");
    vfs.set_plan(FaultRule::new(spoil).on(Operation::Read).into());
    assert_eq!(file.read_at(6, &mut [0]).unwrap(), 0);
}

#[test]
fn a_delay_passes_on_the_simulated_clock() {
    let slow = Fault::Delay(Duration::from_secs(10));
    let (_, vfs) = faulty(FaultRule::new(slow).on(Operation::Sync));
    let before = vfs.clock().monotonic();
    put_durably(&vfs, "/file", b"abc");
    assert_eq!(vfs.clock().monotonic() - before, Duration::from_secs(10) + Duration::from_micros(4));
}

#[test]
fn a_fault_without_a_meaning_for_the_call_fails_it() {
    let (_, vfs) = faulty(FaultRule::new(Fault::Skip).on(Operation::Open));
    assert_eq!(vfs.open(Path::new("/file"), OpenMode::CreateNew).unwrap_err().kind(), ErrorKind::Other);
    assert!(!exists(&vfs, "/file"));
    vfs.set_plan(FaultRule::new(Fault::CorruptRead { index: 0, mask: 1 }).on(Operation::SyncDir).into());
    assert_eq!(vfs.sync_dir(Path::new("/")).unwrap_err().kind(), ErrorKind::Other);
}

#[test]
fn the_first_rule_that_hits_decides() {
    let plan = FaultPlan::none()
        .with(
            FaultRule::new(Fault::ShortWrite { bytes: 1, error: ErrorKind::Other })
                .on(Operation::Write)
                .nth(2),
        )
        .with(FaultRule::new(Fault::OsError(EIO)).on(Operation::Write).nth(2).for_ever());
    let vfs = FaultVfs::new(Arc::new(MemoryVfs::new(1)), plan);
    let file = put(&vfs, "/file", b"ab");
    assert_eq!(os_error_code(&write(&*file, 2, b"cd").unwrap_err()), None);
    assert_eq!(os_error_code(&write(&*file, 3, b"d").unwrap_err()), Some(EIO));
    assert_eq!(get(&vfs, "/file").unwrap(), b"abc");
}

#[test]
fn a_lock_that_cannot_be_taken() {
    let (_, vfs) = faulty(FaultRule::new(Fault::Error(ErrorKind::PermissionDenied)).on(Operation::Lock));
    let LockError::Io { path, source } = vfs.lock_dir(Path::new("/"), "tapebook").unwrap_err() else {
        panic!()
    };
    assert_eq!((path.as_path(), source.kind()), (Path::new("/LOCK"), ErrorKind::PermissionDenied));
    vfs.lock_dir(Path::new("/"), "tapebook").unwrap();
}

/// Replaces a small file the safe way; uses every kind of call there is.
fn replace_safely(vfs: &dyn Vfs) -> io::Result<()> {
    let dir = Path::new("/data");
    vfs.create_dir_all(dir)?;
    let _lock = vfs.lock_dir(dir, "tapebook").map_err(io::Error::other)?;
    vfs.available_bytes(dir)?;
    if vfs.exists(&dir.join("old"))? {
        vfs.remove_file(&dir.join("old"))?;
    }
    if vfs.exists(&dir.join("current"))? {
        vfs.hard_link(&dir.join("current"), &dir.join("old"))?;
    }
    let next = vfs.open(&dir.join("next"), OpenMode::CreateOrOpen)?;
    next.set_len(0)?;
    next.prepare_zeroed(3)?;
    next.write_all_at(0, &[IoSlice::new(b"new")])?;
    next.sync_data()?;
    assert_eq!((next.len()?, &*next.map(3)?), (3, &b"new"[..]));
    vfs.rename(&dir.join("next"), &dir.join("current"))?;
    vfs.sync_dir(dir)?;
    assert!(!vfs.read_dir(dir)?.is_empty());
    assert_eq!(vfs.read_file(&dir.join("current"), 3)?, b"new");
    Ok(())
}

#[test]
fn every_single_call_can_be_failed() {
    let prepared = MemoryVfs::new(1);
    prepared.create_dir_all(Path::new("/data")).unwrap();
    put_durably(&prepared, "/data/current", b"old");
    put_durably(&prepared, "/data/old", b"older");
    let counting = FaultVfs::new(Arc::new(prepared.fork()), FaultPlan::none());
    replace_safely(&counting).unwrap();
    let calls = counting.calls();
    assert!(calls >= 18, "{calls}");

    for nth in 1..=calls {
        for for_ever in [false, true] {
            let memory = prepared.fork();
            let mut rule = FaultRule::new(Fault::OsError(EIO)).nth(nth);
            if for_ever {
                rule = rule.for_ever();
            }
            let vfs = FaultVfs::new(Arc::new(memory.clone()), rule.into());
            replace_safely(&vfs).unwrap_err();
            assert_eq!(vfs.calls(), nth, "a clean stop at the first error");
            for seed in 0..10 {
                let crashed = memory.fork();
                crashed.crash(seed);
                let current = get(&crashed, "/data/current").unwrap();
                assert!(current == b"old" || current == b"new", "{current:?} after call {nth}");
                replace_safely(&crashed).unwrap();
            }
        }
    }
}
