//! The first 64 bytes of a file. Their layout is the same in every version of the format.

use std::path::Path;
use std::sync::Arc;

use tapebook_record::crc32c;

use super::TABLE_FORMAT;
use super::error::{Part, TableError, checksum, structure};
use super::identity::TableIdentity;
use super::layout::{MAGIC, u16_at, u32_at, u64_at, u128_at};

pub(super) const HEADER_BYTES: usize = 64;
const CRC_AT: usize = 60;

/// What a file says about itself before anything else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FileHeader {
    pub(super) identity: TableIdentity,
}

impl FileHeader {
    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&TABLE_FORMAT.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.identity.cluster_id.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.identity.file_id.to_le_bytes());
        let crc = crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads and checks. The version comes after the checksum, so that a damaged version is not taken for a newer one.
    pub(super) fn read(path: &Arc<Path>, bytes: &[u8]) -> Result<Self, TableError> {
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(TableError::NotATable { path: path.to_path_buf(), length: bytes.len() as u64 });
        }
        let (expected, found) = (u32_at(bytes, CRC_AT), crc32c(&bytes[..CRC_AT]));
        if expected != found {
            return Err(checksum(path, 0, Part::Header, expected, found));
        }
        let format = u16_at(bytes, 8);
        if format > TABLE_FORMAT {
            return Err(TableError::NewerFormat { path: path.to_path_buf(), found: format });
        }
        if format == 0 || bytes[10..16].iter().chain(&bytes[40..CRC_AT]).any(|byte| *byte != 0) {
            return Err(structure(path, 8, Part::Header, "a field is set that this version does not know"));
        }
        Ok(Self { identity: TableIdentity { cluster_id: u128_at(bytes, 16), file_id: u64_at(bytes, 32) } })
    }
}
