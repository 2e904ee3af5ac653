//! Footers of sealed segments.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, LOG, SEGMENT_ID, seal, split};
use tapebook_wal::{SEGMENT_BLOCK_BYTES, decode_segment_footer};

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let mut bytes = bytes.to_vec();
    let sealed = mode != AS_IT_IS;
    if sealed {
        bytes.resize(SEGMENT_BLOCK_BYTES, 0);
        seal::segment_footer(&mut bytes);
    }
    let footer = decode_segment_footer(&bytes, &LOG.segment(SEGMENT_ID));
    assert!(footer.is_some() || !sealed);
    assert_eq!(decode_segment_footer(&bytes, &LOG.segment(SEGMENT_ID + 1)), None);
});
