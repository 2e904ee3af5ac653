//! Batches: `docs/format/batch.md`.

use tapebook_record::crc32c;

use super::put;

const HEADER_BYTES: usize = 64;

/// Magic, version, length and checksum.
pub fn batch(bytes: &mut [u8]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let length = bytes.len() as u32;
    put(bytes, 0, b"TBKB");
    put(bytes, 8, &1_u16.to_le_bytes());
    put(bytes, 12, &length.to_le_bytes());
    let crc = crc32c(&bytes[8..]);
    put(bytes, 4, &crc.to_le_bytes());
}
