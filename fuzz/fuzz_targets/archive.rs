//! Files of the archive.

#![no_main]

use std::io::IoSlice;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, SEALED, seal, split};
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};
use tapebook_wal::{ArchiveEntries, ArchiveFile, ArchivedEntry};

/// Where the entries lie that make an input of another first byte; with the second one they lie at the end of all indexes.
const BEFORE: [u64; 2] = [41, u64::MAX - 3];

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let bytes = match mode {
        AS_IT_IS => bytes.to_vec(),
        SEALED => {
            let mut bytes = bytes.to_vec();
            seal::archive(&mut bytes);
            bytes
        }
        other => seal::archive_of(bytes, BEFORE[usize::from(other % 2)]),
    };
    let vfs = MemoryVfs::new(0);
    let path = Path::new("/archived.tape");
    let file = vfs.open(path, OpenMode::CreateNew).expect("an empty disk has room");
    file.write_all_at(0, &[IoSlice::new(&bytes)]).expect("an empty disk has room");
    let file = match ArchiveFile::open_as_it_is(&vfs, path) {
        Ok(file) => file,
        Err(error) => return drop(error.to_string()),
    };
    let (first, last) = (file.footer().first_index, file.footer().through.entry.index);
    let Some(all) = read(file.entries_from(0)) else { return };
    assert_eq!(all.len() as u64, file.footer().entries);
    assert!(all.iter().map(|entry| entry.meta.index).eq(first..=last), "indexes without a gap");
    // From any entry on the same entries come.
    let middle = first + (last - first) / 2;
    let half = read(file.entries_from(middle)).expect("what was read once is read again");
    assert!(half.iter().map(|entry| entry.meta.index).eq(middle..=last));
    let around = read(file.entries_around(file.footer().through.last_seq));
    assert!(around.expect("the same blocks").iter().map(|entry| entry.meta.index).is_sorted());
});

/// All entries, or none where the file is damaged.
fn read(entries: ArchiveEntries) -> Option<Vec<ArchivedEntry>> {
    let mut found = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => found.push(entry),
            Err(error) => {
                drop(error.to_string());
                return None;
            }
        }
    }
    Some(found)
}
