//! The trait for a file system, and the small types that it speaks.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::{Clock, DirLock, File, LockError};

/// How a file is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenMode {
    /// Only for reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    ReadWrite,
    /// For reading and writing; the file must not exist yet.
    CreateNew,
    /// For reading and writing; created where it is missing, kept as it is where it exists.
    CreateOrOpen,
}

/// One entry of a directory.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DirEntry {
    /// The name inside its directory.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
}

/// A file system with its clock and its randomness.
///
/// A file that was created, renamed or removed is durable only after [`Vfs::sync_dir`] of its directory.
pub trait Vfs: Debug + Send + Sync + 'static {
    /// Opens a file. Creating one makes its directory entry visible, not durable.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Creates a directory and its missing parents, and syncs the parents of every directory that it created.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Lists a directory, sorted by name.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Renames a file; replaces the target where it exists. Atomic, durable after [`Vfs::sync_dir`] of both directories.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes a second name for a file. `ErrorKind::Unsupported` where the file system has no hard links.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the directory's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// True where something with that name exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Bytes that can still be written under `path`.
    fn available_bytes(&self, path: &Path) -> io::Result<u64>;

    /// Takes the exclusive lock of a directory, or says who holds it. The lock ends with the process.
    fn lock_dir(&self, path: &Path, command: &str) -> Result<Box<dyn DirLock>, LockError>;

    /// The clock that goes with this file system.
    fn clock(&self) -> &dyn Clock;

    /// 64 random bits; from the seed in a simulated file system.
    fn random_u64(&self) -> u64;

    /// Reads a whole file, refusing one that is longer than `bytes_max`.
    fn read_file(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = file.len()?;
        if len > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: {len} bytes, expected at most {bytes_max}", path.display()),
            ));
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }
}
