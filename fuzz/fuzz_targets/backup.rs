//! Records of backups.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook::Backup;
use tapebook_fuzz::{AS_IT_IS, seal, split};

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let mut bytes = bytes.to_vec();
    if mode != AS_IT_IS {
        seal::backup(&mut bytes);
    }
    match Backup::decode(&bytes) {
        Ok(backup) => {
            assert!(backup.encode() == bytes, "what was decoded is encoded to the same bytes");
            for file in backup.objects() {
                let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
                assert!(file.name.split('/').all(plain), "{:?}", file.name);
                assert!(file.object.starts_with("objects/") && file.object.split('/').all(plain));
            }
            let _ = backup.bytes();
        }
        Err(error) => drop(error.to_string()),
    }
});
