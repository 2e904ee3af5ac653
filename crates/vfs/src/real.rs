//! The machine's own file system, clock and randomness.
//!
//! It adds to the operating system what a database would otherwise repeat at each call: whole writes, positions,
//! paths in errors, directories that are synced when they are made. It does not cache, retry a failed sync, or clean
//! up after a call that failed half-way.

#![allow(clippy::disallowed_methods, reason = "this module is what the others are sent to")]

mod dir;
mod file;
mod lock;
mod mapping;
mod open_files;

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::rand::{GetRandomFlags, getrandom};

use self::file::RealFile;
pub use self::open_files::raise_open_files_limit;
use crate::path_error::at_path;
use crate::{Clock, DirEntry, DirLock, File, LockError, OpenMode, SystemClock, Vfs};

/// The machine's file system.
///
/// Paths are taken as the operating system takes them: relative ones start at the working directory.
#[derive(Debug)]
pub struct RealVfs {
    clock: Box<dyn Clock>,
}

impl RealVfs {
    /// The machine's file system and clock; the monotonic one starts now.
    pub fn new() -> Self {
        Self::with_clock(SystemClock::new())
    }

    /// The machine's file system with another clock: for long runs in which a day is over in a minute.
    pub fn with_clock(clock: impl Clock + 'static) -> Self {
        Self { clock: Box::new(clock) }
    }
}

impl Default for RealVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl Vfs for RealVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::ReadWrite => options.write(true),
            OpenMode::CreateNew => options.write(true).create_new(true),
            OpenMode::CreateOrOpen => options.write(true).create(true).truncate(false),
        };
        let open = || {
            let file = options.open(path)?;
            if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
        };
        let file = open().map_err(|source| at_path(path, source))?;
        Ok(Arc::new(RealFile::new(file, path)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        dir::create_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        dir::list(path).map_err(|source| at_path(path, source))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(|source| at_path(from, at_path(to, source)))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(|source| at_path(path, source))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to).map_err(|source| {
            match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                // What file systems without hard links answer, besides EOPNOTSUPP.
                Some(rustix::io::Errno::PERM) => at_path(to, io::ErrorKind::Unsupported.into()),
                _ => at_path(to, source),
            }
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        dir::sync(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match fs::exists(path) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
            other => other.map_err(|source| at_path(path, source)),
        }
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let answer = rustix::fs::statvfs(path).map_err(|source| at_path(path, source.into()))?;
        Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
    }

    fn lock_dir(&self, path: &Path, command: &str) -> Result<Box<dyn DirLock>, LockError> {
        lock::take(path, command)
    }

    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        match getrandom(&mut bytes, GetRandomFlags::empty()) {
            Ok(8) => u64::from_ne_bytes(bytes),
            // The standard library's hash keys come from the system as well.
            _ => RandomState::new().hash_one(self.clock.unix_nanos()),
        }
    }
}
