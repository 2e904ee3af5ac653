//! The simulated disk against the machine's own: equal calls, equal answers.

use std::io::{self, ErrorKind};
use std::path::Path;

use proptest::prelude::*;
use tapebook_vfs::{DirEntry, MemoryVfs, OpenMode, RealVfs, Vfs};

use super::{seeded, write};

const NAMES: [&str; 5] = ["a", "b", "dir/a", "dir/b", "dir"];

#[derive(Clone, Debug)]
enum Call {
    Write { name: usize, mode: usize, offset: u64, len: usize, byte: u8 },
    Read { name: usize, offset: u64, len: usize },
    SetLen { name: usize, len: u64 },
    Prepare { name: usize, len: u64 },
    Map { name: usize, len: u64 },
    Rename { from: usize, to: usize },
    Link { from: usize, to: usize },
    Remove { name: usize },
    CreateDir,
    List { name: usize },
}

#[derive(Debug, Eq, PartialEq)]
enum Answer {
    Done,
    Bytes(Vec<u8>),
    Entries(Vec<DirEntry>),
}

fn carry_out(vfs: &dyn Vfs, root: &Path, call: &Call) -> io::Result<Answer> {
    let path = |name: usize| root.join(NAMES[name]);
    let open = |name, mode| vfs.open(&path(name), mode);
    match *call {
        Call::Write { name, mode, offset, len, byte } => {
            let mode = [OpenMode::ReadWrite, OpenMode::CreateNew, OpenMode::CreateOrOpen][mode];
            write(&*open(name, mode)?, offset, &vec![byte; len])?;
        }
        Call::Read { name, offset, len } => {
            let mut bytes = vec![0; len];
            let read = open(name, OpenMode::Read)?.read_at(offset, &mut bytes)?;
            bytes.truncate(read);
            return Ok(Answer::Bytes(bytes));
        }
        Call::SetLen { name, len } => open(name, OpenMode::ReadWrite)?.set_len(len)?,
        Call::Prepare { name, len } => open(name, OpenMode::ReadWrite)?.prepare_zeroed(len)?,
        Call::Map { name, len } => return Ok(Answer::Bytes(open(name, OpenMode::Read)?.map(len)?.to_vec())),
        Call::Rename { from, to } => vfs.rename(&path(from), &path(to))?,
        Call::Link { from, to } => vfs.hard_link(&path(from), &path(to))?,
        Call::Remove { name } => vfs.remove_file(&path(name))?,
        Call::CreateDir => vfs.create_dir_all(&path(NAMES.len() - 1))?,
        Call::List { name } => return Ok(Answer::Entries(vfs.read_dir(&path(name))?)),
    }
    Ok(Answer::Done)
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let name = 0..NAMES.len();
    // `dir` is a file in one run and a directory in another; directories are not moved, linked or removed.
    let file = 0..NAMES.len() - 1;
    let offset = prop_oneof![Just(0_u64), 0..20_000_u64];
    let call = prop_oneof![
        6 => (name.clone(), 0..3_usize, offset.clone(), 0..9_000_usize, 1..=255_u8)
            .prop_map(|(name, mode, offset, len, byte)| Call::Write { name, mode, offset, len, byte }),
        3 => (name.clone(), offset.clone(), 0..20_000_usize)
            .prop_map(|(name, offset, len)| Call::Read { name, offset, len }),
        2 => (name.clone(), offset.clone()).prop_map(|(name, len)| Call::SetLen { name, len }),
        1 => (name.clone(), offset.clone()).prop_map(|(name, len)| Call::Prepare { name, len }),
        1 => (name.clone(), offset).prop_map(|(name, len)| Call::Map { name, len }),
        2 => (file.clone(), name.clone()).prop_map(|(from, to)| Call::Rename { from, to }),
        1 => (file.clone(), file.clone()).prop_map(|(from, to)| Call::Link { from, to }),
        1 => file.prop_map(|name| Call::Remove { name }),
        1 => Just(Call::CreateDir),
        1 => name.prop_map(|name| Call::List { name }),
    ];
    prop::collection::vec(call, 1..60)
}

proptest! {
    #![proptest_config(seeded(150))]

    #[test]
    fn both_disks_give_equal_answers(calls in calls()) {
        let dir = tempfile::tempdir().unwrap();
        let (real, memory) = (RealVfs::new(), MemoryVfs::new(1));
        for call in &calls {
            let on_disk = carry_out(&real, dir.path(), call).map_err(|error| error.kind());
            let in_memory = carry_out(&memory, Path::new("/"), call).map_err(|error| error.kind());
            prop_assert_eq!(on_disk, in_memory, "{:?}", call);
        }
    }
}

#[test]
fn the_kinds_of_errors_are_those_of_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let (real, memory) = (RealVfs::new(), MemoryVfs::new(1));
    let both = |call: Call| {
        let on_disk = carry_out(&real, dir.path(), &call).map_err(|error| error.kind());
        assert_eq!(
            on_disk,
            carry_out(&memory, Path::new("/"), &call).map_err(|error| error.kind()),
            "{call:?}"
        );
        on_disk
    };
    both(Call::Write { name: 4, mode: 1, offset: 0, len: 1, byte: 1 }).unwrap();
    let below_file = Call::Write { name: 2, mode: 2, offset: 0, len: 1, byte: 1 };
    assert_eq!(both(below_file), Err(ErrorKind::NotADirectory));
    assert_eq!(both(Call::Rename { from: 4, to: 2 }), Err(ErrorKind::NotADirectory));
    assert_eq!(both(Call::Remove { name: 2 }), Err(ErrorKind::NotADirectory));
}
