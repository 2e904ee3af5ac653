//! CRC-32C (Castagnoli), the checksum of every structure on disk and on the wire.

use crc_fast::{CrcAlgorithm, Digest};

/// The CRC-32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// A CRC-32C over bytes that arrive in pieces, or that begins with an identity.
///
/// Seeding with an identity makes a structure invalid anywhere but in its own place: the identity is hashed
/// first and not stored.
#[derive(Clone)]
pub struct Crc32c {
    digest: Digest,
}

impl Crc32c {
    /// An empty checksum.
    pub fn new() -> Self {
        Self { digest: Digest::new(CrcAlgorithm::Crc32Iscsi) }
    }

    /// A checksum that has already read `identity`.
    pub fn seeded(identity: &[u8]) -> Self {
        let mut crc = Self::new();
        crc.update(identity);
        crc
    }

    /// Reads more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The checksum of everything read so far.
    pub fn finish(&self) -> u32 {
        self.digest.finalize() as u32
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Crc32c {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crc32c({:#010x})", self.finish())
    }
}
