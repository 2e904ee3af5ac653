//! Frames, segment headers and footers, marks: `docs/format/log.md`.

use tapebook_record::Crc32c;
use tapebook_wal::{FRAME_HEADER_BYTES, LogPosition, MARK_SLOT_BYTES, SEGMENT_BLOCK_BYTES};

use super::{put, u32_at};
use crate::{LOG, SEGMENT_ID};

/// Seals every frame of `bytes`, one behind the other, as if the first lay at `position`.
pub fn frame(bytes: &mut [u8], position: LogPosition) {
    let mut at = 0;
    let mut previous_crc = None;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| rest.len() >= FRAME_HEADER_BYTES) {
        let payload_bytes = u32_at(rest, 4).unwrap_or(0);
        let end = FRAME_HEADER_BYTES.saturating_add(payload_bytes);
        if end > rest.len() {
            return;
        }
        if let Some(crc) = previous_crc {
            put(rest, 8, &u32::to_le_bytes(crc));
        }
        put(rest, 56, &(position.0 + at as u64).to_le_bytes());
        let mut crc = log_seed();
        crc.update(&SEGMENT_ID.to_le_bytes());
        crc.update(&rest[4..end]);
        put(rest, 0, &crc.finish().to_le_bytes());
        previous_crc = Some(crc.finish());
        at += end.next_multiple_of(16);
    }
}

/// Magic, version and checksum.
pub fn segment_header(bytes: &mut [u8]) {
    let Some(bytes) = bytes.get_mut(..SEGMENT_BLOCK_BYTES) else { return };
    put(bytes, 0, b"TBKWAL01");
    put(bytes, 12, &1_u32.to_le_bytes());
    let mut crc = Crc32c::seeded(&bytes[..8]);
    crc.update(&bytes[12..]);
    put(bytes, 8, &crc.finish().to_le_bytes());
}

/// Magic, version, segment and checksum.
pub fn segment_footer(bytes: &mut [u8]) {
    let Some(bytes) = bytes.get_mut(..SEGMENT_BLOCK_BYTES) else { return };
    put(bytes, 0, b"TBKSEAL1");
    put(bytes, 12, &1_u32.to_le_bytes());
    put(bytes, 16, &SEGMENT_ID.to_le_bytes());
    let mut crc = log_seed();
    crc.update(&SEGMENT_ID.to_le_bytes());
    crc.update(&bytes[..8]);
    crc.update(&bytes[12..]);
    put(bytes, 8, &crc.finish().to_le_bytes());
}

/// Magic, version and checksum.
pub fn mark(bytes: &mut [u8]) {
    let Some(bytes) = bytes.get_mut(..MARK_SLOT_BYTES) else { return };
    put(bytes, 0, b"TBKMARK1");
    put(bytes, 12, &1_u32.to_le_bytes());
    let mut crc = log_seed();
    crc.update(&bytes[..8]);
    crc.update(&bytes[12..]);
    put(bytes, 8, &crc.finish().to_le_bytes());
}

fn log_seed() -> Crc32c {
    let mut crc = Crc32c::seeded(&LOG.cluster_id.to_le_bytes());
    crc.update(&LOG.node_id.to_le_bytes());
    crc
}
