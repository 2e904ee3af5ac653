//! A disk in memory that forgets, at a simulated power cut, what was not synced.
//!
//! The model: a write changes pages of 4096 bytes in a cache; [`File::sync_data`] makes all of a file's pages and
//! its length durable; [`Vfs::sync_dir`] makes the names in a directory durable. At [`MemoryVfs::crash`] every page
//! that was not synced independently holds what was durable, what was written last, or something in between; the
//! length is one that the file had since its last sync; changes of names survive as a subset in which nothing builds
//! upon what is lost. A rename across directories is durable once *both* were synced.
//!
//! It does not model permissions, symbolic links, the timing of a disk, or two processes at the same time.

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
use self::file::MemoryFile;
use self::lock::MemoryLock;
use self::namespace::{Entry, parent};
use crate::lock::LOCK_FILE;
use crate::path_error::at_path;
use crate::{
    Clock, DirEntry, DirLock, File, LockError, LockOwner, ManualClock, OpenMode, Operation, TracedOperation, Vfs,
};

/// What every call adds to the clock.
const CALL_DURATION: Duration = Duration::from_micros(1);
/// What the clock of a new disk shows: 2026-01-01T00:00:00Z.
const START_UNIX_NANOS: i64 = 1_767_225_600_000_000_000;

/// A simulated file system. A clone is the same disk; [`MemoryVfs::fork`] makes another.
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
        let replaced = disk.file(&normal(path)).and_then(|inode| disk.content_mut(inode)?.0.replace_durably(&bytes));
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

impl Vfs for MemoryVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let name = normal(path);
        let mut disk = self.disk();
        let mut open = || {
            let inode = match (disk.file(&name), mode) {
                (Ok(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
                (Ok(inode), _) => inode,
                (Err(error), OpenMode::CreateNew | OpenMode::CreateOrOpen)
                    if error.kind() == io::ErrorKind::NotFound =>
                {
                    disk.directory(&parent(&name))?;
                    disk.create_file(&name)
                }
                (Err(error), OpenMode::CreateNew) if error.kind() == io::ErrorKind::IsADirectory => {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                (Err(error), _) => return Err(error),
            };
            disk.inode(inode)?.open_handles += 1;
            disk.record(Operation::Open, path, 0, 0);
            Ok(inode)
        };
        let inode = open().map_err(|source| at_path(path, source))?;
        let (generation, writable) = (disk.generation, mode != OpenMode::Read);
        drop(disk);
        Ok(Arc::new(MemoryFile { vfs: self.clone(), path: path.to_path_buf(), inode, generation, writable }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let name = normal(path);
        let mut disk = self.disk();
        let mut ancestors: Vec<&Path> = name.ancestors().collect();
        ancestors.reverse();
        for dir in ancestors {
            match disk.names.get(dir) {
                Some(Entry::Directory) => {}
                Some(Entry::File(_)) => return Err(at_path(path, io::ErrorKind::AlreadyExists.into())),
                None => disk.names.add_directory(dir),
            }
        }
        disk.record(Operation::CreateDir, path, 0, 0);
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let name = normal(path);
        let mut disk = self.disk();
        disk.directory(&name).map_err(|source| at_path(path, source))?;
        let mut entries = Vec::new();
        for (child, entry) in disk.names.children(&name) {
            let name = child.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let len = match entry {
                Entry::File(inode) => disk.content(inode)?.len(),
                Entry::Directory => 0,
            };
            entries.push(DirEntry { name, is_dir: entry == Entry::Directory, len });
        }
        entries.sort();
        disk.record(Operation::ReadDir, path, 0, 0);
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (old, new) = (normal(from), normal(to));
        let mut disk = self.disk();
        let inode = disk.file(&old).map_err(|source| at_path(from, source))?;
        let target = disk.directory(&parent(&new)).and_then(|()| match disk.names.get(&new) {
            Some(Entry::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            other => Ok(other),
        });
        let target = target.map_err(|source| at_path(to, source))?;
        // Two names of one file: POSIX leaves both.
        if target != Some(Entry::File(inode)) {
            disk.names.change(vec![(old, None), (new, Some(Entry::File(inode)))]);
            disk.collect();
        }
        disk.record(Operation::Rename, to, 0, 0);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let name = normal(path);
        let mut disk = self.disk();
        disk.file(&name).map_err(|source| at_path(path, source))?;
        disk.names.change(vec![(name, None)]);
        disk.record(Operation::Remove, path, 0, 0);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let new = normal(to);
        let mut disk = self.disk();
        let inode = disk.file(&normal(from)).map_err(|source| at_path(from, source))?;
        let free = disk.directory(&parent(&new)).and_then(|()| match disk.names.get(&new) {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => Ok(()),
        });
        free.map_err(|source| at_path(to, source))?;
        disk.names.change(vec![(new, Some(Entry::File(inode)))]);
        disk.record(Operation::HardLink, to, 0, 0);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let name = normal(path);
        let mut disk = self.disk();
        disk.directory(&name).map_err(|source| at_path(path, source))?;
        disk.names.sync(&name);
        disk.collect();
        disk.record(Operation::SyncDir, path, 0, 0);
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.disk().names.get(&normal(path)).is_some())
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let disk = self.disk();
        match disk.names.get(&normal(path)) {
            Some(_) => Ok(disk.available_bytes()),
            None => Err(at_path(path, io::ErrorKind::NotFound.into())),
        }
    }

    fn lock_dir(&self, path: &Path, command: &str) -> Result<Box<dyn DirLock>, LockError> {
        let name = normal(path);
        let owner = LockOwner::this_process(command);
        let lock = {
            let mut disk = self.disk();
            if let Some(owner) = disk.locks.get(&name) {
                return Err(LockError::InUse { path: path.to_path_buf(), owner: owner.clone() });
            }
            disk.locks.insert(name.clone(), owner.clone());
            MemoryLock { vfs: self.clone(), dir: name, generation: disk.generation }
        };
        let path = path.join(LOCK_FILE);
        let written = self.open(&path, OpenMode::CreateOrOpen).and_then(|file| {
            file.set_len(0)?;
            file.write_all_at(0, &[io::IoSlice::new(owner.to_line().as_bytes())])
        });
        match written {
            Ok(()) => Ok(Box::new(lock)),
            Err(source) => Err(LockError::Io { path, source }),
        }
    }

    fn clock(&self) -> &dyn Clock {
        &self.shared.clock
    }

    fn random_u64(&self) -> u64 {
        self.disk_quietly().random.next_u64()
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
