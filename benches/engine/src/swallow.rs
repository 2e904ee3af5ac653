//! A disk that swallows the log: what is left of an append is the work of the processor.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use tapebook_vfs::{
    Clock, DirEntry, DirLock, File, LockError, Mapping, MemoryVfs, OpenMode, SystemClock, Vfs,
};

/// A disk in memory that forgets what is written to files of the folder `wal`, and keeps everything else.
#[derive(Debug)]
pub struct SwallowVfs {
    inner: MemoryVfs,
    clock: SystemClock,
}

impl SwallowVfs {
    /// An empty disk.
    pub fn new() -> Self {
        Self { inner: MemoryVfs::new(1), clock: SystemClock::new() }
    }
}

impl Vfs for SwallowVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.inner.open(path, mode)?;
        let of_log = path.components().any(|part| part.as_os_str() == "wal");
        Ok(if of_log { Arc::new(SwallowFile { inner: file }) } else { file })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.read_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.hard_link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.inner.available_bytes(path)
    }

    fn lock_dir(&self, path: &Path, command: &str) -> Result<Box<dyn DirLock>, LockError> {
        self.inner.lock_dir(path, command)
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn random_u64(&self) -> u64 {
        self.inner.random_u64()
    }
}

#[derive(Debug)]
struct SwallowFile {
    inner: Arc<dyn File>,
}

impl File for SwallowFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn write_all_at(&self, _: u64, _: &[IoSlice<'_>]) -> io::Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn prepare_zeroed(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn map(&self, len: u64) -> io::Result<Mapping> {
        self.inner.map(len)
    }
}
