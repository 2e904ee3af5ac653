//! The bytes of the log: frames, segment headers and footers, the mark. See `docs/format/log.md`.
//!
//! Encodes and decodes; never reads or writes a file. Every decoder takes bytes from anywhere, checks each
//! length before it uses it, and answers with an error where the bytes are not what they should be.

mod frame;
mod identity;
mod kind;
mod mark;
mod segment_footer;
mod segment_header;

pub use frame::{FRAME_HEADER_BYTES, Frame, FrameError, FrameMeta, decode_frame};
pub(crate) use frame::{
    FrameLinks, decode_frame_seeded, decode_payload_bytes, encode_frame_header, frame_bytes, peek_position,
};
pub use identity::{LogIdentity, LogPosition, SegmentIdentity};
pub use kind::EntryKind;
pub(crate) use mark::{MARK_BYTES, encode_mark, mark_slot_offset};
pub use mark::{MARK_SLOT_BYTES, Mark, decode_mark};
pub(crate) use segment_footer::encode_segment_footer;
pub use segment_footer::{SegmentFooter, SegmentSummary, decode_segment_footer};
pub use segment_header::{
    HeaderError, LogId, MEMBERSHIP_BYTES_MAX, Membership, SegmentFacts, SegmentHeader, Vote,
    decode_segment_header,
};
pub(crate) use segment_header::{encode_segment_header, log_id_at, put_log_id};

/// Frames begin, and their payloads begin, on multiples of this.
pub const FRAME_ALIGN: usize = 16;

/// The bytes of a segment's header, and of the room for its footer at the end.
pub const SEGMENT_BLOCK_BYTES: usize = 4096;

/// The longest payload that the format allows; a longer one is damage, whatever its checksum says.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// The most bytes that are written between two syncs; what a power cut can tear is never longer.
pub const GROUP_BYTES_MAX: usize = 4 << 20;

/// The shortest segment.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// The longest segment.
pub const SEGMENT_BYTES_MAX: u64 = 4 << 30;

pub(crate) const FORMAT_VERSION: u32 = 1;

/// Copies `N` bytes from `offset`; the caller has checked the length.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

#[cfg(test)]
mod tests;
