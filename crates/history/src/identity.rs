//! Which file this is, and what vouches for its end.

use tapebook_record::Crc32c;

/// The most bytes that may be behind the row groups: they are held in memory. Three million series fit.
pub(crate) const TAIL_BYTES_MAX: u64 = 256 << 20;

/// Which file this is. It seeds every checksum of ours, so that bytes of another file or another cluster are invalid.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct HistoryIdentity {
    /// The cluster that wrote the file.
    pub cluster_id: u128,
    /// The file's number in its cluster.
    pub file_id: u64,
}

impl HistoryIdentity {
    /// A checksum that only fits this file and this place in it.
    pub(crate) fn checksum(self, kind: ChecksumKind, number: u64) -> Crc32c {
        let mut seed = [0; 36];
        seed[..16].copy_from_slice(&self.cluster_id.to_le_bytes());
        seed[16..24].copy_from_slice(&self.file_id.to_le_bytes());
        seed[24..28].copy_from_slice(&(kind as u32).to_le_bytes());
        seed[28..].copy_from_slice(&number.to_le_bytes());
        Crc32c::seeded(&seed)
    }
}

/// What a checksum is of; part of its seed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub(crate) enum ChecksumKind {
    /// A piece of the row groups.
    Grain = 1,
    /// Everything behind the row groups.
    Tail = 2,
}

/// What the writer says of a finished file, for whoever keeps a list of files: with it, no byte of the file can change
/// unnoticed. Parquet's own footer has no checksum, and nothing may follow it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HistorySeal {
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// So many of its last bytes are behind the row groups: directory, checksums, page index and footer.
    pub tail_bytes: u64,
    /// CRC-32C of those, seeded with the file's identity.
    pub tail_crc: u32,
}
