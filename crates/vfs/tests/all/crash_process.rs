//! Handles, locks and forks around crashes.

use std::io::ErrorKind;
use std::path::Path;

use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use super::{get, put_durably, write};

#[test]
fn handles_are_stale_and_locks_are_free_after_a_crash() {
    for kill_only in [false, true] {
        let vfs = MemoryVfs::new(1);
        let file = put_durably(&vfs, "/file", b"abc");
        let map = file.map(3).unwrap();
        let lock = vfs.lock_dir(Path::new("/"), "tapebook").unwrap();
        if kill_only {
            vfs.crash_process();
        } else {
            vfs.crash(1);
        }
        let kinds = [
            write(&*file, 0, b"x").unwrap_err().kind(),
            file.read_at(0, &mut [0]).unwrap_err().kind(),
            file.sync_data().unwrap_err().kind(),
            file.len().unwrap_err().kind(),
            file.set_len(0).unwrap_err().kind(),
            file.prepare_zeroed(1).unwrap_err().kind(),
            file.map(1).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::StaleNetworkFileHandle; 7]);
        assert_eq!(&*map, b"abc");
        let next = vfs.lock_dir(Path::new("/"), "tapebook").unwrap();
        // What the dead process drops late does not touch the living one's.
        let reopened = vfs.open(Path::new("/file"), OpenMode::ReadWrite).unwrap();
        drop((file, lock));
        assert!(vfs.lock_dir(Path::new("/"), "tapebook").is_err());
        write(&*reopened, 0, b"new").unwrap();
        drop(next);
        assert_eq!(get(&vfs, "/file").unwrap(), b"new");
    }
}

#[test]
fn a_killed_process_leaves_its_writes_in_the_cache_unsynced() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[1; 4096]);
    write(&*file, 0, &[2; 4096]).unwrap();
    vfs.crash_process();
    assert_eq!(get(&vfs, "/file").unwrap(), [2; 4096]);
    let survivals = (0..100)
        .filter(|&seed| {
            let crashed = vfs.fork();
            crashed.crash(seed);
            get(&crashed, "/file").unwrap() == [2; 4096]
        })
        .count();
    assert!((10..90).contains(&survivals), "{survivals}");
    // A sync by the next process covers what the dead one wrote.
    vfs.open(Path::new("/file"), OpenMode::ReadWrite).unwrap().sync_data().unwrap();
    vfs.crash(1);
    assert_eq!(get(&vfs, "/file").unwrap(), [2; 4096]);
}

#[test]
fn a_fork_goes_its_own_way() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", b"one");
    let _lock = vfs.lock_dir(Path::new("/"), "tapebook").unwrap();
    write(&*file, 0, b"two").unwrap();
    let fork = vfs.fork();
    fork.lock_dir(Path::new("/"), "tapebook").unwrap();
    let forked = fork.open(Path::new("/file"), OpenMode::ReadWrite).unwrap();
    write(&*forked, 0, b"fork").unwrap();
    fork.remove_file(Path::new("/file")).unwrap();
    fork.crash(1);
    file.sync_data().unwrap();
    assert_eq!(get(&vfs, "/file").unwrap(), b"two");
    assert_eq!(vfs.fork().random_u64(), vfs.random_u64());
}

#[test]
fn a_removed_file_is_freed_with_its_last_handle() {
    let vfs = MemoryVfs::new(1);
    vfs.set_capacity_bytes(Some(8192));
    let file = put_durably(&vfs, "/file", &[1; 8192]);
    vfs.remove_file(Path::new("/file")).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(vfs.available_bytes(Path::new("/")).unwrap(), 0);
    drop(file);
    assert_eq!(vfs.available_bytes(Path::new("/")).unwrap(), 8192);
}
