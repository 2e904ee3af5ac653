//! `IDENTITY`, `CURRENT`, manifests and the edits in them.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, DIRECTORY, SEALED, manifest_file, seal, split};
use tapebook_lsm::manifest::{
    Version, decode_current, decode_edit, decode_identity, decode_manifest_header, replay_manifest,
};

/// The first byte of an input that consists of the edits of a manifest.
const EDITS: u8 = 2;

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    match mode {
        AS_IT_IS => {
            small(bytes);
            replay(bytes.to_vec(), false);
        }
        SEALED => {
            for magic in [b"TBKIDENT", b"TBKCURNT", b"TBKMANIF"] {
                let mut bytes = bytes.to_vec();
                seal::preamble(&mut bytes, magic);
                small(&bytes);
            }
        }
        EDITS => replay(manifest_file::from_pieces(bytes), true),
        _ => replay(bytes.to_vec(), true),
    }
});

fn small(bytes: &[u8]) {
    let refused = [
        decode_identity(bytes).err(),
        decode_current(bytes).err(),
        decode_manifest_header(bytes).err(),
        decode_edit(bytes).err(),
    ];
    refused.into_iter().flatten().for_each(|error| drop(error.to_string()));
}

fn replay(mut file: Vec<u8>, sealed: bool) {
    let mut current = manifest_file::seal(&mut file.clone());
    if sealed {
        current = manifest_file::seal(&mut file);
    }
    let replayed = match replay_manifest(Path::new("MANIFEST-000001"), &file, &DIRECTORY, &current) {
        Ok(replayed) => replayed,
        Err(error) => return drop(error.to_string()),
    };
    assert!(replayed.end <= file.len() as u64);
    // A manifest that has grown long is replaced by one whose first edit makes the whole version.
    let snapshot = replayed.version.to_edit();
    let again = Version::default().apply(&snapshot).expect("a version can be made out of the empty one");
    assert_eq!(again, replayed.version);
}
