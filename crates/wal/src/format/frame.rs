//! Frames: one entry or note each, with everything that proves its place.

use tapebook_record::Crc32c;

use super::{
    EntryKind, FRAME_ALIGN, LogPosition, PAYLOAD_BYTES_MAX, SegmentIdentity, array_at, u32_at, u64_at,
};

/// The bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 64;

const FRAME_VERSION: u8 = 1;

/// What a frame says about its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameMeta {
    /// The kind.
    pub kind: EntryKind,
    /// Bits whose meaning depends on the kind; 0 for most.
    pub flags: u16,
    /// The term.
    pub term: u64,
    /// The leader of that term.
    pub leader_node: u64,
    /// The log index of an entry; for a note the index that it speaks about.
    pub index: u64,
    /// The proposer's clock, nanoseconds since the epoch; never goes back from one entry to the next.
    pub proposed_at: i64,
}

/// How a frame hangs together with the log around it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FrameLinks {
    pub position: LogPosition,
    pub prev_crc: u32,
    pub synced_through: LogPosition,
}

/// A frame whose checksum, identity and position are right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// What it says.
    pub meta: FrameMeta,
    /// Where it lies.
    pub position: LogPosition,
    /// Its own checksum, which the next frame repeats.
    pub crc: u32,
    /// The checksum of the frame before it; only the reader of that one can tell whether it is right.
    pub prev_crc: u32,
    /// What was durable when its group's write began.
    pub synced_through: LogPosition,
    /// The payload, without padding.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The bytes that the frame takes in its segment, padding included.
    pub fn bytes(&self) -> usize {
        frame_bytes(self.payload.len())
    }

    /// The position behind the frame.
    pub fn end(&self) -> LogPosition {
        LogPosition(self.position.0 + self.bytes() as u64)
    }
}

/// Why bytes are not a frame of this place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Zeros where a frame could begin: the log was never written here.
    #[error("no frame, only zeros")]
    Empty,
    /// Too few bytes up to the end of the segment.
    #[error("{found} bytes, expected {expected}")]
    TooShort {
        /// What the frame needs.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// The frame says that it lies elsewhere: older content of a recycled file, or a write that went astray.
    #[error("a frame of position {found}, expected position {expected}")]
    Position {
        /// Where it was found.
        expected: LogPosition,
        /// Where it says that it lies.
        found: LogPosition,
    },
    /// A payload longer than the format allows.
    #[error("a payload of {found} bytes, expected at most {max}")]
    PayloadBytes {
        /// The longest payload.
        max: usize,
        /// What the header says.
        found: usize,
    },
    /// The checksum does not match content and identity.
    #[error("checksum {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Computed from the bytes and the segment's identity.
        expected: u32,
        /// What the header says.
        found: u32,
    },
    /// The padding behind the payload is not zero.
    #[error("padding that is not zero")]
    Padding,
    /// The frame is whole and follows another frame than the one before it here.
    #[error("a frame that follows checksum {found:#010x}, expected {expected:#010x}")]
    Chain {
        /// The checksum of the frame before.
        expected: u32,
        /// What this frame repeats.
        found: u32,
    },
    /// The frame is whole, and of a version or kind that this program does not know.
    #[error("frame version {version}, kind {kind}: written by a newer tapebook")]
    Newer {
        /// The frame's version.
        version: u8,
        /// The number of its kind.
        kind: u8,
    },
}

/// The bytes of a frame with a payload of this length.
pub(crate) fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(FRAME_ALIGN)
}

/// The position that bytes claim, if they were a frame: the cheap first question of a search for frames.
pub(crate) fn peek_position(bytes: &[u8]) -> Option<LogPosition> {
    (bytes.len() >= FRAME_HEADER_BYTES).then(|| LogPosition(u64_at(bytes, 56)))
}

/// Appends a frame's header to `out`; `seed` has read the segment's identity. Returns the frame's checksum.
///
/// The payload follows as it is, and zeros up to [`frame_bytes`].
pub(crate) fn encode_frame_header(
    out: &mut Vec<u8>,
    seed: &Crc32c,
    meta: &FrameMeta,
    links: &FrameLinks,
    payload: &[u8],
) -> u32 {
    let mut header = [0; FRAME_HEADER_BYTES];
    let payload_bytes = u32::try_from(payload.len()).expect("payloads are bounded by the writer's options");
    header[4..8].copy_from_slice(&payload_bytes.to_le_bytes());
    header[8..12].copy_from_slice(&links.prev_crc.to_le_bytes());
    header[12] = meta.kind as u8;
    header[13] = FRAME_VERSION;
    header[14..16].copy_from_slice(&meta.flags.to_le_bytes());
    header[16..24].copy_from_slice(&meta.term.to_le_bytes());
    header[24..32].copy_from_slice(&meta.leader_node.to_le_bytes());
    header[32..40].copy_from_slice(&meta.index.to_le_bytes());
    header[40..48].copy_from_slice(&meta.proposed_at.to_le_bytes());
    header[48..56].copy_from_slice(&links.synced_through.0.to_le_bytes());
    header[56..64].copy_from_slice(&links.position.0.to_le_bytes());
    let crc = checksum(seed, &header, payload);
    header[..4].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&header);
    crc
}

fn checksum(seed: &Crc32c, header: &[u8], payload: &[u8]) -> u32 {
    let mut crc = seed.clone();
    crc.update(&header[4..FRAME_HEADER_BYTES]);
    crc.update(payload);
    crc.finish()
}

/// Decodes the frame at the start of `bytes`, which reach from `position` up to the end of the segment's
/// frames, or further than the frame.
///
/// Whether the frame follows the one before it is for the caller to compare ([`Frame::prev_crc`]).
pub fn decode_frame<'a>(
    bytes: &'a [u8],
    identity: &SegmentIdentity,
    position: LogPosition,
) -> Result<Frame<'a>, FrameError> {
    decode_frame_seeded(bytes, &identity.seed(), position)
}

pub(crate) fn decode_frame_seeded<'a>(
    bytes: &'a [u8],
    seed: &Crc32c,
    position: LogPosition,
) -> Result<Frame<'a>, FrameError> {
    let payload_bytes = decode_payload_bytes(bytes, position)?;
    let total = frame_bytes(payload_bytes);
    if bytes.len() < total {
        return Err(FrameError::TooShort { expected: total, found: bytes.len() });
    }
    let payload = &bytes[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + payload_bytes];
    let mut crc = seed.clone();
    crc.update(&bytes[4..FRAME_HEADER_BYTES + payload_bytes]);
    let (found, expected) = (u32_at(bytes, 0), crc.finish());
    if found != expected {
        return Err(FrameError::Checksum { expected, found });
    }
    if bytes[FRAME_HEADER_BYTES + payload_bytes..total].iter().any(|byte| *byte != 0) {
        return Err(FrameError::Padding);
    }
    let kind = EntryKind::from_number(bytes[12]).filter(|_| bytes[13] == FRAME_VERSION);
    let Some(kind) = kind else {
        return Err(FrameError::Newer { version: bytes[13], kind: bytes[12] });
    };
    Ok(Frame {
        meta: FrameMeta {
            kind,
            flags: u16::from_le_bytes(array_at(bytes, 14)),
            term: u64_at(bytes, 16),
            leader_node: u64_at(bytes, 24),
            index: u64_at(bytes, 32),
            proposed_at: i64::from_le_bytes(array_at(bytes, 40)),
        },
        position,
        crc: found,
        prev_crc: u32_at(bytes, 8),
        synced_through: LogPosition(u64_at(bytes, 48)),
        payload,
    })
}

/// The length of the payload, where the header can be a frame of this position; says how much to read.
pub(crate) fn decode_payload_bytes(bytes: &[u8], position: LogPosition) -> Result<usize, FrameError> {
    if bytes.len() < FRAME_HEADER_BYTES {
        return Err(FrameError::TooShort { expected: FRAME_HEADER_BYTES, found: bytes.len() });
    }
    let header = &bytes[..FRAME_HEADER_BYTES];
    if header.iter().all(|byte| *byte == 0) {
        return Err(FrameError::Empty);
    }
    let found = LogPosition(u64_at(header, 56));
    if found != position {
        return Err(FrameError::Position { expected: position, found });
    }
    let payload_bytes = u32_at(header, 4) as usize;
    if payload_bytes > PAYLOAD_BYTES_MAX {
        return Err(FrameError::PayloadBytes { max: PAYLOAD_BYTES_MAX, found: payload_bytes });
    }
    Ok(payload_bytes)
}
