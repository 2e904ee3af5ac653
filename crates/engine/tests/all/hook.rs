//! A file system that asks the scenario before every call that changes something.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use tapebook_vfs::{Clock, DirEntry, DirLock, File, LockError, Mapping, OpenMode, Operation, Vfs};

type Hook = dyn Fn(Operation, &Path) + Send + Sync;

/// Calls `hook` before every open, write, sync, preparation, rename and removal.
#[derive(Clone)]
pub struct HookVfs {
    inner: Arc<dyn Vfs>,
    hook: Arc<Hook>,
}

impl HookVfs {
    pub fn new(inner: Arc<dyn Vfs>, hook: impl Fn(Operation, &Path) + Send + Sync + 'static) -> Self {
        Self { inner, hook: Arc::new(hook) }
    }
}

impl fmt::Debug for HookVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Vfs for HookVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        (self.hook)(Operation::Open, path);
        let inner = self.inner.open(path, mode)?;
        Ok(Arc::new(HookFile { inner, path: path.to_owned(), hook: Arc::clone(&self.hook) }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.read_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.hook)(Operation::Rename, to);
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        (self.hook)(Operation::Remove, path);
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
        self.inner.clock()
    }

    fn random_u64(&self) -> u64 {
        self.inner.random_u64()
    }
}

struct HookFile {
    inner: Arc<dyn File>,
    path: PathBuf,
    hook: Arc<Hook>,
}

impl fmt::Debug for HookFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl File for HookFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        (self.hook)(Operation::Write, &self.path);
        self.inner.write_all_at(offset, slices)
    }

    fn sync_data(&self) -> io::Result<()> {
        (self.hook)(Operation::Sync, &self.path);
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn prepare_zeroed(&self, len: u64) -> io::Result<()> {
        (self.hook)(Operation::Prepare, &self.path);
        self.inner.prepare_zeroed(len)
    }

    fn map(&self, len: u64) -> io::Result<Mapping> {
        self.inner.map(len)
    }
}

/// Holds threads up until it is opened.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    arrived: u64,
}

impl Gate {
    pub fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.arrived += 1;
        self.changed.notify_all();
        while !state.open {
            state = self.changed.wait(state).unwrap();
        }
    }

    /// Waits until somebody is held up or has passed.
    pub fn wait_for_arrival(&self) {
        let mut state = self.state.lock().unwrap();
        while state.arrived == 0 {
            state = self.changed.wait(state).unwrap();
        }
    }

    pub fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }
}

/// True for the first call of a flush: the SSTable's file is created.
pub fn begins_table(operation: Operation, path: &Path) -> bool {
    operation == Operation::Open && path.to_string_lossy().ends_with(".sst.tmp")
}

/// True for a file of the log that holds entries.
pub fn is_segment(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".log")
}
