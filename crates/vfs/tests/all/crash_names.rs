//! What a power cut leaves of the names in a directory.

use std::path::Path;

use proptest::prelude::*;
use tapebook_vfs::{MemoryVfs, Vfs};

use super::{exists, get, put, put_durably, seeded, write};

/// Tries many crashes from one point and returns the answers, each once.
fn outcomes<T: Ord>(vfs: &MemoryVfs, look: impl Fn(&MemoryVfs) -> T) -> Vec<T> {
    let mut seen: Vec<T> = (0..300)
        .map(|seed| {
            let crashed = vfs.fork();
            crashed.crash(seed);
            look(&crashed)
        })
        .collect();
    seen.sort();
    seen.dedup();
    seen
}

fn names(vfs: &MemoryVfs, dir: &str) -> String {
    let entries = vfs.read_dir(Path::new(dir)).unwrap();
    entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>().join(" ")
}

fn rename(vfs: &MemoryVfs, from: &str, to: &str) {
    vfs.rename(Path::new(from), Path::new(to)).unwrap();
}

fn sync_dir(vfs: &MemoryVfs, dir: &str) {
    vfs.sync_dir(Path::new(dir)).unwrap();
}

#[test]
fn a_created_file_may_be_missing_until_its_directory_is_synced() {
    let vfs = MemoryVfs::new(1);
    put(&vfs, "/file", b"abc").sync_data().unwrap();
    assert_eq!(outcomes(&vfs, |vfs| exists(vfs, "/file")), [false, true]);
    sync_dir(&vfs, "/");
    assert_eq!(outcomes(&vfs, |vfs| get(vfs, "/file").unwrap()), [b"abc"]);
}

#[test]
fn a_durable_name_does_not_make_bytes_durable() {
    let vfs = MemoryVfs::new(1);
    put(&vfs, "/file", b"abc");
    sync_dir(&vfs, "/");
    let seen = outcomes(&vfs, |vfs| get(vfs, "/file").unwrap());
    assert_eq!(seen, [&b""[..], b"\0\0\0", b"abc"]);
}

#[test]
fn a_rename_happens_or_does_not() {
    let vfs = MemoryVfs::new(1);
    put_durably(&vfs, "/current", b"1");
    put_durably(&vfs, "/next", b"2");
    rename(&vfs, "/next", "/current");
    let look = |vfs: &MemoryVfs| (names(vfs, "/"), get(vfs, "/current").unwrap());
    assert_eq!(
        outcomes(&vfs, look),
        [("current".into(), b"2".to_vec()), ("current next".into(), b"1".to_vec())]
    );
    sync_dir(&vfs, "/");
    assert_eq!(outcomes(&vfs, look), [("current".into(), b"2".to_vec())]);
}

#[test]
fn a_removed_file_may_be_back_with_its_bytes() {
    let vfs = MemoryVfs::new(1);
    drop(put_durably(&vfs, "/file", b"abc"));
    vfs.remove_file(Path::new("/file")).unwrap();
    assert_eq!(outcomes(&vfs, |vfs| get(vfs, "/file").ok()), [None, Some(b"abc".to_vec())]);
    sync_dir(&vfs, "/");
    assert_eq!(outcomes(&vfs, |vfs| get(vfs, "/file").ok()), [None]);
}

#[test]
fn nothing_survives_that_builds_upon_what_is_lost() {
    let vfs = MemoryVfs::new(1);
    put(&vfs, "/a.tmp", b"1").sync_data().unwrap();
    rename(&vfs, "/a.tmp", "/a");
    rename(&vfs, "/a", "/b");
    put(&vfs, "/a", b"2").sync_data().unwrap();
    assert_eq!(outcomes(&vfs, |vfs| names(vfs, "/")), ["", "a", "a b", "a.tmp", "b"]);
}

#[test]
fn unrelated_changes_survive_in_any_subset() {
    let vfs = MemoryVfs::new(1);
    for name in ["/a", "/b", "/c"] {
        put(&vfs, name, b"");
    }
    let seen = outcomes(&vfs, |vfs| names(vfs, "/"));
    assert_eq!(seen, ["", "a", "a b", "a b c", "a c", "b", "b c", "c"]);
}

#[test]
fn a_journal_often_keeps_a_prefix() {
    let vfs = MemoryVfs::new(1);
    let all: Vec<String> = (10..40).map(|index| index.to_string()).collect();
    for name in &all {
        put(&vfs, &format!("/{name}"), b"");
    }
    let kept: Vec<usize> = outcomes(&vfs, |vfs| names(vfs, "/"))
        .iter()
        .filter_map(|seen| (5..25).find(|&len| *seen == all[..len].join(" ")))
        .collect();
    assert!(kept.len() > 10, "{kept:?}");
}

#[test]
fn each_directory_is_synced_by_itself() {
    let vfs = MemoryVfs::new(1);
    vfs.create_dir_all(Path::new("/x")).unwrap();
    vfs.create_dir_all(Path::new("/y")).unwrap();
    put(&vfs, "/x/file", b"");
    put(&vfs, "/y/file", b"");
    sync_dir(&vfs, "/x");
    sync_dir(&vfs, "/");
    assert_eq!(outcomes(&vfs, |vfs| names(vfs, "/x")), ["file"]);
    assert_eq!(outcomes(&vfs, |vfs| names(vfs, "/y")), ["", "file"]);
    assert_eq!(outcomes(&vfs, |vfs| names(vfs, "/")), ["x y"]);
}

#[test]
fn a_rename_across_directories_needs_both_synced() {
    let vfs = MemoryVfs::new(1);
    vfs.create_dir_all(Path::new("/x")).unwrap();
    vfs.create_dir_all(Path::new("/y")).unwrap();
    put_durably(&vfs, "/x/file", b"");
    rename(&vfs, "/x/file", "/y/file");
    let look = |vfs: &MemoryVfs| (exists(vfs, "/x/file"), exists(vfs, "/y/file"));
    sync_dir(&vfs, "/y");
    assert_eq!(outcomes(&vfs, look), [(false, true), (true, false)]);
    let both = vfs.fork();
    sync_dir(&both, "/x");
    assert_eq!(outcomes(&both, look), [(false, true)]);
    // A later change of the new name, made durable, carries the rename with it.
    vfs.remove_file(Path::new("/y/file")).unwrap();
    sync_dir(&vfs, "/y");
    assert_eq!(outcomes(&vfs, look), [(false, false)]);
}

#[test]
fn a_hard_link_is_lost_without_its_file() {
    let vfs = MemoryVfs::new(1);
    put_durably(&vfs, "/file", b"abc");
    vfs.hard_link(Path::new("/file"), Path::new("/link")).unwrap();
    assert_eq!(outcomes(&vfs, |vfs| names(vfs, "/")), ["file", "file link"]);
    sync_dir(&vfs, "/");
    vfs.remove_file(Path::new("/file")).unwrap();
    sync_dir(&vfs, "/");
    assert_eq!(outcomes(&vfs, |vfs| get(vfs, "/link").unwrap()), [b"abc"]);
}

#[test]
fn created_directories_are_durable() {
    let vfs = MemoryVfs::new(1);
    vfs.create_dir_all(Path::new("/a/b")).unwrap();
    assert_eq!(outcomes(&vfs, |vfs| names(vfs, "/a")), ["b"]);
}

#[test]
fn the_outcome_counts_names() {
    let vfs = MemoryVfs::new(1);
    for index in 0..10 {
        put(&vfs, &format!("/{index}"), b"");
    }
    for seed in 0..50 {
        let crashed = vfs.fork();
        let outcome = crashed.crash(seed);
        assert_eq!(outcome.entries_kept + outcome.entries_lost, 10);
        assert_eq!(crashed.read_dir(Path::new("/")).unwrap().len() as u64, outcome.entries_kept);
    }
}

proptest! {
    #![proptest_config(seeded(200))]

    /// Durable files that are only renamed to free names are never lost and never doubled.
    #[test]
    fn renamed_files_are_neither_lost_nor_doubled(
        moves in prop::collection::vec((0..5_usize, 0..8_usize), 1..30),
        seed: u64,
    ) {
        let vfs = MemoryVfs::new(1);
        let dirs = ["/x", "/y"];
        for dir in dirs {
            vfs.create_dir_all(Path::new(dir)).unwrap();
        }
        let mut paths: Vec<String> = (0..5).map(|file| format!("/x/start-{file}")).collect();
        for (file, path) in paths.iter().enumerate() {
            put_durably(&vfs, path, &[file as u8]);
        }
        for (turn, (file, action)) in moves.into_iter().enumerate() {
            match action {
                0 => sync_dir(&vfs, "/x"),
                1 => sync_dir(&vfs, "/y"),
                _ => {
                    let path = format!("{}/turn-{turn}", dirs[action % 2]);
                    rename(&vfs, &paths[file], &path);
                    paths[file] = path;
                }
            }
        }
        let synced = vfs.fork();
        dirs.iter().for_each(|dir| sync_dir(&synced, dir));
        for (vfs, exact) in [(&vfs, false), (&synced, true)] {
            vfs.crash(seed);
            let mut found: Vec<(u8, String)> = Vec::new();
            for dir in dirs {
                for entry in vfs.read_dir(Path::new(dir)).unwrap() {
                    let path = format!("{dir}/{}", entry.name);
                    found.push((get(vfs, &path).unwrap()[0], path));
                }
            }
            found.sort();
            let files: Vec<u8> = found.iter().map(|(file, _)| *file).collect();
            prop_assert_eq!(files, [0, 1, 2, 3, 4]);
            if exact {
                let found: Vec<String> = found.into_iter().map(|(_, path)| path).collect();
                prop_assert_eq!(&found, &paths);
            }
        }
    }
}

#[test]
fn a_replaced_file_goes_on_for_who_has_it_open() {
    let vfs = MemoryVfs::new(1);
    let old = put_durably(&vfs, "/file", b"old");
    put_durably(&vfs, "/next", b"new");
    rename(&vfs, "/next", "/file");
    sync_dir(&vfs, "/");
    write(&*old, 0, b"OLD").unwrap();
    old.sync_data().unwrap();
    let mut buf = [0; 3];
    old.read_exact_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"OLD");
    assert_eq!(outcomes(&vfs, |vfs| get(vfs, "/file").unwrap()), [b"new"]);
}
