//! Headers of segments.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, seal, split};
use tapebook_wal::{MEMBERSHIP_BYTES_MAX, SEGMENT_BLOCK_BYTES, decode_segment_header};

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let mut bytes = bytes.to_vec();
    if mode != AS_IT_IS {
        bytes.resize(SEGMENT_BLOCK_BYTES, 0);
        seal::segment_header(&mut bytes);
    }
    match decode_segment_header(&bytes) {
        Ok(header) => {
            assert!(header.base < header.frames_start() && header.frames_start() < header.next_base());
            assert!(
                header.membership.is_none_or(|membership| membership.bytes.len() <= MEMBERSHIP_BYTES_MAX)
            );
        }
        Err(error) => drop(error.to_string()),
    }
});
