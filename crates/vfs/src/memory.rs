//! A disk in memory that forgets, at a simulated power cut, what was not synced.
//!
//! The model: a write changes pages of 4096 bytes in a cache; [`File::sync_data`] makes all of a file's pages and
//! its length durable; [`Vfs::sync_dir`] makes the names in a directory durable. At [`MemoryVfs::crash`] every page
//! that was not synced independently holds what was durable, what was written last, or something in between; the
//! length is one that the file had since its last sync. Cutting a file happened or did not: what it removed never
//! shows in what was written after it. Changes of names survive as a subset in which nothing builds upon what is lost;
//! a rename across directories is durable once *both* were synced.
//!
//! It does not model permissions, symbolic links, the timing of a disk, or two processes at the same time.

mod calls;
mod content;
mod disk;
mod file;
mod lock;
mod namespace;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::disk::Disk;
pub(crate) use self::file::AlignedBytes;
use crate::path_error::at_path;
use crate::{Clock, ManualClock, TracedOperation};
#[cfg(doc)]
use crate::{File, Vfs};

/// What every call adds to the clock.
const CALL_DURATION: Duration = Duration::from_micros(1);
/// What the clock of a new disk shows: 2026-01-01T00:00:00Z.
const START_UNIX_NANOS: i64 = 1_767_225_600_000_000_000;

/// A simulated file system. A clone is the same disk; [`MemoryVfs::fork`] makes another.
///
/// ```
/// use std::io::IoSlice;
/// use std::path::Path;
/// use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};
///
/// let disk = MemoryVfs::new(1);
/// let file = disk.open(Path::new("/log"), OpenMode::CreateNew)?;
/// disk.sync_dir(Path::new("/"))?;
/// file.write_all_at(0, &[IoSlice::new(b"synced")])?;
/// file.sync_data()?;
/// file.write_all_at(6, &[IoSlice::new(b", not synced")])?;
/// for seed in 0..100 {
///     let after = disk.fork();
///     after.crash(seed);
///     assert!(after.file_bytes("/log")?.starts_with(b"synced"));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryVfs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: Mutex<Disk>,
    clock: ManualClock,
}

/// What a power cut did to a [`MemoryVfs`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CrashOutcome {
    /// Unsynced pages that hold what was written last.
    pub pages_kept: u64,
    /// Unsynced pages that hold what was durable before.
    pub pages_dropped: u64,
    /// Unsynced pages that hold an earlier write than the last.
    pub pages_intermediate: u64,
    /// Unsynced pages whose 512-byte sectors come from two versions.
    pub pages_torn: u64,
    /// Files that have another length than before.
    pub lengths_changed: u64,
    /// Unsynced changes of names that survived.
    pub entries_kept: u64,
    /// Unsynced changes of names that were undone.
    pub entries_lost: u64,
}

impl MemoryVfs {
    /// An empty disk. Equal seeds and equal calls give equal answers of [`Vfs::random_u64`] and equal crashes.
    pub fn new(seed: u64) -> Self {
        Self::with(Disk::new(seed), ManualClock::new(START_UNIX_NANOS))
    }

    fn with(disk: Disk, clock: ManualClock) -> Self {
        Self { shared: Arc::new(Shared { disk: Mutex::new(disk), clock }) }
    }

    /// A copy of the disk, cached data included, that goes its own way: without open files, without locks.
    ///
    /// The copy shares pages, so many crashes can be tried from one point.
    pub fn fork(&self) -> Self {
        let mut disk = self.disk_quietly().clone();
        disk.end_processes();
        Self::with(disk, ManualClock::new(self.shared.clock.unix_nanos()))
    }

    /// The power fails. Open files go stale, locks are released, and the disk goes on with what it kept.
    ///
    /// A thread of the dead process that still opens files would meddle with the new one; crash a
    /// [`fork`](Self::fork) where such threads may run.
    pub fn crash(&self, seed: u64) -> CrashOutcome {
        self.disk_quietly().crash(seed)
    }

    /// The process is killed: open files go stale and locks are released, but cached data stays, still unsynced.
    pub fn crash_process(&self) {
        self.disk_quietly().end_processes();
    }

    /// Limits the space that files may occupy; `None` is unlimited. Past it, writes fail with `StorageFull`.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.disk_quietly().capacity_bytes = capacity_bytes;
    }

    /// Lets the next sync of a file whose path contains `path_part` fail, once, the way Linux does it: the unsynced
    /// pages stay readable, count as clean, and no later sync stores them unless they are written again.
    pub fn fail_next_sync(&self, path_part: &str) {
        self.disk_quietly().failing_sync = Some(path_part.to_owned());
    }

    /// The bytes of a file as a process sees them.
    pub fn file_bytes(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let path = path.as_ref();
        let disk = self.disk_quietly();
        let read = || {
            let content = disk.content(disk.file(&normal(path))?)?;
            let mut bytes = vec![0; content.len() as usize];
            content.read(0, &mut bytes);
            Ok(bytes)
        };
        read().map_err(|source| at_path(path, source))
    }

    /// Changes a file behind the back of whoever wrote it, in the cache and on the disk. Its unsynced pages become
    /// durable with it. Maps that exist are not changed.
    pub fn mutate(&self, path: impl AsRef<Path>, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let path = path.as_ref();
        let mut bytes = self.file_bytes(path)?;
        change(&mut bytes);
        let mut disk = self.disk_quietly();
        let replaced =
            disk.file(&normal(path)).and_then(|inode| disk.content_mut(inode)?.0.replace_durably(&bytes));
        replaced.map_err(|source| at_path(path, source))
    }

    /// Inverts all bits of one byte, as [`mutate`](Self::mutate). `InvalidInput` past the end of the file.
    pub fn flip_byte(&self, path: impl AsRef<Path>, offset: u64) -> io::Result<()> {
        let mut found = false;
        self.mutate(path.as_ref(), |bytes| {
            if let Some(byte) = usize::try_from(offset).ok().and_then(|offset| bytes.get_mut(offset)) {
                *byte = !*byte;
                found = true;
            }
        })?;
        if found { Ok(()) } else { Err(at_path(path.as_ref(), io::ErrorKind::InvalidInput.into())) }
    }

    /// Successful calls of [`File::sync_data`] since the disk was made; preparing a file does not count.
    pub fn sync_count(&self) -> u64 {
        self.disk_quietly().sync_count
    }

    /// Successful calls of [`File::sync_data`] on one file.
    pub fn sync_count_of(&self, path: impl AsRef<Path>) -> io::Result<u64> {
        let path = path.as_ref();
        let mut disk = self.disk_quietly();
        let count = disk.file(&normal(path)).and_then(|inode| Ok(disk.inode(inode)?.sync_count));
        count.map_err(|source| at_path(path, source))
    }

    /// Starts a fresh trace of successful calls, or ends it. A trace grows for as long as it is on.
    pub fn set_trace(&self, on: bool) {
        self.disk_quietly().trace = on.then(Vec::new);
    }

    /// The trace so far; empty where none is on.
    pub fn operations(&self) -> Vec<TracedOperation> {
        self.disk_quietly().trace.clone().unwrap_or_default()
    }

    /// The clock, for a test that moves it.
    pub fn manual_clock(&self) -> &ManualClock {
        &self.shared.clock
    }

    /// The state, for a call that takes time.
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.shared.clock.advance(CALL_DURATION);
        self.disk_quietly()
    }

    fn disk_quietly(&self) -> MutexGuard<'_, Disk> {
        self.shared.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path from the root, without `.` and `..`: the disk knows no working directory and no links.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    normal
}
