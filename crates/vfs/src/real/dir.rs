//! Directories: made durably, listed, synced.

use std::fs;
use std::io;
use std::path::Path;

use crate::DirEntry;
use crate::path_error::at_path;

/// Creates `path` and its missing parents, each durable in its parent before the next one is made.
pub(super) fn create_all(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        // Whoever created it may have died before its sync.
        return match sync(parent(path)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        };
    }
    if parent(path) != path {
        create_all(parent(path))?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other.map_err(|source| at_path(path, source))?,
    }
    sync(parent(path))
}

pub(super) fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = match fs::metadata(entry.path()) {
            // Gone since it was listed, or a link to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let is_dir = metadata.is_dir();
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push(DirEntry { name, is_dir, len: if is_dir { 0 } else { metadata.len() } });
    }
    entries.sort();
    Ok(entries)
}

pub(super) fn sync(path: &Path) -> io::Result<()> {
    let synced = fs::File::open(path).and_then(|dir| {
        if !dir.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        dir.sync_all()
    });
    synced.map_err(|source| at_path(path, source))
}

/// The directory that holds `path`; the root holds itself.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}
