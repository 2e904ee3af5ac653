//! Which file this is, as every checksum in it knows.

use std::path::Path;
use std::sync::Arc;

use tapebook_record::Crc32c;
use tapebook_vfs::{OpenMode, Vfs};

use super::error::{TableError, io_error};
use super::header::{FileHeader, HEADER_BYTES};

/// Which file this is. It seeds every checksum, so that bytes of another file or another cluster are invalid.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TableIdentity {
    /// The cluster that wrote the file.
    pub cluster_id: u128,
    /// The file's number in its cluster.
    pub file_id: u64,
}

impl TableIdentity {
    /// What the file at `path` says that it is. For tools that inspect a file by itself; a database knows which
    /// identity it expects.
    pub fn of_file(vfs: &dyn Vfs, path: &Path) -> Result<Self, TableError> {
        let shared: Arc<Path> = path.into();
        let file = vfs.open(path, OpenMode::Read).map_err(|source| io_error(&shared, source))?;
        let mut bytes = [0; HEADER_BYTES];
        let read = file.read_at(0, &mut bytes).map_err(|source| io_error(&shared, source))?;
        Ok(FileHeader::read(&shared, &bytes[..read])?.identity)
    }

    /// A checksum that only fits this file, this kind of structure and this one of them.
    pub(super) fn checksum(self, kind: ChecksumKind, number: u32) -> Crc32c {
        let mut seed = [0; 32];
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
pub(super) enum ChecksumKind {
    Block = 1,
    Page = 2,
    Section = 3,
    Footer = 4,
}
