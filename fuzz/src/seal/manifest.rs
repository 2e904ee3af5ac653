//! `IDENTITY`, `CURRENT` and manifests: `docs/format/manifest.md`.

use tapebook_record::{Crc32c, crc32c};

use super::{put, u32_at};
use crate::DIRECTORY;

const PREAMBLE_BYTES: usize = 64;
const FRAME_HEADER_BYTES: usize = 24;
const FIRST_FRAME: usize = 4096;
const MARKS: [usize; 2] = [512, 1024];
const MARK_BYTES: usize = 32;

/// Magic, version and checksum of one of the three structures of 64 bytes.
pub fn preamble(bytes: &mut [u8], magic: &[u8; 8]) {
    let Some(bytes) = bytes.get_mut(..PREAMBLE_BYTES) else { return };
    put(bytes, 0, magic);
    put(bytes, 8, &1_u32.to_le_bytes());
    let crc = crc32c(&bytes[..PREAMBLE_BYTES - 4]);
    put(bytes, PREAMBLE_BYTES - 4, &crc.to_le_bytes());
}

/// Header, owner, marks and the chain of frames of a whole manifest with this number. Returns position behind the
/// first frame, and its checksum.
pub fn manifest(bytes: &mut [u8], number: u64) -> Option<(u64, u32)> {
    put(bytes, 16, &DIRECTORY.cluster_id.to_le_bytes());
    put(bytes, 32, &DIRECTORY.node_id.to_le_bytes());
    put(bytes, 40, &number.to_le_bytes());
    preamble(bytes, b"TBKMANIF");
    for at in MARKS {
        let mark = bytes.get_mut(at..at + MARK_BYTES)?;
        if mark[..8] == *b"TBKMARKM" {
            let mut crc = seed(number, at);
            crc.update(&mark[..MARK_BYTES - 4]);
            put(mark, MARK_BYTES - 4, &crc.finish().to_le_bytes());
        }
    }
    let (mut at, mut ordinal, mut previous_crc, mut first) = (FIRST_FRAME, 0_u64, 0_u32, None);
    while let Some(length) = u32_at(bytes, at) {
        let end = length.next_multiple_of(8) + FRAME_HEADER_BYTES;
        let Some(frame) = bytes.get_mut(at..at.saturating_add(end)) else { break };
        // Zeros are the room that a manifest has for more edits.
        if frame.iter().all(|byte| *byte == 0) {
            break;
        }
        put(frame, 8, &ordinal.to_le_bytes());
        put(frame, 16, &previous_crc.to_le_bytes());
        let mut crc = seed(number, at);
        crc.update(&frame[..4]);
        crc.update(&frame[8..]);
        previous_crc = crc.finish();
        put(frame, 4, &previous_crc.to_le_bytes());
        at += end;
        ordinal += 1;
        first = first.or(Some((at as u64, previous_crc)));
    }
    first
}

fn seed(number: u64, at: usize) -> Crc32c {
    let mut crc = Crc32c::seeded(&DIRECTORY.cluster_id.to_le_bytes());
    crc.update(&DIRECTORY.node_id.to_le_bytes());
    crc.update(&number.to_le_bytes());
    crc.update(&(at as u64).to_le_bytes());
    crc
}
