//! What a test can see of and do to a simulated disk.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use tapebook_vfs::{MemoryVfs, Operation, TracedOperation, Vfs};

use super::{get, put, put_durably, write};

#[test]
fn the_trace_holds_successful_calls_in_order() {
    let vfs = MemoryVfs::new(1);
    put(&vfs, "/before", b"");
    assert_eq!(vfs.operations(), []);
    vfs.set_trace(true);
    let file = put(&vfs, "/next", b"abc");
    file.sync_data().unwrap();
    vfs.rename(Path::new("/next"), Path::new("/current")).unwrap();
    vfs.rename(Path::new("/next"), Path::new("/current")).unwrap_err();
    vfs.sync_dir(Path::new("/")).unwrap();
    let traced =
        |operation, path: &str, len| TracedOperation { operation, path: path.into(), offset: 0, len };
    let expected = [
        traced(Operation::Open, "/next", 0),
        traced(Operation::Write, "/next", 3),
        traced(Operation::Sync, "/next", 0),
        traced(Operation::Rename, "/current", 0),
        traced(Operation::SyncDir, "/", 0),
    ];
    assert_eq!(vfs.operations(), expected);
    vfs.set_trace(false);
    assert_eq!(vfs.operations(), []);
}

#[test]
fn syncs_are_counted_by_file() {
    let vfs = MemoryVfs::new(1);
    let one = put_durably(&vfs, "/one", b"");
    put_durably(&vfs, "/two", b"");
    one.sync_data().unwrap();
    one.prepare_zeroed(10).unwrap();
    vfs.fail_next_sync("one");
    one.sync_data().unwrap_err();
    assert_eq!(
        (vfs.sync_count(), vfs.sync_count_of("/one").unwrap(), vfs.sync_count_of("/two").unwrap()),
        (3, 2, 1)
    );
    assert_eq!(vfs.sync_count_of("/none").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn bytes_are_changed_behind_the_back_of_the_writer() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", b"abcdef");
    vfs.flip_byte("/file", 2).unwrap();
    assert_eq!(vfs.flip_byte("/file", 6).unwrap_err().kind(), ErrorKind::InvalidInput);
    vfs.mutate("/file", |bytes| bytes.truncate(4)).unwrap();
    vfs.crash(1);
    assert_eq!(vfs.file_bytes("/file").unwrap(), [b'a', b'b', !b'c', b'd']);
    assert_eq!(get(&vfs, "/file").unwrap(), vfs.file_bytes("/file").unwrap());
    assert_eq!(vfs.file_bytes("/none").unwrap_err().kind(), ErrorKind::NotFound);
    write(&*file, 0, b"x").unwrap_err();
}

#[test]
fn time_passes_with_every_call_and_by_hand() {
    let vfs = MemoryVfs::new(1);
    let start = vfs.clock().monotonic();
    put_durably(&vfs, "/file", b"abc");
    assert_eq!(vfs.clock().monotonic() - start, Duration::from_micros(4));
    vfs.manual_clock().advance(Duration::from_secs(1));
    vfs.clock().sleep(Duration::from_secs(2));
    assert_eq!(vfs.clock().monotonic() - start, Duration::from_micros(3_000_004));
}

#[test]
fn randomness_comes_from_the_seed() {
    let drawn = |seed| MemoryVfs::new(seed).random_u64();
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    // Sebastiano Vigna's reference implementation gives this for the state 1234567.
    assert_eq!(drawn(1_234_567), 6_457_827_717_110_365_317);
}

#[test]
fn paths_have_one_spelling() {
    let vfs = MemoryVfs::new(1);
    vfs.create_dir_all(Path::new("/data/logs")).unwrap();
    put_durably(&vfs, "data/./logs/../file", b"abc");
    assert_eq!(get(&vfs, "/data/file").unwrap(), b"abc");
}
