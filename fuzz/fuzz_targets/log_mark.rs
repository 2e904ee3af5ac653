//! Slots of the mark file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, LOG, seal, split};
use tapebook_wal::{LogIdentity, MARK_SLOT_BYTES, decode_mark};

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let mut bytes = bytes.to_vec();
    let sealed = mode != AS_IT_IS;
    if sealed {
        bytes.resize(MARK_SLOT_BYTES, 0);
        seal::mark(&mut bytes);
    }
    assert!(decode_mark(&bytes, LOG).is_some() || !sealed);
    assert_eq!(decode_mark(&bytes, LogIdentity { node_id: LOG.node_id + 1, ..LOG }), None);
});
