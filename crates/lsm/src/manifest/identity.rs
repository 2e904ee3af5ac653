//! Whose data directory it is.

use std::fmt;
use std::path::Path;

use tapebook_record::codec::Encoder;
use tapebook_record::{Crc32c, crc32c};
use tapebook_vfs::Vfs;

use super::layout::{IDENTITY_NAME, UNFINISHED_NAME};
use super::{FormatError, StorageError, durable};
use crate::manifest::frame::{array_at, check_preamble};

/// The bytes of the file `IDENTITY`.
pub const IDENTITY_BYTES: usize = 64;

/// The newest version of every structure of this module that this program reads, and the one that it writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"TBKIDENT";

/// Whose data directory it is. Equal for as long as the directory lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Minted once, when the cluster (or the single database) is created.
    pub cluster_id: u128,
    /// The node's id in its cluster; never used again after the node has left.
    pub node_id: u64,
    /// The epoch of the journal when the directory was created; the version says what it is now.
    pub epoch: u64,
    /// When the directory was created, nanoseconds since the epoch, UTC.
    pub created_at: i64,
}

impl Identity {
    /// Writes the file, durably; replaces one that is there. A new database writes it before anything else.
    pub fn write(&self, vfs: &dyn Vfs, dir: &Path) -> Result<(), StorageError> {
        durable::replace(vfs, &dir.join(IDENTITY_NAME), &encode_identity(self))
    }

    /// Writes the file under the name that says that the directory is being built, durably. A directory with it is no
    /// database until [`Identity::publish`].
    pub fn write_unfinished(&self, vfs: &dyn Vfs, dir: &Path) -> Result<(), StorageError> {
        durable::replace(vfs, &dir.join(UNFINISHED_NAME), &encode_identity(self))
    }

    /// Gives the unfinished file its name: from here on the directory is a database. Everything else in it is durable
    /// already.
    pub fn publish(vfs: &dyn Vfs, dir: &Path) -> Result<(), StorageError> {
        let path = dir.join(IDENTITY_NAME);
        let renamed = vfs.rename(&dir.join(UNFINISHED_NAME), &path);
        renamed.map_err(|source| StorageError::io("rename to", &path, source))?;
        durable::sync_parent(vfs, &path)
    }

    /// Reads the file. [`StorageError::Missing`] where the directory was never a database.
    pub fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(IDENTITY_NAME);
        let bytes = durable::read(vfs, &path, IDENTITY_BYTES as u64)?;
        decode_identity(&bytes).map_err(|source| StorageError::damaged(&path, source))
    }

    /// Reads the file and refuses the directory of another cluster or node.
    pub fn read_own(vfs: &dyn Vfs, dir: &Path, cluster_id: u128, node_id: u64) -> Result<Self, StorageError> {
        let found = Self::read(vfs, dir)?;
        let expected = Self { cluster_id, node_id, ..found };
        expected.check_own(&dir.join(IDENTITY_NAME), found.cluster_id, found.node_id)?;
        Ok(found)
    }

    /// Refuses a structure that says it is another cluster's or node's.
    pub(crate) fn check_own(&self, path: &Path, cluster_id: u128, node_id: u64) -> Result<(), StorageError> {
        let found = Self { cluster_id, node_id, ..*self };
        if found == *self {
            return Ok(());
        }
        let (path, expected, found) = (path.to_owned(), self.to_string(), found.to_string());
        Err(StorageError::Foreign { path, expected, found })
    }

    /// A checksum that has read whose directory it is.
    pub(crate) fn seed(&self) -> Crc32c {
        let mut crc = Crc32c::seeded(&self.cluster_id.to_le_bytes());
        crc.update(&self.node_id.to_le_bytes());
        crc
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {:032x} node {}", self.cluster_id, self.node_id)
    }
}

pub(crate) fn encode_identity(identity: &Identity) -> Vec<u8> {
    let mut out = Encoder::new();
    out.raw(MAGIC).u32(FORMAT_VERSION).u32(0).u128(identity.cluster_id).u64(identity.node_id);
    out.u64(identity.epoch).i64(identity.created_at).u32(0);
    let crc = crc32c(out.as_slice());
    out.u32(crc);
    out.into_bytes()
}

/// Decodes the file `IDENTITY`.
pub fn decode_identity(bytes: &[u8]) -> Result<Identity, FormatError> {
    let mut fields = check_preamble(bytes, MAGIC, IDENTITY_BYTES)?;
    fields.raw(4)?;
    Ok(Identity {
        cluster_id: fields.u128()?,
        node_id: fields.u64()?,
        epoch: fields.u64()?,
        created_at: i64::from_le_bytes(array_at(bytes, 48)),
    })
}
