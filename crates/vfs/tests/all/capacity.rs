//! A full disk shows while preparing, never in a write to prepared bytes.

use std::io::ErrorKind;
use std::path::Path;

use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use super::{get, put_durably, write};

#[test]
fn a_full_disk_refuses_to_allocate() {
    let vfs = MemoryVfs::new(1);
    vfs.set_capacity_bytes(Some(40_960));
    let log = put_durably(&vfs, "/log", b"");
    assert_eq!(log.prepare_zeroed(40_961).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!((log.len().unwrap(), vfs.available_bytes(Path::new("/")).unwrap()), (0, 40_960));
    log.prepare_zeroed(36_864).unwrap();
    assert_eq!(vfs.available_bytes(Path::new("/")).unwrap(), 4_096);

    let table = put_durably(&vfs, "/table", &[1; 4_096]);
    let error = write(&*table, 4_000, &[2; 200]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(error.to_string().contains("/table"), "{error}");
    assert_eq!(get(&vfs, "/table").unwrap(), [1; 4_096]);

    write(&*log, 0, &[3; 36_864]).unwrap();
    log.sync_data().unwrap();
    // A hole takes no room until it is written.
    table.set_len(1 << 20).unwrap();
    assert_eq!(write(&*table, 8_192, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
    drop(log);
    vfs.remove_file(Path::new("/log")).unwrap();
    write(&*table, 8_192, b"x").unwrap();
}

#[test]
fn sizes_that_no_disk_has_are_refused() {
    let vfs = MemoryVfs::new(1);
    let file = vfs.open(Path::new("/file"), OpenMode::CreateNew).unwrap();
    assert_eq!(write(&*file, u64::MAX, b"x").unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(write(&*file, 1 << 50, b"x").unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(file.set_len(u64::MAX).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(file.prepare_zeroed(1 << 50).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(file.len().unwrap(), 0);
}
