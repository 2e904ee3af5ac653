//! State files: `docs/format/state.md`.

use tapebook_record::{Crc32c, crc32c};

use super::{part, put, u32_at};

const HEADER_BYTES: usize = 128;
const SECTION_HEADER_BYTES: usize = 16;
const TRAILER_BYTES: usize = 24;

/// Header, every section that lies inside, and trailer.
pub fn state(bytes: &mut [u8]) {
    let Some(end) = bytes.len().checked_sub(TRAILER_BYTES).filter(|end| *end >= HEADER_BYTES) else { return };
    put(bytes, 0, b"TBKSTATE");
    put(bytes, 8, &1_u32.to_le_bytes());
    let crc = crc32c(&bytes[..HEADER_BYTES - 4]);
    put(bytes, HEADER_BYTES - 4, &crc.to_le_bytes());
    let (mut at, mut sections) = (HEADER_BYTES, 0_u32);
    while let Some(length) = u32_at(&bytes[..end], at + 4) {
        let Some(content) = part(&bytes[..end], at + SECTION_HEADER_BYTES, length) else { break };
        let mut crc = Crc32c::seeded(&bytes[16..48]);
        crc.update(&(at as u64).to_le_bytes());
        crc.update(&bytes[at..at + 12]);
        crc.update(content);
        put(bytes, at + 12, &crc.finish().to_le_bytes());
        at += SECTION_HEADER_BYTES + length.next_multiple_of(8);
        sections += 1;
    }
    let length = bytes.len() as u64;
    put(bytes, end, b"TBKSTEND");
    put(bytes, end + 8, &length.to_le_bytes());
    put(bytes, end + 16, &sections.to_le_bytes());
    let crc = crc32c(&bytes[..end + 20]);
    put(bytes, end + 20, &crc.to_le_bytes());
}
