//! One contract, three file systems: what every implementation of the traits answers.

use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tapebook_vfs::{DirEntry, FaultPlan, FaultVfs, File, ManualClock, MemoryVfs, OpenMode, RealVfs, Vfs};

use super::write;

/// A file system and an empty directory of it.
struct Place<'a> {
    vfs: &'a dyn Vfs,
    root: PathBuf,
}

impl Place<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Arc<dyn File> {
        let file = self.vfs.open(&self.path(name), OpenMode::CreateNew).unwrap();
        write(&*file, 0, bytes).unwrap();
        file
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.vfs.read_file(&self.path(name), 1 << 24).unwrap()
    }
}

macro_rules! conformance {
    ($($test:ident),* $(,)?) => {
        mod real {
            $(#[test] fn $test() {
                let dir = tempfile::tempdir().unwrap();
                super::$test(&super::Place { vfs: &super::RealVfs::new(), root: dir.path().to_path_buf() });
            })*
        }
        mod memory {
            $(#[test] fn $test() {
                let vfs = super::MemoryVfs::new(1);
                super::Vfs::create_dir_all(&vfs, super::Path::new("/data")).unwrap();
                super::$test(&super::Place { vfs: &vfs, root: "/data".into() });
            })*
        }
        mod fault {
            $(#[test] fn $test() {
                let vfs = super::FaultVfs::new(super::Arc::new(super::MemoryVfs::new(1)), super::FaultPlan::none());
                super::Vfs::create_dir_all(&vfs, super::Path::new("/data")).unwrap();
                super::$test(&super::Place { vfs: &vfs, root: "/data".into() });
            })*
        }
    };
}

conformance!(
    clock_goes_on_and_randomness_differs,
    directories_are_created_with_their_parents,
    directories_are_listed_by_name,
    errors_name_the_file,
    hard_links_share_the_bytes,
    holes_read_as_zeros,
    length_is_cut_and_extended,
    maps_show_the_bytes_aligned,
    many_slices_are_written_in_order,
    open_modes,
    prepared_bytes_are_zero,
    read_only_handles_refuse_changes,
    reads_end_at_the_end_of_the_file,
    removed_files_stay_readable_through_handles,
    renames_replace_the_target,
    syncing_directories,
    threads_share_a_handle,
    whole_files_are_read_within_a_bound,
);

fn open_modes(place: &Place<'_>) {
    let path = place.path("file");
    let open =
        |mode| place.vfs.open(&path, mode).map(|file| file.len().unwrap()).map_err(|error| error.kind());
    assert_eq!(open(OpenMode::Read), Err(ErrorKind::NotFound));
    assert_eq!(open(OpenMode::ReadWrite), Err(ErrorKind::NotFound));
    assert!(!place.vfs.exists(&path).unwrap());
    assert_eq!(open(OpenMode::CreateNew), Ok(0));
    assert!(place.vfs.exists(&path).unwrap());
    assert_eq!(open(OpenMode::CreateNew), Err(ErrorKind::AlreadyExists));
    write(&*place.vfs.open(&path, OpenMode::ReadWrite).unwrap(), 0, b"abc").unwrap();
    assert_eq!(open(OpenMode::CreateOrOpen), Ok(3));
    assert_eq!(open(OpenMode::Read), Ok(3));
    let inside_nothing = place.vfs.open(&place.path("none/file"), OpenMode::CreateNew).unwrap_err();
    assert_eq!(inside_nothing.kind(), ErrorKind::NotFound);
    let inside_file = place.vfs.open(&place.path("file/file"), OpenMode::CreateOrOpen).unwrap_err();
    assert_eq!(inside_file.kind(), ErrorKind::NotADirectory);
    assert!(!place.vfs.exists(&place.path("file/file")).unwrap());
    for mode in [OpenMode::Read, OpenMode::ReadWrite, OpenMode::CreateOrOpen] {
        assert_eq!(place.vfs.open(&place.root, mode).unwrap_err().kind(), ErrorKind::IsADirectory);
    }
    assert_eq!(
        place.vfs.open(&place.root, OpenMode::CreateNew).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
}

fn errors_name_the_file(place: &Place<'_>) {
    let path = place.path("missing");
    let text = path.display().to_string();
    let errors = [
        place.vfs.open(&path, OpenMode::Read).unwrap_err(),
        place.vfs.remove_file(&path).unwrap_err(),
        place.vfs.rename(&path, &place.path("other")).unwrap_err(),
        place.vfs.read_dir(&path).unwrap_err(),
        place.vfs.sync_dir(&path).unwrap_err(),
        place.vfs.available_bytes(&path).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(&text), "{error}");
    }
    let file = place.create("short", b"");
    let error = file.map(1).unwrap_err();
    assert!(error.to_string().contains("short"), "{error}");
}

fn reads_end_at_the_end_of_the_file(place: &Place<'_>) {
    let file = place.create("file", b"0123456789");
    let mut buf = [b'x'; 8];
    assert_eq!(file.read_at(2, &mut buf).unwrap(), 8);
    assert_eq!(&buf, b"23456789");
    assert_eq!(file.read_at(7, &mut buf).unwrap(), 3);
    assert_eq!(&buf[..3], b"789");
    assert_eq!(file.read_at(10, &mut buf).unwrap(), 0);
    assert_eq!(file.read_at(1 << 40, &mut buf).unwrap(), 0);
    assert_eq!(file.read_exact_at(3, &mut buf).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    file.read_exact_at(1, &mut buf).unwrap();
    assert_eq!(&buf, b"12345678");
}

fn many_slices_are_written_in_order(place: &Place<'_>) {
    let parts: Vec<Vec<u8>> = (0..2500_usize).map(|index| vec![index as u8; index % 11]).collect();
    let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let file = place.create("file", b"before");
    file.write_all_at(6, &slices).unwrap();
    file.write_all_at(3, &[]).unwrap();
    file.write_all_at(1 << 30, &[IoSlice::new(b"")]).unwrap();
    assert_eq!(place.bytes("file"), [b"before".to_vec(), parts.concat()].concat());
    write(&*file, 1, b"EF").unwrap();
    assert_eq!(&place.bytes("file")[..6], b"bEFore");
}

fn holes_read_as_zeros(place: &Place<'_>) {
    let file = place.create("file", b"a");
    write(&*file, 20_000, b"z").unwrap();
    assert_eq!(file.len().unwrap(), 20_001);
    let mut expected = vec![0; 20_001];
    (expected[0], expected[20_000]) = (b'a', b'z');
    assert_eq!(place.bytes("file"), expected);
}

fn length_is_cut_and_extended(place: &Place<'_>) {
    let file = place.create("file", &[7; 10_000]);
    for (len, sevens) in [(5_000, 5_000), (9_000, 5_000), (0, 0), (12_288, 0)] {
        file.set_len(len).unwrap();
        assert_eq!(file.len().unwrap(), len);
        assert_eq!(file.is_empty().unwrap(), len == 0);
        let bytes = place.bytes("file");
        assert_eq!(bytes.len() as u64, len);
        assert!(bytes.iter().enumerate().all(|(at, &byte)| byte == if at < sevens { 7 } else { 0 }));
    }
}

fn prepared_bytes_are_zero(place: &Place<'_>) {
    let file = place.create("file", &[7; 10_000]);
    file.prepare_zeroed(5_000).unwrap();
    let bytes = place.bytes("file");
    assert_eq!(bytes.len(), 10_000);
    assert!(bytes[..5_000].iter().all(|&byte| byte == 0) && bytes[5_000..].iter().all(|&byte| byte == 7));
    let len = (1 << 20) + 4321;
    file.prepare_zeroed(len).unwrap();
    assert_eq!(place.bytes("file"), vec![0; len as usize]);
    file.prepare_zeroed(0).unwrap();
    assert_eq!(file.len().unwrap(), len);
}

fn maps_show_the_bytes_aligned(place: &Place<'_>) {
    let bytes: Vec<u8> = (0..10_000_u32).map(|at| (at % 251) as u8).collect();
    let file = place.create("file", &bytes);
    for len in [0, 1, 4096, 9_999, 10_000] {
        let map = file.map(len as u64).unwrap();
        assert_eq!(&*map, &bytes[..len]);
        assert_eq!(map.as_ptr().addr() % 16, 0);
    }
    assert_eq!(file.map(10_001).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(file.map(u64::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
    let map = place.vfs.open(&place.path("file"), OpenMode::Read).unwrap().map(10_000).unwrap();
    let copy = map.clone();
    place.vfs.remove_file(&place.path("file")).unwrap();
    drop((file, map));
    assert_eq!(&*copy, &bytes[..]);
}

fn read_only_handles_refuse_changes(place: &Place<'_>) {
    place.create("file", b"abc");
    let file = place.vfs.open(&place.path("file"), OpenMode::Read).unwrap();
    assert!(write(&*file, 0, b"x").is_err());
    assert!(file.set_len(0).is_err());
    assert!(file.prepare_zeroed(1).is_err());
    assert_eq!(place.bytes("file"), b"abc");
}

fn directories_are_created_with_their_parents(place: &Place<'_>) {
    let deep = place.path("a/b/c");
    place.vfs.create_dir_all(&deep).unwrap();
    place.vfs.create_dir_all(&deep).unwrap();
    assert!(place.vfs.exists(&deep).unwrap());
    place.create("a/b/c/file", b"abc");
    for name in ["a/b/c/file", "a/b/c/file/d"] {
        assert_eq!(place.vfs.create_dir_all(&place.path(name)).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
}

fn directories_are_listed_by_name(place: &Place<'_>) {
    assert_eq!(place.vfs.read_dir(&place.root).unwrap(), []);
    place.create("b", b"12345");
    place.create("b-2", b"");
    place.vfs.create_dir_all(&place.path("a/inner")).unwrap();
    place.create("a/file", b"1");
    let entry = |name: &str, is_dir, len| DirEntry { name: name.to_owned(), is_dir, len };
    let expected = [entry("a", true, 0), entry("b", false, 5), entry("b-2", false, 0)];
    assert_eq!(place.vfs.read_dir(&place.root).unwrap(), expected);
    assert_eq!(
        place.vfs.read_dir(&place.path("a")).unwrap(),
        [entry("file", false, 1), entry("inner", true, 0)]
    );
    assert_eq!(place.vfs.read_dir(&place.path("b")).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert_eq!(place.vfs.read_dir(&place.path("c")).unwrap_err().kind(), ErrorKind::NotFound);
}

fn renames_replace_the_target(place: &Place<'_>) {
    let old = place.create("old", b"old");
    let new = place.create("new", b"new");
    place.vfs.rename(&place.path("new"), &place.path("old")).unwrap();
    assert!(!place.vfs.exists(&place.path("new")).unwrap());
    assert_eq!(place.bytes("old"), b"new");
    let mut buf = [0; 3];
    old.read_exact_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"old");
    write(&*new, 0, b"NEW").unwrap();
    assert_eq!(place.bytes("old"), b"NEW");
    place.vfs.rename(&place.path("old"), &place.path("old")).unwrap();
    assert_eq!(place.bytes("old"), b"NEW");
    let missing = place.vfs.rename(&place.path("new"), &place.path("old")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    place.vfs.create_dir_all(&place.path("dir")).unwrap();
    let onto_dir = place.vfs.rename(&place.path("old"), &place.path("dir")).unwrap_err();
    assert_eq!(onto_dir.kind(), ErrorKind::IsADirectory);
    place.vfs.rename(&place.path("old"), &place.path("dir/old")).unwrap();
    assert_eq!(place.bytes("dir/old"), b"NEW");
}

fn removed_files_stay_readable_through_handles(place: &Place<'_>) {
    let file = place.create("file", b"abc");
    place.vfs.remove_file(&place.path("file")).unwrap();
    place.vfs.sync_dir(&place.root).unwrap();
    assert!(!place.vfs.exists(&place.path("file")).unwrap());
    write(&*file, 3, b"def").unwrap();
    let mut buf = [0; 6];
    file.read_exact_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"abcdef");
    assert_eq!(place.vfs.remove_file(&place.path("file")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(place.vfs.remove_file(&place.root).is_err());
}

fn hard_links_share_the_bytes(place: &Place<'_>) {
    let file = place.create("file", b"abc");
    place.vfs.hard_link(&place.path("file"), &place.path("link")).unwrap();
    write(&*file, 0, b"ABC").unwrap();
    assert_eq!(place.bytes("link"), b"ABC");
    let again = place.vfs.hard_link(&place.path("file"), &place.path("link")).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    let missing = place.vfs.hard_link(&place.path("none"), &place.path("link-2")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    // Both are names of one file, so there is nothing to rename.
    place.vfs.rename(&place.path("file"), &place.path("link")).unwrap();
    assert!(place.vfs.exists(&place.path("file")).unwrap());
    place.vfs.remove_file(&place.path("file")).unwrap();
    assert_eq!(place.bytes("link"), b"ABC");
}

fn syncing_directories(place: &Place<'_>) {
    place.create("file", b"abc").sync_data().unwrap();
    place.vfs.sync_dir(&place.root).unwrap();
    assert_eq!(place.vfs.sync_dir(&place.path("file")).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert!(place.vfs.available_bytes(&place.root).unwrap() > 0);
}

fn whole_files_are_read_within_a_bound(place: &Place<'_>) {
    place.create("file", b"abc");
    assert_eq!(place.vfs.read_file(&place.path("file"), 3).unwrap(), b"abc");
    let error = place.vfs.read_file(&place.path("file"), 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("3 bytes, expected at most 2"), "{error}");
}

fn threads_share_a_handle(place: &Place<'_>) {
    let file = place.create("file", b"");
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let file = &file;
            scope.spawn(move || {
                for block in 0..16 {
                    let offset = (block * 4 + u64::from(thread)) * 1000;
                    write(&**file, offset, &[thread + 1; 1000]).unwrap();
                    file.sync_data().unwrap();
                }
            });
        }
    });
    let bytes = place.bytes("file");
    assert_eq!(bytes.len(), 64_000);
    assert!(bytes.chunks(1000).enumerate().all(|(at, block)| block == [at as u8 % 4 + 1; 1000]));
}

fn clock_goes_on_and_randomness_differs(place: &Place<'_>) {
    let clock = place.vfs.clock();
    let (before, wall) = (clock.monotonic(), clock.unix_nanos());
    clock.sleep(Duration::from_micros(5));
    assert!(clock.monotonic() >= before + Duration::from_micros(5));
    assert!(wall > 1_700_000_000_000_000_000);
    let mut drawn: Vec<u64> = (0..100).map(|_| place.vfs.random_u64()).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 100);
}

#[test]
fn the_machines_disk_takes_another_clock() {
    let vfs = RealVfs::with_clock(ManualClock::new(5_000));
    vfs.clock().sleep(Duration::from_nanos(7));
    assert_eq!((vfs.clock().unix_nanos(), vfs.clock().monotonic()), (5_007, Duration::from_nanos(7)));
}
