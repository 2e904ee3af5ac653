//! What a power cut leaves of a file's bytes.

use std::path::Path;

use proptest::prelude::*;
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use super::{get, put_durably, seeded, write};

const PAGE: usize = 4096;
const SECTOR: usize = 512;

#[test]
fn synced_bytes_survive_every_crash() {
    let vfs = MemoryVfs::new(1);
    let bytes: Vec<u8> = (0..50_000_u32).map(|at| (at % 249) as u8).collect();
    let file = put_durably(&vfs, "/file", b"first");
    write(&*file, 0, &bytes).unwrap();
    file.sync_data().unwrap();
    for seed in 0..200 {
        let crashed = vfs.fork();
        assert_eq!(crashed.crash(seed), Default::default());
        assert_eq!(get(&crashed, "/file").unwrap(), bytes);
    }
}

#[test]
fn unsynced_pages_survive_in_any_subset() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[b'a'; 3 * PAGE]);
    write(&*file, 0, &[b'b'; 3 * PAGE]).unwrap();
    let mut seen = [false; 8];
    for seed in 0..400 {
        let crashed = vfs.fork();
        let outcome = crashed.crash(seed);
        let bytes = get(&crashed, "/file").unwrap();
        let pages: Vec<&[u8]> = bytes.chunks(PAGE).collect();
        let whole = |page: &[u8]| page.iter().all(|&byte| byte == page[0]);
        let torn = pages.iter().filter(|page| !whole(page)).count() as u64;
        assert!(torn <= outcome.pages_torn);
        assert_eq!(outcome.pages_kept + outcome.pages_dropped + outcome.pages_torn, 3);
        for page in &pages {
            assert!(page.chunks(SECTOR).all(whole), "a sector is never torn");
        }
        if torn == 0 {
            let kept =
                pages.iter().enumerate().map(|(at, page)| usize::from(page[0] == b'b') << at).sum::<usize>();
            seen[kept] = true;
        }
    }
    assert_eq!(seen, [true; 8]);
}

#[test]
fn a_page_that_was_written_twice_may_hold_the_write_between() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[0; PAGE]);
    write(&*file, 0, &[1; PAGE]).unwrap();
    write(&*file, 0, &[2; PAGE]).unwrap();
    let mut seen = [0_u32; 3];
    let mut torn = 0;
    for seed in 0..400 {
        let crashed = vfs.fork();
        let outcome = crashed.crash(seed);
        let bytes = get(&crashed, "/file").unwrap();
        torn += outcome.pages_torn;
        if outcome.pages_torn == 0 {
            seen[usize::from(bytes[0])] += 1;
            assert_eq!(outcome.pages_intermediate == 1, bytes[0] == 1);
        }
    }
    assert!(seen.iter().all(|&count| count > 10) && torn > 10, "{seen:?}, {torn} torn");
}

#[test]
fn the_length_is_one_that_the_file_had() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[1; 5_000]);
    write(&*file, 5_000, &[2; 5_000]).unwrap();
    file.set_len(300).unwrap();
    write(&*file, 300, &[3; 400]).unwrap();
    let mut lens: Vec<usize> = (0..400)
        .map(|seed| {
            let crashed = vfs.fork();
            let changed = crashed.crash(seed).lengths_changed;
            let len = get(&crashed, "/file").unwrap().len();
            assert_eq!(changed == 0, len == 700);
            len
        })
        .collect();
    lens.sort_unstable();
    lens.dedup();
    assert_eq!(lens, [300, 700, 5_000, 10_000]);
}

#[test]
fn a_cut_happened_or_did_not() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[1; 3 * PAGE]);
    file.set_len(PAGE as u64 + 100).unwrap();
    file.set_len(100).unwrap();
    write(&*file, 0, &[2; 2 * PAGE]).unwrap();
    let mut seen = [0_u32; 3];
    for seed in 0..400 {
        let crashed = vfs.fork();
        crashed.crash(seed);
        let bytes = get(&crashed, "/file").unwrap();
        let cuts = [3 * PAGE, PAGE + 100].iter().position(|&len| len == bytes.len()).unwrap_or(2);
        seen[cuts] += 1;
        if cuts < 2 {
            assert!(bytes.iter().all(|&byte| byte == 1), "not cut, so all of it is there");
        } else {
            assert!(bytes.len() == 100 || bytes.len() == 2 * PAGE);
            assert!(bytes[100.min(bytes.len())..].iter().all(|&byte| byte != 1), "what was cut off is gone");
        }
    }
    assert!(seen.iter().all(|&count| count > 10), "{seen:?}");
}

#[test]
fn cutting_for_ever_without_a_sync_is_bounded() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[1; 10]);
    for round in 0..100_000_u32 {
        file.set_len(0).unwrap();
        write(&*file, 0, &round.to_le_bytes()).unwrap();
    }
    let lens = (0..100).map(|seed| {
        let crashed = vfs.fork();
        crashed.crash(seed);
        get(&crashed, "/file").unwrap().len()
    });
    assert!(lens.into_iter().all(|len| [0, 4, 10].contains(&len)));
}

#[test]
fn what_is_cut_off_by_a_crash_reads_as_zeros_when_the_file_grows() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[1; 100]);
    write(&*file, 0, &[2; 6_000]).unwrap();
    for seed in 0..100 {
        let crashed = vfs.fork();
        crashed.crash(seed);
        let len = get(&crashed, "/file").unwrap().len();
        crashed.open(Path::new("/file"), OpenMode::ReadWrite).unwrap().set_len(6_000).unwrap();
        assert!(get(&crashed, "/file").unwrap()[len..].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn what_a_crash_left_is_durable() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[1; 9 * PAGE]);
    write(&*file, 0, &[2; 9 * PAGE]).unwrap();
    vfs.crash(3);
    let left = get(&vfs, "/file").unwrap();
    for seed in 0..20 {
        assert_eq!(vfs.crash(seed), Default::default());
        assert_eq!(get(&vfs, "/file").unwrap(), left);
    }
}

#[test]
fn prepared_bytes_are_durable() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[1; PAGE]);
    write(&*file, 0, &[2; PAGE]).unwrap();
    file.prepare_zeroed(10 * PAGE as u64).unwrap();
    for seed in 0..50 {
        vfs.crash(seed);
        assert_eq!(get(&vfs, "/file").unwrap(), vec![0; 10 * PAGE]);
    }
}

#[test]
fn a_failed_sync_gives_its_pages_up() {
    let vfs = MemoryVfs::new(1);
    let file = put_durably(&vfs, "/file", &[1; 3 * PAGE]);
    write(&*file, 0, &[2; 2 * PAGE]).unwrap();
    vfs.fail_next_sync("file");
    assert!(file.sync_data().is_err());
    write(&*file, 0, &[3; PAGE]).unwrap();
    write(&*file, 2 * PAGE as u64, &[3; PAGE]).unwrap();
    file.sync_data().unwrap();
    assert_eq!(get(&vfs, "/file").unwrap()[PAGE], 2, "the cache still shows it");
    let mut lost = 0;
    for seed in 0..100 {
        let crashed = vfs.fork();
        crashed.crash(seed);
        let bytes = get(&crashed, "/file").unwrap();
        assert_eq!((bytes[0], bytes[2 * PAGE]), (3, 3), "written again, so the second sync stored them");
        lost += u32::from(bytes[PAGE] == 1);
    }
    assert!(lost > 10, "{lost}");
}

#[test]
fn equal_seeds_crash_equally() {
    let crashed = |seed| {
        let vfs = MemoryVfs::new(5);
        let file = put_durably(&vfs, "/file", &[0; 20 * PAGE]);
        for round in 1..40_u8 {
            write(&*file, u64::from(round) * 1000, &[round; 9_000]).unwrap();
        }
        let outcome = vfs.crash(seed);
        (outcome, get(&vfs, "/file").unwrap(), vfs.random_u64())
    };
    assert_eq!(crashed(1), crashed(1));
    assert_ne!(crashed(1).1, crashed(2).1);
}

#[derive(Clone, Debug)]
enum Step {
    Write { offset: usize, len: usize, byte: u8 },
    SetLen(usize),
    Sync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..20_000_usize, 0..9_000_usize, 1..=255_u8)
            .prop_map(|(offset, len, byte)| Step::Write { offset, len, byte }),
        1 => (0..20_000_usize).prop_map(Step::SetLen),
        1 => Just(Step::Sync),
    ];
    prop::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(seeded(200))]

    /// The model keeps every content the file had since its last sync, once for each cut that may or may not have
    /// happened. After a crash, length and sectors come from what the file held under one choice of cuts.
    #[test]
    fn every_sector_was_there_at_some_time(steps in steps(), seed: u64) {
        let vfs = MemoryVfs::new(1);
        let file = put_durably(&vfs, "/file", b"");
        let mut eras = vec![Era { contents: vec![Vec::new()], lens: vec![0] }];
        for step in steps {
            let era = eras.last_mut().unwrap();
            let mut bytes = era.contents.last().unwrap().clone();
            match step {
                Step::Write { offset, len, byte } => {
                    write(&*file, offset as u64, &vec![byte; len]).unwrap();
                    if len > 0 {
                        bytes.resize(bytes.len().max(offset + len), 0);
                        bytes[offset..offset + len].fill(byte);
                    }
                }
                Step::SetLen(len) => {
                    file.set_len(len as u64).unwrap();
                    if len < bytes.len() {
                        let mut contents = era.contents.clone();
                        contents.iter_mut().for_each(|content| content.truncate(len));
                        eras.push(Era { contents, lens: Vec::new() });
                    }
                    bytes.resize(len, 0);
                }
                Step::Sync => {
                    file.sync_data().unwrap();
                    eras = vec![Era::default()];
                }
            }
            let era = eras.last_mut().unwrap();
            era.lens.push(bytes.len());
            era.contents.push(bytes);
            prop_assert_eq!(&get(&vfs, "/file").unwrap(), era.contents.last().unwrap());
        }
        for seed in (0..5).map(|step| seed ^ step) {
            let crashed = vfs.fork();
            crashed.crash(seed);
            let bytes = get(&crashed, "/file").unwrap();
            prop_assert!(eras.iter().any(|era| era.explains(&bytes)), "{} bytes were never like that", bytes.len());
        }
    }
}

/// The time between two cuts.
#[derive(Default)]
struct Era {
    contents: Vec<Vec<u8>>,
    lens: Vec<usize>,
}

impl Era {
    fn explains(&self, bytes: &[u8]) -> bool {
        let known = |(at, sector): (usize, &[u8])| {
            self.contents.iter().any(|content| {
                (0..sector.len())
                    .all(|byte| sector[byte] == content.get(at * SECTOR + byte).copied().unwrap_or(0))
            })
        };
        self.lens.contains(&bytes.len()) && bytes.chunks(SECTOR).enumerate().all(known)
    }
}
