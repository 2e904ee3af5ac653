//! The order of writes, syncs and renames when a manifest is created, appended to and replaced.

use tapebook_vfs::Operation;

use super::*;

fn changes(memory: &MemoryVfs) -> Vec<(Operation, String)> {
    let named =
        |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let changes = memory.operations().into_iter().filter(|traced| {
        !matches!(
            traced.operation,
            Operation::Read | Operation::ReadDir | Operation::Open | Operation::Remove
        )
    });
    changes.map(|traced| (traced.operation, named(&traced.path))).collect()
}

fn expect(memory: &MemoryVfs, expected: &[(Operation, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(operation, name)| (*operation, (*name).to_owned())).collect();
    assert_eq!(changes(memory), expected);
}

#[test]
fn a_name_counts_only_after_its_bytes_and_its_directory_are_durable() {
    use Operation::{Prepare, Rename, Sync, SyncDir, Write};
    let (memory, vfs) = new_disk(0);
    memory.set_trace(true);
    identity().write(&*vfs, &dir()).unwrap();
    expect(
        &memory,
        &[(Write, "IDENTITY.tmp"), (Sync, "IDENTITY.tmp"), (Rename, "IDENTITY"), (SyncDir, "data")],
    );

    let begin = |manifest: &'static str| {
        [
            (Prepare, manifest),
            (Write, manifest),
            (Write, manifest),
            (Sync, manifest),
            (SyncDir, "data"),
            (Write, "CURRENT.tmp"),
            (Sync, "CURRENT.tmp"),
            (Rename, "CURRENT"),
            (SyncDir, "data"),
        ]
    };
    memory.set_trace(true);
    let mut manifest = Manifest::create_with(Arc::clone(&vfs), &dir(), identity(), SMALL).unwrap();
    expect(&memory, &begin("MANIFEST-000001"));

    let append = [(Write, "MANIFEST-000001"), (Sync, "MANIFEST-000001"), (Write, "MANIFEST-000001")];
    loop {
        memory.set_trace(true);
        manifest.commit(&flush(manifest.version(), 1)).unwrap();
        if manifest.number() == 2 {
            break;
        }
        expect(&memory, &append);
    }
    expect(&memory, &begin("MANIFEST-000002"));
}

#[test]
fn a_new_manifest_begins_with_the_whole_version() {
    let (_, vfs) = new_disk(0);
    let mut manifest = Manifest::create_with(Arc::clone(&vfs), &dir(), identity(), SMALL).unwrap();
    let mut random = Random(5);
    for _ in 0..200 {
        manifest.commit(&any_edit(manifest.version(), &mut random)).unwrap();
    }
    assert!(manifest.number() > 3);
    let (opened, version) = reopen(&vfs).unwrap();
    assert_eq!(version, *manifest.version());
    assert_eq!(opened.number(), manifest.number());
    assert_eq!(Manifest::read(&*vfs, &dir(), identity()).unwrap().version, *version);
}

#[test]
fn no_manifest_is_created_over_one_that_was_in_use() {
    let (memory, vfs) = new_disk(0);
    let create = || Manifest::create_with(Arc::clone(&vfs), &dir(), identity(), SMALL);
    let mut manifest = create().unwrap();
    assert!(matches!(create().unwrap_err(), ManifestError::Exists { .. }));
    memory.remove_file(&path("CURRENT")).unwrap();
    drop(create().expect("nothing but its creation was written to the manifest"));
    memory.remove_file(&path("CURRENT")).unwrap();
    manifest = {
        drop(manifest);
        create().unwrap()
    };
    manifest.commit(&VersionEdit { epoch: Some(9), ..VersionEdit::default() }).unwrap();
    memory.remove_file(&path("CURRENT")).unwrap();
    assert!(matches!(create().unwrap_err(), ManifestError::Exists { .. }));
}

#[test]
fn a_state_file_and_its_name_are_durable_when_it_is_written() {
    use Operation::{Rename, Sync, SyncDir, Write};
    let (memory, vfs) = new_disk(0);
    memory.set_trace(true);
    StateFile::write(&*vfs, &path("9.state"), &golden::state_header(), &[]).unwrap();
    expect(&memory, &[(Write, "9.state.tmp"), (Sync, "9.state.tmp"), (Rename, "9.state"), (SyncDir, "data")]);
}
