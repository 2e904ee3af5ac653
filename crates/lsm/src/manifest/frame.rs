//! The bytes of a manifest: its header with the durability marks, and the frames of its edits.

use tapebook_record::codec::{Decoder, Encoder};
use tapebook_record::{Crc32c, crc32c};

use super::FormatError;
use super::identity::{FORMAT_VERSION, Identity};

/// The bytes before the first frame: the header and two marks, each in a sector of its own.
pub const MANIFEST_BLOCK_BYTES: u64 = 4096;
/// The longest manifest that is read or written.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 30;

pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const MARK_BYTES: usize = 32;
pub(crate) const FRAME_HEADER_BYTES: usize = 24;
/// Frames begin at multiples of this.
pub(crate) const FRAME_ALIGN: usize = 8;

const MAGIC: &[u8; 8] = b"TBKMANIF";
const MARK_MAGIC: &[u8; 8] = b"TBKMARKM";
const MARK_SECTOR_BYTES: u64 = 512;

/// The header of a manifest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ManifestHeader {
    /// Whose directory it is.
    pub cluster_id: u128,
    /// The node's id in its cluster.
    pub node_id: u64,
    /// The manifest's number, the same as in its name.
    pub number: u64,
    /// When it was begun, nanoseconds since the epoch, UTC.
    pub created_at: i64,
}

pub(crate) fn encode_header(header: &ManifestHeader) -> Vec<u8> {
    let mut out = Encoder::new();
    out.raw(MAGIC).u32(FORMAT_VERSION).u32(0).u128(header.cluster_id).u64(header.node_id);
    out.u64(header.number).i64(header.created_at).u32(0);
    let crc = crc32c(out.as_slice());
    out.u32(crc);
    out.into_bytes()
}

/// Decodes the first bytes of a manifest. The checksum is not seeded, so that another database's manifest is told apart
/// from a damaged one.
pub fn decode_manifest_header(bytes: &[u8]) -> Result<ManifestHeader, FormatError> {
    let header = bytes.get(..HEADER_BYTES).unwrap_or(bytes);
    let mut fields = check_preamble(header, MAGIC, HEADER_BYTES)?;
    fields.raw(4)?;
    Ok(ManifestHeader {
        cluster_id: fields.u128()?,
        node_id: fields.u64()?,
        number: fields.u64()?,
        created_at: fields.i64()?,
    })
}

/// Checks magic, version and checksum of a structure of `len` bytes that ends with its CRC-32C, and returns the fields
/// behind the version.
pub(crate) fn check_preamble<'a>(
    bytes: &'a [u8],
    magic: &[u8; 8],
    len: usize,
) -> Result<Decoder<'a>, FormatError> {
    if bytes.len() < 16 || bytes[..8] != *magic {
        let mut found = [0; 8];
        let present = bytes.len().min(8);
        found[..present].copy_from_slice(&bytes[..present]);
        if found == *magic {
            return Err(FormatError::Length { expected: len as u64, found: bytes.len() as u64 });
        }
        return Err(FormatError::Magic { expected: *magic, found });
    }
    let version = u32::from_le_bytes(array_at(bytes, 8));
    if bytes.len() != len {
        return Err(FormatError::Length { expected: len as u64, found: bytes.len() as u64 });
    }
    let (expected, found) = (crc32c(&bytes[..len - 4]), u32::from_le_bytes(array_at(bytes, len - 4)));
    if expected != found {
        return Err(FormatError::Checksum { offset: 0, expected, found });
    }
    if version != FORMAT_VERSION {
        return Err(FormatError::Newer { found: version, supported: FORMAT_VERSION });
    }
    let mut fields = Decoder::new(bytes);
    fields.raw(12)?;
    Ok(fields)
}

pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

/// Which manifest of which directory: what the checksums of frames and marks are seeded with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameSeed {
    pub identity: Identity,
    pub manifest: u64,
}

impl FrameSeed {
    fn at(&self, offset: u64) -> Crc32c {
        let mut crc = self.identity.seed();
        crc.update(&self.manifest.to_le_bytes());
        crc.update(&offset.to_le_bytes());
        crc
    }
}

/// A position up to which a manifest is known to be durable. Written after a sync, without one of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark {
    /// Everything before this position is durable.
    pub durable_end: u64,
    /// How many frames that is; its lowest bit chooses the slot.
    pub frames: u64,
}

/// The position of a mark's slot.
pub(crate) fn mark_offset(frames: u64) -> u64 {
    MARK_SECTOR_BYTES * (1 + frames % 2)
}

pub(crate) fn encode_mark(mark: Mark, seed: FrameSeed) -> Vec<u8> {
    let mut out = Encoder::new();
    out.raw(MARK_MAGIC).u64(mark.durable_end).u64(mark.frames).u32(0);
    let crc = mark_crc(out.as_slice(), seed, mark_offset(mark.frames));
    out.u32(crc);
    out.into_bytes()
}

fn mark_crc(fields: &[u8], seed: FrameSeed, offset: u64) -> u32 {
    let mut crc = seed.at(offset);
    crc.update(fields);
    crc.finish()
}

/// The newest mark of a manifest's first block. One that cannot be read says nothing.
pub(crate) fn newest_mark(block: &[u8], seed: FrameSeed) -> Option<Mark> {
    let slot = |frames| {
        let offset = mark_offset(frames);
        let bytes = block.get(offset as usize..offset as usize + MARK_BYTES)?;
        let whole = bytes[..8] == *MARK_MAGIC
            && u32::from_le_bytes(array_at(bytes, MARK_BYTES - 4))
                == mark_crc(&bytes[..MARK_BYTES - 4], seed, offset);
        let durable_end = u64::from_le_bytes(array_at(bytes, 8));
        whole.then(|| Mark { durable_end, frames: u64::from_le_bytes(array_at(bytes, 16)) })
    };
    slot(0).into_iter().chain(slot(1)).max_by_key(|mark| mark.durable_end)
}

/// One edit as it lies in a manifest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub ordinal: u64,
    pub previous_crc: u32,
    pub crc: u32,
    pub payload: &'a [u8],
    /// The position behind it.
    pub end: u64,
}

/// The bytes of a frame at `offset`, padding included; `None` where the payload is too long for the format.
pub(crate) fn encode_frame(
    payload: &[u8],
    ordinal: u64,
    previous_crc: u32,
    seed: FrameSeed,
    offset: u64,
) -> Option<Vec<u8>> {
    let len = u32::try_from(payload.len()).ok().filter(|len| u64::from(*len) < MANIFEST_BYTES_MAX)?;
    let mut out = Encoder::new();
    out.u32(len).u32(0).u64(ordinal).u32(previous_crc).u32(0).raw(payload);
    out.raw(&[0; FRAME_ALIGN][..payload.len().next_multiple_of(FRAME_ALIGN) - payload.len()]);
    let mut bytes = out.into_bytes();
    let crc = frame_crc(&bytes, seed, offset);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    Some(bytes)
}

/// The checksum that [`encode_frame`] stored.
pub(crate) fn stored_crc(frame: &[u8]) -> u32 {
    u32::from_le_bytes(array_at(frame, 4))
}

/// The frame at `offset` of a manifest. Its chain is not checked here.
pub(crate) fn frame_at(manifest: &[u8], offset: u64, seed: FrameSeed) -> Result<Frame<'_>, FormatError> {
    let rest = manifest.get(offset as usize..).unwrap_or_default();
    let available = rest.len() as u64;
    if rest.len() < FRAME_HEADER_BYTES {
        return Err(FormatError::Length { expected: FRAME_HEADER_BYTES as u64, found: available });
    }
    let len = u32::from_le_bytes(array_at(rest, 0)) as usize;
    let padded = len.next_multiple_of(FRAME_ALIGN) + FRAME_HEADER_BYTES;
    let Some(bytes) = rest.get(..padded) else {
        return Err(FormatError::Length { expected: padded as u64, found: available });
    };
    let (expected, found) = (frame_crc(bytes, seed, offset), stored_crc(bytes));
    if expected != found {
        return Err(FormatError::Checksum { offset, expected, found });
    }
    Ok(Frame {
        ordinal: u64::from_le_bytes(array_at(bytes, 8)),
        previous_crc: u32::from_le_bytes(array_at(bytes, 16)),
        crc: found,
        payload: &bytes[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + len],
        end: offset + padded as u64,
    })
}

fn frame_crc(frame: &[u8], seed: FrameSeed, offset: u64) -> u32 {
    let mut crc = seed.at(offset);
    crc.update(&frame[..4]);
    crc.update(&frame[8..]);
    crc.finish()
}

/// Where a whole frame with an ordinal above `ordinal` begins, behind `from`, and its ordinal.
pub(crate) fn find_later_frame(
    manifest: &[u8],
    from: u64,
    ordinal: u64,
    seed: FrameSeed,
) -> Option<(u64, u64)> {
    let last = (manifest.len() as u64).saturating_sub(FRAME_HEADER_BYTES as u64);
    let frames_max = (manifest.len() as u64).saturating_sub(from) / FRAME_HEADER_BYTES as u64;
    let mut offset = from.next_multiple_of(FRAME_ALIGN as u64) + FRAME_ALIGN as u64;
    while offset <= last {
        // The ordinal is looked at first: a checksum at every position would take quadratic time.
        let found = u64::from_le_bytes(array_at(manifest, offset as usize + 8));
        let plausible = ordinal < found && found - ordinal <= frames_max;
        if plausible && frame_at(manifest, offset, seed).is_ok() {
            return Some((offset, found));
        }
        offset += FRAME_ALIGN as u64;
    }
    None
}
