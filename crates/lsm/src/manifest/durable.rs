//! Replacing a file so that a crash leaves the old one or the new one.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use tapebook_vfs::{OpenMode, Vfs};

use super::StorageError;
use super::layout::TEMPORARY_SUFFIX;

/// The name under which a file is written before it is renamed.
pub(crate) fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    PathBuf::from(name)
}

/// Writes the bytes under a temporary name and syncs them. What an earlier try left there is replaced.
pub(crate) fn write_temporary(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let temporary = temporary_path(path);
    discard(vfs, &temporary)?;
    let fail = |operation| {
        let temporary = &temporary;
        move |source| StorageError::io(operation, temporary, source)
    };
    let file = vfs.open(&temporary, OpenMode::CreateNew).map_err(fail("create"))?;
    file.write_all_at(0, &[IoSlice::new(bytes)]).map_err(fail("write"))?;
    file.sync_data().map_err(fail("sync"))
}

/// Gives the temporary file its name and syncs the directory.
pub(crate) fn publish(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    vfs.rename(&temporary_path(path), path).map_err(|source| StorageError::io("rename to", path, source))?;
    sync_parent(vfs, path)
}

/// Both steps: afterwards the file and its name are durable.
pub(crate) fn replace(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    write_temporary(vfs, path, bytes)?;
    publish(vfs, path)
}

/// Makes the names beside `path` durable.
pub(crate) fn sync_parent(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    let dir = path.parent().unwrap_or(Path::new(""));
    vfs.sync_dir(dir).map_err(|source| StorageError::io("sync the directory", dir, source))
}

/// Removes a file that may be there: writing over an old one could be taken for a change of it.
pub(crate) fn discard(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    match vfs.remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::io("remove", path, source))
        }
        _ => Ok(()),
    }
}

/// Reads a whole file of at most `bytes_max`.
pub(crate) fn read(vfs: &dyn Vfs, path: &Path, bytes_max: u64) -> Result<Vec<u8>, StorageError> {
    vfs.read_file(path, bytes_max).map_err(|source| StorageError::io("read", path, source))
}
