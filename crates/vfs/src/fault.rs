//! A file system that fails, shortens, delays or spoils chosen calls of another one.
//!
//! It decides nothing by itself and knows no seed: a [`FaultPlan`] names the calls. What a failure *means* for the
//! data (an unsynced page, a lost entry) is the business of the file system that it wraps.

mod file;
mod plan;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::file::FaultFile;
use self::plan::Counters;
pub use self::plan::{Fault, FaultPlan, FaultRule};
use crate::lock::LOCK_FILE;
use crate::path_error::at_path;
use crate::{Clock, DirEntry, DirLock, File, LockError, OpenMode, Operation, Vfs};

/// Wraps another file system and carries out a [`FaultPlan`]. A clone shares plan and counters.
///
/// ```
/// use std::{io::ErrorKind, path::Path, sync::Arc};
/// use tapebook_vfs::{Fault, FaultRule, FaultVfs, MemoryVfs, OpenMode, Operation, Vfs};
///
/// let full = FaultRule::new(Fault::Error(ErrorKind::StorageFull)).on(Operation::Prepare).nth(2);
/// let vfs = FaultVfs::new(Arc::new(MemoryVfs::new(1)), full.into());
/// let file = vfs.open(Path::new("/segment"), OpenMode::CreateNew)?;
/// file.prepare_zeroed(4096)?;
/// assert_eq!(file.prepare_zeroed(8192).unwrap_err().kind(), ErrorKind::StorageFull);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultVfs {
    inner: Arc<dyn Vfs>,
    counters: Arc<Mutex<Counters>>,
}

impl FaultVfs {
    /// Carries out `plan` on calls to `inner`; [`FaultPlan::none`] only counts.
    pub fn new(inner: Arc<dyn Vfs>, plan: FaultPlan) -> Self {
        Self { inner, counters: Arc::new(Mutex::new(Counters::new(plan))) }
    }

    /// Replaces the plan. Its rules count from here; [`calls`](Self::calls) goes on.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.counters().set_plan(plan);
    }

    /// Calls so far, of all kinds, failed ones included. The clock and randomness are not calls.
    ///
    /// A test that wants to fail at every single call runs once with [`FaultPlan::none`], takes this number `n`, and
    /// runs again for each of `1..=n` with a rule that has this [`nth`](FaultRule::nth).
    pub fn calls(&self) -> u64 {
        self.counters().calls()
    }

    /// Calls of one kind so far.
    pub fn calls_of(&self, operation: Operation) -> u64 {
        self.counters().calls_of(operation)
    }

    /// Faults that came to pass so far.
    pub fn faults(&self) -> u64 {
        self.counters().faults()
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; waits out a delay; returns any other fault that the plan has for it.
    fn arrive(&self, operation: Operation, path: &Path) -> Option<Fault> {
        let fault = self.counters().arrive(operation, path);
        if let Some(Fault::Delay(duration)) = fault {
            self.clock().sleep(duration);
            return None;
        }
        fault
    }

    /// Carries out a call that either happens or fails as a whole. A skipped one answers `skipped`.
    fn call<T>(
        &self,
        operation: Operation,
        path: &Path,
        skipped: Option<T>,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match (self.arrive(operation, path), skipped) {
            (None, _) => call(),
            (Some(Fault::Skip), Some(answer)) => Ok(answer),
            (Some(fault), _) => Err(at_path(path, fault.error())),
        }
    }
}

impl Vfs for FaultVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = self.call(Operation::Open, path, None, || self.inner.open(path, mode))?;
        Ok(Arc::new(FaultFile { inner, vfs: self.clone(), path: path.to_path_buf() }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(Operation::CreateDir, path, Some(()), || self.inner.create_dir_all(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.call(Operation::ReadDir, path, None, || self.inner.read_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Operation::Rename, to, Some(()), || self.inner.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Operation::Remove, path, Some(()), || self.inner.remove_file(path))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Operation::HardLink, to, Some(()), || self.inner.hard_link(from, to))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Operation::SyncDir, path, Some(()), || self.inner.sync_dir(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.call(Operation::Metadata, path, None, || self.inner.exists(path))
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.call(Operation::Metadata, path, None, || self.inner.available_bytes(path))
    }

    fn lock_dir(&self, path: &Path, command: &str) -> Result<Box<dyn DirLock>, LockError> {
        match self.arrive(Operation::Lock, path) {
            None => self.inner.lock_dir(path, command),
            Some(fault) => Err(LockError::Io { path: path.join(LOCK_FILE), source: fault.error() }),
        }
    }

    fn clock(&self) -> &dyn Clock {
        self.inner.clock()
    }

    fn random_u64(&self) -> u64 {
        self.inner.random_u64()
    }
}
