//! State files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, seal, split};
use tapebook_lsm::manifest::{decode_state, encode_state};

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let mut bytes = bytes.to_vec();
    if mode != AS_IT_IS {
        seal::state(&mut bytes);
    }
    match decode_state(&bytes) {
        Ok((header, sections)) => {
            let again = encode_state(&header, &sections).expect("what was decoded can be encoded");
            assert_eq!(decode_state(&again).expect("and decoded again"), (header, sections));
        }
        Err(error) => drop(error.to_string()),
    }
});
