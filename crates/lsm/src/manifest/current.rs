//! Which manifest counts.

use tapebook_record::codec::Encoder;
use tapebook_record::crc32c;

use super::FormatError;
use super::frame::check_preamble;
use super::identity::FORMAT_VERSION;

/// The bytes of the file `CURRENT`.
pub const CURRENT_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"TBKCURNT";

/// The file `CURRENT`: names the manifest, and proves that its first frame was durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Current {
    /// Whose directory it is.
    pub cluster_id: u128,
    /// The node's id in its cluster.
    pub node_id: u64,
    /// The manifest's number.
    pub manifest: u64,
    /// The position behind the manifest's first frame.
    pub first_frame_end: u64,
    /// The checksum of that frame, which ties the name to this very file.
    pub first_frame_crc: u32,
}

pub(crate) fn encode_current(current: &Current) -> Vec<u8> {
    let mut out = Encoder::new();
    out.raw(MAGIC).u32(FORMAT_VERSION).u32(current.first_frame_crc).u128(current.cluster_id);
    out.u64(current.node_id).u64(current.manifest).u64(current.first_frame_end).u32(0);
    let crc = crc32c(out.as_slice());
    out.u32(crc);
    out.into_bytes()
}

/// Decodes the file `CURRENT`.
pub fn decode_current(bytes: &[u8]) -> Result<Current, FormatError> {
    let mut fields = check_preamble(bytes, MAGIC, CURRENT_BYTES)?;
    let first_frame_crc = fields.u32()?;
    Ok(Current {
        first_frame_crc,
        cluster_id: fields.u128()?,
        node_id: fields.u64()?,
        manifest: fields.u64()?,
        first_frame_end: fields.u64()?,
    })
}
