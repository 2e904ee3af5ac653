//! The footer of a sealed segment: what a reader would otherwise have to count.

use super::{FORMAT_VERSION, LogPosition, SEGMENT_BLOCK_BYTES, SegmentIdentity, array_at, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"TBKSEAL1";

/// What the log's owner knows about a segment when everything in it is applied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SegmentSummary {
    /// The sequence numbers that its batches were given, first and last; `None` where it holds no rows.
    pub seqs: Option<(u64, u64)>,
    /// The rolling hash behind its last entry.
    pub rolling_hash: [u8; 16],
}

/// The footer. Advisory: to be trusted with its checksum, which is seeded with the segment's identity, and never
/// needed to read the segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SegmentFooter {
    /// The position behind the last frame.
    pub end: LogPosition,
    /// The number of frames.
    pub frames: u64,
    /// The indexes of its entries, first and last; `None` where it holds only notes.
    pub indexes: Option<(u64, u64)>,
    /// The commit clock of its entries, first and last; `None` as for `indexes`.
    pub proposed_at: Option<(i64, i64)>,
    /// What the owner knew.
    pub summary: SegmentSummary,
}

pub(crate) fn encode_segment_footer(footer: &SegmentFooter, identity: &SegmentIdentity) -> Vec<u8> {
    let mut bytes = vec![0; SEGMENT_BLOCK_BYTES];
    let flags = u32::from(footer.indexes.is_some())
        | u32::from(footer.proposed_at.is_some()) << 1
        | u32::from(footer.summary.seqs.is_some()) << 2;
    let (first_index, last_index) = footer.indexes.unwrap_or_default();
    let (first_at, last_at) = footer.proposed_at.unwrap_or_default();
    let (first_seq, last_seq) = footer.summary.seqs.unwrap_or_default();
    bytes[..8].copy_from_slice(MAGIC);
    bytes[12..16].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&identity.segment_id.to_le_bytes());
    bytes[24..32].copy_from_slice(&footer.end.0.to_le_bytes());
    bytes[32..40].copy_from_slice(&footer.frames.to_le_bytes());
    bytes[40..44].copy_from_slice(&flags.to_le_bytes());
    bytes[48..56].copy_from_slice(&first_index.to_le_bytes());
    bytes[56..64].copy_from_slice(&last_index.to_le_bytes());
    bytes[64..72].copy_from_slice(&first_at.to_le_bytes());
    bytes[72..80].copy_from_slice(&last_at.to_le_bytes());
    bytes[80..88].copy_from_slice(&first_seq.to_le_bytes());
    bytes[88..96].copy_from_slice(&last_seq.to_le_bytes());
    bytes[96..112].copy_from_slice(&footer.summary.rolling_hash);
    let crc = checksum(&bytes, identity);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn checksum(bytes: &[u8], identity: &SegmentIdentity) -> u32 {
    let mut crc = identity.seed();
    crc.update(&bytes[..8]);
    crc.update(&bytes[12..SEGMENT_BLOCK_BYTES]);
    crc.finish()
}

/// Decodes the last [`SEGMENT_BLOCK_BYTES`] of a segment; `None` where the segment was not sealed or the footer is
/// damaged.
pub fn decode_segment_footer(bytes: &[u8], identity: &SegmentIdentity) -> Option<SegmentFooter> {
    let bytes = bytes.get(..SEGMENT_BLOCK_BYTES)?;
    let whole = bytes[..8] == *MAGIC
        && u32_at(bytes, 8) == checksum(bytes, identity)
        && u32_at(bytes, 12) == FORMAT_VERSION
        && u64_at(bytes, 16) == identity.segment_id;
    if !whole {
        return None;
    }
    let flags = u32_at(bytes, 40);
    let nanos_at = |offset| i64::from_le_bytes(array_at(bytes, offset));
    Some(SegmentFooter {
        end: LogPosition(u64_at(bytes, 24)),
        frames: u64_at(bytes, 32),
        indexes: (flags & 1 != 0).then(|| (u64_at(bytes, 48), u64_at(bytes, 56))),
        proposed_at: (flags & 2 != 0).then(|| (nanos_at(64), nanos_at(72))),
        summary: SegmentSummary {
            seqs: (flags & 4 != 0).then(|| (u64_at(bytes, 80), u64_at(bytes, 88))),
            rolling_hash: array_at(bytes, 96),
        },
    })
}
