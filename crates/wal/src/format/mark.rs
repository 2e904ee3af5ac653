//! The mark: how far the log was known to be durable, written without a sync of its own.

use super::{FORMAT_VERSION, LogIdentity, LogPosition, u32_at, u64_at};

/// The bytes of one slot of the mark file.
pub const MARK_SLOT_BYTES: usize = 64;

/// The bytes of the mark file: two slots, each on a page of its own, so that a torn write leaves one.
pub(crate) const MARK_BYTES: u64 = 8192;

const MAGIC: &[u8; 8] = b"TBKMARK1";

/// One slot of the mark file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Counts the writes; the slot with the higher one is the newer. Its lowest bit is the slot's number.
    pub counter: u64,
    /// Everything before this position is durable.
    pub position: LogPosition,
    /// The segment that the position lies in.
    pub segment_id: u64,
}

/// The offset in the mark file of the slot that takes the mark with this counter.
pub(crate) fn mark_slot_offset(counter: u64) -> u64 {
    (counter % 2) * (MARK_BYTES / 2)
}

pub(crate) fn encode_mark(mark: &Mark, identity: LogIdentity) -> [u8; MARK_SLOT_BYTES] {
    let mut bytes = [0; MARK_SLOT_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[12..16].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&mark.counter.to_le_bytes());
    bytes[24..32].copy_from_slice(&mark.position.0.to_le_bytes());
    bytes[32..40].copy_from_slice(&mark.segment_id.to_le_bytes());
    let crc = checksum(&bytes, identity);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn checksum(bytes: &[u8], identity: LogIdentity) -> u32 {
    let mut crc = identity.seed();
    crc.update(&bytes[..8]);
    crc.update(&bytes[12..MARK_SLOT_BYTES]);
    crc.finish()
}

/// Decodes a slot; `None` where it was never written, is torn, is damaged or belongs to another log. A mark
/// that cannot be read says nothing, and nothing depends on it alone.
pub fn decode_mark(bytes: &[u8], identity: LogIdentity) -> Option<Mark> {
    let bytes = bytes.get(..MARK_SLOT_BYTES)?;
    let whole = bytes[..8] == *MAGIC
        && u32_at(bytes, 8) == checksum(bytes, identity)
        && u32_at(bytes, 12) == FORMAT_VERSION;
    whole.then(|| Mark {
        counter: u64_at(bytes, 16),
        position: LogPosition(u64_at(bytes, 24)),
        segment_id: u64_at(bytes, 32),
    })
}
