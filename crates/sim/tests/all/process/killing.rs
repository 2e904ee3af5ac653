//! A real file system that kills its own process at a chosen call.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tapebook_vfs::{Clock, DirEntry, DirLock, File, LockError, Mapping, OpenMode, Operation, RealVfs, Vfs};

/// A kind of call, by what it does for the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Point {
    Identity,
    AppendWrite,
    LogSync,
    MarkWrite,
    Prepare,
    Roll,
    Recycle,
    LogDirectorySync,
    TableWrite,
    TableSync,
    TableRename,
    TableDirectorySync,
    TableRemoval,
    HistoryWrite,
    HistoryRename,
    HistoryName,
    StateWrite,
    StateRename,
    ManifestWrite,
    ManifestSync,
    Current,
    ArchiveWrite,
    ArchiveRename,
    CheckpointLink,
    CheckpointEnd,
    BackupWrite,
    BackupRename,
    Retraction,
}

impl Point {
    pub const ALL: [Self; 28] = [
        Self::Identity,
        Self::AppendWrite,
        Self::LogSync,
        Self::MarkWrite,
        Self::Prepare,
        Self::Roll,
        Self::Recycle,
        Self::LogDirectorySync,
        Self::TableWrite,
        Self::TableSync,
        Self::TableRename,
        Self::TableDirectorySync,
        Self::TableRemoval,
        Self::HistoryWrite,
        Self::HistoryRename,
        Self::HistoryName,
        Self::StateWrite,
        Self::StateRename,
        Self::ManifestWrite,
        Self::ManifestSync,
        Self::Current,
        Self::ArchiveWrite,
        Self::ArchiveRename,
        Self::CheckpointLink,
        Self::CheckpointEnd,
        Self::BackupWrite,
        Self::BackupRename,
        Self::Retraction,
    ];

    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|point| format!("{point:?}") == name).expect("a point")
    }

    /// How often a child comes by at least.
    pub fn nth_max(self) -> u64 {
        match self {
            Self::Identity | Self::Current | Self::CheckpointEnd => 1,
            Self::HistoryWrite | Self::HistoryRename | Self::HistoryName => 1,
            Self::CheckpointLink | Self::TableRemoval | Self::Recycle | Self::Prepare => 2,
            _ => u64::MAX,
        }
    }

    /// True where a directory comes by only once, when it becomes a database.
    pub fn is_at_creation(self) -> bool {
        matches!(self, Self::Identity | Self::Current)
    }

    fn matches(self, operation: Operation, path: &Path, retracting: bool) -> bool {
        let path = path.to_string_lossy();
        let inside = |folder: &str| path.contains(&format!("/db/{folder}"));
        let log = || inside("wal/") && path.ends_with(".log");
        match self {
            Self::Identity => operation == Operation::Rename && path.ends_with("/db/IDENTITY"),
            Self::AppendWrite => operation == Operation::Write && log(),
            Self::LogSync => operation == Operation::Sync && log(),
            Self::MarkWrite => operation == Operation::Write && inside("wal/MARK"),
            Self::Prepare => operation == Operation::Prepare && inside("wal/"),
            Self::Roll => operation == Operation::Rename && log(),
            Self::Recycle => operation == Operation::Rename && inside("wal/spare-"),
            Self::LogDirectorySync => operation == Operation::SyncDir && path.ends_with("/db/wal"),
            Self::TableWrite => operation == Operation::Write && inside("tables/"),
            Self::TableSync => operation == Operation::Sync && inside("tables/"),
            Self::TableRename => operation == Operation::Rename && inside("tables/"),
            Self::TableDirectorySync => operation == Operation::SyncDir && path.ends_with("/db/tables"),
            Self::TableRemoval => operation == Operation::Remove && inside("tables/"),
            Self::HistoryWrite => {
                operation == Operation::Write && inside("tables/") && path.contains(".parquet")
            }
            Self::HistoryRename => {
                operation == Operation::Rename && inside("tables/") && path.contains(".parquet")
            }
            Self::HistoryName => operation == Operation::Rename && inside("history/"),
            Self::StateWrite => operation == Operation::Write && inside("state/"),
            Self::StateRename => operation == Operation::Rename && inside("state/"),
            Self::ManifestWrite => operation == Operation::Write && inside("MANIFEST"),
            Self::ManifestSync => operation == Operation::Sync && inside("MANIFEST"),
            Self::Current => operation == Operation::Rename && path.ends_with("/db/CURRENT"),
            Self::ArchiveWrite => operation == Operation::Write && inside("archive/"),
            Self::ArchiveRename => operation == Operation::Rename && inside("archive/"),
            Self::CheckpointLink => operation == Operation::HardLink,
            Self::CheckpointEnd => {
                operation == Operation::Rename && path.contains("/checkpoint-") && path.ends_with("IDENTITY")
            }
            Self::BackupWrite => operation == Operation::Write && path.contains("/backups/"),
            Self::BackupRename => operation == Operation::Rename && path.contains("/backups/"),
            Self::Retraction => operation == Operation::Sync && log() && retracting,
        }
    }
}

/// When the process dies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// The call is not made.
    Before,
    /// Half of the bytes are written; as `Before` where nothing is written.
    Middle,
    /// The call is made, and nobody hears of it.
    After,
}

/// The real file system with the point at which it kills the process.
#[derive(Clone, Debug)]
pub struct KillingVfs {
    inner: Arc<dyn Vfs>,
    trap: Arc<Trap>,
}

#[derive(Debug)]
struct Trap {
    point: Point,
    nth: u64,
    mode: Mode,
    seen: AtomicU64,
    retracting: AtomicBool,
}

impl Trap {
    /// Makes the call, unless it is the one at which the process ends.
    fn pass<T>(&self, operation: Operation, path: &Path, call: impl FnOnce() -> T, half: impl FnOnce()) -> T {
        let counts = self.point.matches(operation, path, self.retracting.load(Ordering::SeqCst));
        if !counts || self.seen.fetch_add(1, Ordering::SeqCst) + 1 != self.nth {
            return call();
        }
        match self.mode {
            Mode::Before => die(),
            Mode::Middle => {
                half();
                die()
            }
            Mode::After => {
                let _ = call();
                die()
            }
        }
    }
}

fn die() -> ! {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .expect("a process may kill itself");
    loop {
        std::thread::park();
    }
}

impl KillingVfs {
    pub fn new(point: Point, nth: u64, mode: Mode) -> Self {
        let (seen, retracting) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { inner: Arc::new(RealVfs::new()), trap: Arc::new(Trap { point, nth, mode, seen, retracting }) }
    }

    /// What is synced meanwhile is synced for a retraction.
    pub fn while_retracting<T>(&self, retract: impl FnOnce() -> T) -> T {
        self.trap.retracting.store(true, Ordering::SeqCst);
        let done = retract();
        self.trap.retracting.store(false, Ordering::SeqCst);
        done
    }

    fn pass<T>(&self, operation: Operation, path: &Path, call: impl FnOnce() -> T) -> T {
        self.trap.pass(operation, path, call, || {})
    }
}

impl Vfs for KillingVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = self.pass(Operation::Open, path, || self.inner.open(path, mode))?;
        Ok(Arc::new(KillingFile { inner, trap: Arc::clone(&self.trap), path: path.into() }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.pass(Operation::CreateDir, path, || self.inner.create_dir_all(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.read_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(Operation::Rename, to, || self.inner.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.pass(Operation::Remove, path, || self.inner.remove_file(path))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(Operation::HardLink, to, || self.inner.hard_link(from, to))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Operation::SyncDir, path, || self.inner.sync_dir(path))
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

#[derive(Debug)]
struct KillingFile {
    inner: Arc<dyn File>,
    trap: Arc<Trap>,
    path: Box<Path>,
}

impl File for KillingFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn write_all_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let half = || {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let _ = self.inner.write_all_at(offset, &[IoSlice::new(&bytes[..bytes.len() / 2])]);
        };
        self.trap.pass(Operation::Write, &self.path, || self.inner.write_all_at(offset, slices), half)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.trap.pass(Operation::Sync, &self.path, || self.inner.sync_data(), || {})
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.trap.pass(Operation::SetLen, &self.path, || self.inner.set_len(len), || {})
    }

    fn prepare_zeroed(&self, len: u64) -> io::Result<()> {
        let half = || drop(self.inner.prepare_zeroed(len / 2));
        self.trap.pass(Operation::Prepare, &self.path, || self.inner.prepare_zeroed(len), half)
    }

    fn map(&self, len: u64) -> io::Result<Mapping> {
        self.inner.map(len)
    }
}
