//! State files on disk.

use std::path::Path;

use tapebook_vfs::Vfs;

use super::{
    FormatError, Identity, STATE_BYTES_MAX, StateHeader, StateRef, StateSection, StorageError, decode_state,
    durable, encode_state, layout,
};

/// Reading and writing of state files. A state file is immutable; the version edit that names it comes after it.
#[derive(Clone, Copy, Debug)]
pub struct StateFile;

impl StateFile {
    /// Writes the file under a temporary name, syncs it, renames it and syncs its directory, which must exist: when this
    /// returns, an edit may name it. Returns its length in bytes.
    pub fn write(
        vfs: &dyn Vfs,
        path: &Path,
        header: &StateHeader,
        sections: &[StateSection],
    ) -> Result<u64, StorageError> {
        let bytes = encode_state(header, sections).map_err(|source| StorageError::damaged(path, source))?;
        durable::replace(vfs, path, &bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Reads a state file of the same cluster; the node may be another one, because state travels with snapshots.
    pub fn read(
        vfs: &dyn Vfs,
        path: &Path,
        identity: &Identity,
    ) -> Result<(StateHeader, Vec<StateSection>), StorageError> {
        let bytes = durable::read(vfs, path, STATE_BYTES_MAX)?;
        let (header, sections) =
            decode_state(&bytes).map_err(|source| StorageError::damaged(path, source))?;
        identity.check_own(path, header.cluster_id, identity.node_id)?;
        Ok((header, sections))
    }

    /// Reads the state file that a version names and refuses any other one under its name.
    pub fn read_named(
        vfs: &dyn Vfs,
        dir: &Path,
        identity: &Identity,
        named: &StateRef,
    ) -> Result<(StateHeader, Vec<StateSection>), StorageError> {
        let path = dir.join(layout::state_name(named.file_id));
        let (header, sections) = Self::read(vfs, &path, identity)?;
        // The number may differ: a file that came with a snapshot has the one that its writer gave it.
        let found = StateRef { file_id: named.file_id, ..header.to_ref() };
        if found != *named {
            let source = FormatError::Field {
                offset: 40,
                reason: "the entry, sequence and hash that the manifest names",
            };
            return Err(StorageError::damaged(&path, source));
        }
        Ok((header, sections))
    }
}
