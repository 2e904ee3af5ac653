//! A flipped bit anywhere: an error that names the place, or the right data.

use tapebook_record::crc32c;

use super::*;

/// Three edits, closed cleanly.
fn closed() -> (MemoryVfs, Arc<dyn Vfs>, Arc<Version>) {
    let (memory, vfs) = new_disk(0);
    identity().write(&*vfs, &dir()).unwrap();
    let mut manifest =
        Manifest::create_with(Arc::clone(&vfs), &dir(), identity(), ManifestOptions { append_bytes: 3000 })
            .unwrap();
    for partition in 1..=3 {
        manifest.commit(&flush(manifest.version(), partition)).unwrap();
    }
    let version = Arc::clone(manifest.version());
    manifest.close().unwrap();
    (memory, vfs, version)
}

#[test]
fn every_byte_of_a_closed_manifest() {
    let (memory, _, version) = closed();
    let file = path("MANIFEST-000001");
    let len = memory.file_bytes(&file).unwrap().len() as u64;
    let mut refused = 0;
    for offset in 0..len {
        let broken = memory.fork();
        broken.flip_byte(&file, offset).unwrap();
        match reopen(&(Arc::new(broken.clone()) as Arc<dyn Vfs>)) {
            Ok((_, found)) => assert_eq!(found, version, "byte {offset}"),
            Err(error) => {
                refused += 1;
                assert_names(&error.to_string(), &file);
                let mut bytes = memory.file_bytes(&file).unwrap();
                bytes[offset as usize] = !bytes[offset as usize];
                assert_eq!(broken.file_bytes(&file).unwrap(), bytes, "nothing is changed by a refusal");
            }
        }
    }
    assert!(refused > 400, "{refused} of {len}");
}

#[test]
fn the_last_edit_of_a_closed_manifest_is_never_taken_for_a_torn_tail() {
    let (memory, vfs, _) = closed();
    let end = Manifest::read(&memory, &dir(), identity()).unwrap().end;
    memory.flip_byte(path("MANIFEST-000001"), end - 1).unwrap();
    let error = reopen(&vfs).unwrap_err();
    assert!(matches!(error, ManifestError::Corrupt { ordinal: 3, .. }), "{error}");
    assert!(error.to_string().contains("a mark says that it was durable"), "{error}");
}

#[test]
fn a_later_edit_proves_that_a_broken_one_was_durable_even_without_marks() {
    let (memory, vfs, _) = closed();
    let file = path("MANIFEST-000001");
    memory.mutate(&file, |bytes| bytes[512..2048].fill(0)).unwrap();
    let first = Manifest::read(&memory, &dir(), identity()).unwrap().durable_end;
    memory.flip_byte(&file, first + 30).unwrap();
    let error = reopen(&vfs).unwrap_err();
    assert!(matches!(error, ManifestError::Corrupt { offset, ordinal: 1, .. } if offset == first), "{error}");
    assert!(error.to_string().contains("edit 2 at byte"), "{error}");
}

#[test]
fn without_marks_a_broken_last_edit_is_a_torn_tail_and_is_cut() {
    let (memory, vfs, version) = closed();
    let file = path("MANIFEST-000001");
    memory.mutate(&file, |bytes| bytes[512..2048].fill(0)).unwrap();
    let end = Manifest::read(&memory, &dir(), identity()).unwrap().end;
    memory.flip_byte(&file, end - 1).unwrap();
    let (mut manifest, found) = reopen(&vfs).unwrap();
    assert_ne!(found, version);
    let torn = manifest.torn_tail().unwrap();
    assert_eq!(torn.offset + torn.bytes, end);
    let committed = manifest.commit(&flush(&found, 9)).unwrap();
    drop(manifest);
    let (manifest, found) = reopen(&vfs).unwrap();
    assert_eq!((found, manifest.torn_tail()), (committed, None));
}

#[test]
fn a_short_edit_after_a_long_torn_one_leaves_nothing_of_it() {
    let (memory, vfs, _) = closed();
    let file = path("MANIFEST-000001");
    memory.mutate(&file, |bytes| bytes[512..2048].fill(0)).unwrap();
    let end = Manifest::read(&memory, &dir(), identity()).unwrap().end;
    memory.flip_byte(&file, end - 1).unwrap();
    let (mut manifest, _) = reopen(&vfs).unwrap();
    manifest.commit(&VersionEdit { epoch: Some(9), ..VersionEdit::default() }).unwrap();
    manifest.close().unwrap();
    let replayed = Manifest::read(&memory, &dir(), identity()).unwrap();
    assert!(replayed.end < end);
    assert_eq!((replayed.version.epoch(), replayed.torn), (9, None));
}

#[test]
fn an_edit_that_contradicts_the_version_is_corruption() {
    let (memory, vfs, _) = closed();
    let current = decode_current(&memory.file_bytes(path("CURRENT")).unwrap()).unwrap();
    let replayed = Manifest::read(&memory, &dir(), identity()).unwrap();
    let payload =
        edit_codec::encode_edit(&VersionEdit { tables_removed: vec![99], ..VersionEdit::default() });
    let seed = frame::FrameSeed { identity: identity(), manifest: current.manifest };
    let contradiction =
        frame::encode_frame(&payload, replayed.edits, replayed.last_crc, seed, replayed.end).unwrap();
    let at = replayed.end as usize;
    memory
        .mutate(path("MANIFEST-000001"), |bytes| {
            bytes[at..at + contradiction.len()].copy_from_slice(&contradiction)
        })
        .unwrap();
    let error = reopen(&vfs).unwrap_err();
    assert!(error.to_string().contains("file 99 is not there"), "{error}");
}

/// A `CURRENT` that says too little, under a right checksum: a manifest of zeros behind it was read as an empty database.
#[test]
fn a_manifest_without_its_first_edit_is_never_an_empty_version() {
    let (memory, _, _) = closed();
    let mut current = decode_current(&memory.file_bytes(path("CURRENT")).unwrap()).unwrap();
    let file = memory.file_bytes(path("MANIFEST-000001")).unwrap();
    for first_frame_end in [0, 64, MANIFEST_BLOCK_BYTES] {
        current.first_frame_end = first_frame_end;
        for len in [64, 1536, MANIFEST_BLOCK_BYTES as usize, file.len()] {
            let mut bytes = file[..len].to_vec();
            bytes[64..].fill(0);
            let error = replay_manifest(&path("MANIFEST-000001"), &bytes, &identity(), &current).unwrap_err();
            assert!(matches!(error, ManifestError::Corrupt { ordinal: 0, .. }), "{error}");
        }
    }
}

#[test]
fn every_byte_of_current_and_identity() {
    let (memory, _, _) = closed();
    for name in ["CURRENT", "IDENTITY"] {
        for offset in 0..64 {
            let broken = memory.fork();
            broken.flip_byte(path(name), offset).unwrap();
            let text = if name == "CURRENT" {
                reopen(&(Arc::new(broken) as Arc<dyn Vfs>)).unwrap_err().to_string()
            } else {
                Identity::read(&broken, &dir()).unwrap_err().to_string()
            };
            assert_names(&text, &path(name));
        }
    }
}

#[test]
fn every_byte_of_a_state_file_and_every_length() {
    let (memory, vfs) = new_disk(0);
    let file = path("000007.state");
    let (header, sections) = (golden::state_header(), golden::state_sections());
    let len = StateFile::write(&*vfs, &file, &header, &sections).unwrap();
    assert_eq!(StateFile::read(&memory, &file, &identity()).unwrap(), (header, sections));
    for offset in 0..len {
        let broken = memory.fork();
        broken.flip_byte(&file, offset).unwrap();
        let error = StateFile::read(&broken, &file, &identity()).unwrap_err();
        assert_names(&error.to_string(), &file);
    }
    for cut in 0..len as usize {
        let broken = memory.fork();
        broken.mutate(&file, |bytes| bytes.truncate(cut)).unwrap();
        StateFile::read(&broken, &file, &identity()).unwrap_err();
    }
}

#[test]
fn another_databases_files_are_refused_by_name() {
    let (memory, vfs, _) = closed();
    let other = Identity { node_id: 4, ..identity() };
    let error = Manifest::open(Arc::clone(&vfs), &dir(), other).unwrap_err();
    assert!(matches!(error, ManifestError::Storage(StorageError::Foreign { .. })), "{error}");
    let error = Identity::read_own(&memory, &dir(), 5, 3).unwrap_err();
    assert!(
        error.to_string().contains("expected cluster 00000000000000000000000000000005 node 3"),
        "{error}"
    );

    let (foreign, foreign_vfs) = new_disk(1);
    drop(Manifest::create(foreign_vfs, &dir(), other).unwrap());
    let swapped = foreign.file_bytes(path("MANIFEST-000001")).unwrap();
    memory.mutate(path("MANIFEST-000001"), |bytes| *bytes = swapped).unwrap();
    let error = reopen(&vfs).unwrap_err();
    assert!(matches!(error, ManifestError::Storage(StorageError::Foreign { .. })), "{error}");
}

#[test]
fn a_manifest_under_another_name_is_refused() {
    let (memory, vfs, _) = closed();
    let mut current = decode_current(&memory.file_bytes(path("CURRENT")).unwrap()).unwrap();
    current.manifest = 2;
    memory.rename(&path("MANIFEST-000001"), &path("MANIFEST-000002")).unwrap();
    memory.mutate(path("CURRENT"), |bytes| *bytes = super::current::encode_current(&current)).unwrap();
    let error = reopen(&vfs).unwrap_err();
    assert!(error.to_string().contains("the number in the file's name"), "{error}");
    current.manifest = 3;
    memory.mutate(path("CURRENT"), |bytes| *bytes = super::current::encode_current(&current)).unwrap();
    let error = reopen(&vfs).unwrap_err();
    assert!(matches!(error, ManifestError::Storage(StorageError::Missing { .. })), "{error}");
}

#[test]
fn a_newer_format_is_refused_with_both_versions() {
    let (memory, vfs, _) = closed();
    StateFile::write(&*vfs, &path("1.state"), &golden::state_header(), &[]).unwrap();
    for (name, bytes) in [("IDENTITY", 64), ("CURRENT", 64), ("MANIFEST-000001", 64), ("1.state", 128)] {
        let newer = memory.fork();
        newer
            .mutate(path(name), |file| {
                file[8..12].copy_from_slice(&2u32.to_le_bytes());
                let crc = crc32c(&file[..bytes - 4]);
                file[bytes - 4..bytes].copy_from_slice(&crc.to_le_bytes());
            })
            .unwrap();
        let newer_vfs: Arc<dyn Vfs> = Arc::new(newer.clone());
        let text = match name {
            "IDENTITY" => Identity::read(&newer, &dir()).unwrap_err().to_string(),
            "1.state" => StateFile::read(&newer, &path(name), &identity()).unwrap_err().to_string(),
            _ => reopen(&newer_vfs).unwrap_err().to_string(),
        };
        assert_names(&text, &path(name));
        assert!(text.contains("format version 2, this program reads up to 1"), "{text}");
    }
}

#[test]
fn another_state_file_under_the_name_is_refused() {
    let (_, vfs) = new_disk(0);
    vfs.create_dir_all(&path("state")).unwrap();
    let header = golden::state_header();
    let named = header.to_ref();
    StateFile::write(&*vfs, &path(&layout::state_name(named.file_id)), &header, &[]).unwrap();
    StateFile::read_named(&*vfs, &dir(), &identity(), &named).unwrap();
    let expected = StateRef { rolling_hash: [9; 16], ..named };
    StateFile::read_named(&*vfs, &dir(), &identity(), &expected).unwrap_err();
    let elsewhere = Identity { node_id: 9, ..identity() };
    StateFile::read_named(&*vfs, &dir(), &elsewhere, &named)
        .expect("state travels between the nodes of a cluster");
}
