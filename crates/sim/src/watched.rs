//! A file system that remembers every call in a hash, counts errors, panics at a chosen call and spoils a chosen write.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapebook_vfs::{Clock, DirEntry, DirLock, File, LockError, Mapping, OpenMode, Operation, Vfs};
use xxhash_rust::xxh3::Xxh3;

/// What unwinds where a panic was asked for.
pub(crate) struct InjectedPanic;

/// The outermost layer of the simulated disk.
#[derive(Clone, Debug)]
pub(crate) struct WatchedVfs {
    inner: Arc<dyn Vfs>,
    watch: Arc<Mutex<Watch>>,
}

/// What the layer saw, and what it is to do.
struct Watch {
    hash: Xxh3,
    calls: u64,
    errors: u64,
    /// Syncs of segments of the main database's log that were asked for.
    log_syncs: u64,
    panic_at: Option<u64>,
    spoil: Option<SpoiledWrite>,
    spoiled: u64,
    /// After the first error nothing works any more.
    dies: bool,
}

/// A write of which one byte changes on its way to the disk.
#[derive(Clone, Debug)]
pub(crate) struct SpoiledWrite {
    /// Only writes to such paths count.
    pub path_part: &'static str,
    /// Which of them, from 1.
    pub nth: u64,
    /// Which byte; wraps around the length.
    pub at: u64,
    /// The bits to invert.
    pub mask: u8,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl WatchedVfs {
    pub fn new(inner: Arc<dyn Vfs>) -> Self {
        let watch = Watch {
            hash: Xxh3::new(),
            calls: 0,
            errors: 0,
            log_syncs: 0,
            panic_at: None,
            spoil: None,
            spoiled: 0,
            dies: false,
        };
        Self { inner, watch: Arc::new(Mutex::new(watch)) }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets errors and what was asked for.
    pub fn calm(&self) {
        let mut watch = self.watch();
        (watch.errors, watch.panic_at, watch.spoil, watch.dies) = (0, None, None, false);
    }

    /// Panics at a call that many calls from now.
    pub fn panic_in(&self, calls: u64) {
        let mut watch = self.watch();
        watch.panic_at = Some(watch.calls + calls);
    }

    /// The power is gone with the first call that fails: all later ones fail as well.
    pub fn dead_after_error(&self) {
        self.watch().dies = true;
    }

    /// Panics at no call any more.
    pub fn panic_never(&self) {
        self.watch().panic_at = None;
    }

    /// Panics at no call of `check`, which is the schedule's own and not the process that is to end.
    pub fn calmly<T>(&self, check: impl FnOnce() -> T) -> T {
        let panic_at = self.watch().panic_at.take();
        let result = check();
        self.watch().panic_at = panic_at;
        result
    }

    /// Spoils a write.
    pub fn spoil(&self, write: SpoiledWrite) {
        self.watch().spoil = Some(write);
    }

    /// Writes that were spoiled.
    pub fn spoiled(&self) -> u64 {
        self.watch().spoiled
    }

    /// Calls that failed, but for those that only said that something is there or is not.
    pub fn errors(&self) -> u64 {
        self.watch().errors
    }

    /// Syncs of segments of the main database's log that were asked for, failed ones included.
    pub fn log_syncs(&self) -> u64 {
        self.watch().log_syncs
    }

    /// The hash over all calls so far.
    pub fn hash(&self) -> u64 {
        self.watch().hash.digest()
    }

    fn arrive(&self, operation: Operation, path: &Path, offset: u64) -> io::Result<()> {
        let mut watch = self.watch();
        watch.calls += 1;
        let log_sync = operation == Operation::Sync && path.starts_with("/db/wal") && !path.ends_with("MARK");
        watch.log_syncs += u64::from(log_sync);
        watch.hash.update(&[operation as u8]);
        watch.hash.update(path.as_os_str().as_encoded_bytes());
        watch.hash.update(&offset.to_le_bytes());
        if watch.panic_at.is_some_and(|at| watch.calls >= at) {
            watch.panic_at = None;
            drop(watch);
            std::panic::panic_any(InjectedPanic);
        }
        if watch.dies && watch.errors > 0 {
            watch.errors += 1;
            return Err(io::Error::other("the power is gone"));
        }
        Ok(())
    }

    fn note<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &outcome
            && !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
        {
            self.watch().errors += 1;
        }
        outcome
    }

    /// The bytes of a write, where it is the one to spoil.
    fn spoiled_bytes(&self, path: &Path, slices: &[IoSlice<'_>]) -> Option<Vec<u8>> {
        let mut watch = self.watch();
        for slice in slices {
            watch.hash.update(slice);
        }
        let spoil = watch.spoil.as_mut()?;
        if !path.to_string_lossy().contains(spoil.path_part) {
            return None;
        }
        spoil.nth = spoil.nth.saturating_sub(1);
        let (due, at, mask) = (spoil.nth == 0, spoil.at, spoil.mask);
        let mut bytes = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
        if !due || bytes.is_empty() {
            return None;
        }
        let place = (at % bytes.len() as u64) as usize;
        bytes[place] ^= mask;
        watch.spoil = None;
        watch.spoiled += 1;
        Some(bytes)
    }
}

impl Vfs for WatchedVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.arrive(Operation::Open, path, mode as u64)?;
        let inner = self.note(self.inner.open(path, mode))?;
        Ok(Arc::new(WatchedFile { inner, vfs: self.clone(), path: path.into() }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.arrive(Operation::CreateDir, path, 0)?;
        self.note(self.inner.create_dir_all(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.arrive(Operation::ReadDir, path, 0)?;
        self.note(self.inner.read_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.arrive(Operation::Rename, to, 0)?;
        self.note(self.inner.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.arrive(Operation::Remove, path, 0)?;
        self.note(self.inner.remove_file(path))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.arrive(Operation::HardLink, to, 0)?;
        self.note(self.inner.hard_link(from, to))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.arrive(Operation::SyncDir, path, 0)?;
        self.note(self.inner.sync_dir(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.arrive(Operation::Metadata, path, 0)?;
        self.note(self.inner.exists(path))
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.arrive(Operation::Metadata, path, 1)?;
        self.note(self.inner.available_bytes(path))
    }

    fn lock_dir(&self, path: &Path, command: &str) -> Result<Box<dyn DirLock>, LockError> {
        let at = |source| LockError::Io { path: path.to_owned(), source };
        self.arrive(Operation::Lock, path, 0).map_err(at)?;
        let locked = self.inner.lock_dir(path, command);
        if locked.is_err() {
            self.watch().errors += 1;
        }
        locked
    }

    fn clock(&self) -> &dyn Clock {
        self.inner.clock()
    }

    fn random_u64(&self) -> u64 {
        self.inner.random_u64()
    }
}

/// An open file of the layer below.
#[derive(Debug)]
struct WatchedFile {
    inner: Arc<dyn File>,
    vfs: WatchedVfs,
    path: Box<Path>,
}

impl File for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.vfs.arrive(Operation::Read, &self.path, offset)?;
        self.vfs.note(self.inner.read_at(offset, buf))
    }

    fn write_all_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        self.vfs.arrive(Operation::Write, &self.path, offset)?;
        let written = match self.vfs.spoiled_bytes(&self.path, slices) {
            Some(bytes) => self.inner.write_all_at(offset, &[IoSlice::new(&bytes)]),
            None => self.inner.write_all_at(offset, slices),
        };
        self.vfs.note(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.vfs.arrive(Operation::Sync, &self.path, 0)?;
        self.vfs.note(self.inner.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        self.vfs.arrive(Operation::Metadata, &self.path, 2)?;
        self.vfs.note(self.inner.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.vfs.arrive(Operation::SetLen, &self.path, len)?;
        self.vfs.note(self.inner.set_len(len))
    }

    fn prepare_zeroed(&self, len: u64) -> io::Result<()> {
        self.vfs.arrive(Operation::Prepare, &self.path, len)?;
        self.vfs.note(self.inner.prepare_zeroed(len))
    }

    fn map(&self, len: u64) -> io::Result<Mapping> {
        self.vfs.arrive(Operation::Map, &self.path, len)?;
        self.vfs.note(self.inner.map(len))
    }
}
