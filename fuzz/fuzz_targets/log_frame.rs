//! Frames of the log, one behind the other.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, FRAME_POSITION, LOG, SEGMENT_ID, seal, split};
use tapebook_wal::decode_frame;

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let mut bytes = bytes.to_vec();
    if mode != AS_IT_IS {
        seal::frame(&mut bytes, FRAME_POSITION);
    }
    let identity = LOG.segment(SEGMENT_ID);
    let (mut rest, mut position) = (bytes.as_slice(), FRAME_POSITION);
    loop {
        let frame = match decode_frame(rest, &identity, position) {
            Ok(frame) => frame,
            Err(error) => {
                let _ = error.to_string();
                break;
            }
        };
        assert!(frame.payload.len() < rest.len() && frame.bytes() <= rest.len());
        assert!(
            decode_frame(rest, &LOG.segment(SEGMENT_ID + 1), position).is_err(),
            "a frame of two segments"
        );
        rest = &rest[frame.bytes()..];
        position = frame.end();
    }
});
