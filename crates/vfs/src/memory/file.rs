//! An open file of the simulated disk, and the snapshot that stands behind a map of it.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};

use super::{Disk, MemoryVfs};
use crate::file::MappedBytes;
use crate::path_error::at_path;
use crate::{File, Mapping, Operation};

/// Alignment of a map's first byte.
const MAP_ALIGNMENT: usize = 16;

/// A handle; stale once its process was ended by a crash.
#[derive(Debug)]
pub(super) struct MemoryFile {
    pub(super) vfs: MemoryVfs,
    pub(super) path: PathBuf,
    pub(super) inode: u64,
    pub(super) generation: u64,
    pub(super) writable: bool,
}

impl MemoryFile {
    fn with_disk<T>(&self, action: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.vfs.disk();
        let result = if disk.generation == self.generation {
            action(&mut disk)
        } else {
            Err(io::ErrorKind::StaleNetworkFileHandle.into())
        };
        result.map_err(|source| at_path(&self.path, source))
    }

    fn with_writable_disk<T>(&self, action: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        if !self.writable {
            return Err(at_path(&self.path, io::ErrorKind::PermissionDenied.into()));
        }
        self.with_disk(action)
    }
}

impl File for MemoryFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with_disk(|disk| {
            let read = disk.content(self.inode)?.read(offset, buf);
            disk.record(Operation::Read, &self.path, offset, read as u64);
            Ok(read)
        })
    }

    fn write_all_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        self.with_writable_disk(|disk| {
            let len = slices.iter().map(|slice| slice.len() as u64).sum();
            disk.reserve(self.inode, offset, len)?;
            let (content, random) = disk.content_mut(self.inode)?;
            content.write(offset, slices, random)?;
            disk.record(Operation::Write, &self.path, offset, len);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with_disk(|disk| {
            disk.sync_file(self.inode, &self.path)?;
            disk.record(Operation::Sync, &self.path, 0, 0);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with_disk(|disk| Ok(disk.content(self.inode)?.len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with_writable_disk(|disk| {
            let (content, random) = disk.content_mut(self.inode)?;
            content.set_len(len, random)?;
            disk.record(Operation::SetLen, &self.path, 0, len);
            Ok(())
        })
    }

    fn prepare_zeroed(&self, len: u64) -> io::Result<()> {
        self.with_writable_disk(|disk| {
            disk.reserve(self.inode, 0, len)?;
            disk.content_mut(self.inode)?.0.prepare_zeroed(len)?;
            disk.record(Operation::Prepare, &self.path, 0, len);
            Ok(())
        })
    }

    fn map(&self, len: u64) -> io::Result<Mapping> {
        self.with_disk(|disk| {
            let content = disk.content(self.inode)?;
            if len > content.len() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let snapshot = AlignedBytes::read(len as usize, |bytes| content.read(0, bytes));
            disk.record(Operation::Map, &self.path, 0, len);
            Ok(Mapping::new(Arc::new(snapshot)))
        })
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let mut disk: MutexGuard<'_, Disk> = self.vfs.disk_quietly();
        if disk.generation == self.generation
            && let Ok(inode) = disk.inode(self.inode)
        {
            inode.open_handles -= 1;
            if inode.open_handles == 0 {
                disk.collect();
            }
        }
    }
}

/// Bytes that start at a multiple of [`MAP_ALIGNMENT`].
#[derive(Debug)]
pub(crate) struct AlignedBytes {
    buffer: Box<[u8]>,
    start: usize,
    len: usize,
}

impl AlignedBytes {
    /// `len` bytes, filled by `fill`.
    pub(crate) fn read(len: usize, fill: impl FnOnce(&mut [u8]) -> usize) -> Self {
        let mut buffer = vec![0; len + MAP_ALIGNMENT].into_boxed_slice();
        let start = (MAP_ALIGNMENT - buffer.as_ptr().addr() % MAP_ALIGNMENT) % MAP_ALIGNMENT;
        let filled = fill(&mut buffer[start..start + len]);
        assert_eq!(filled, len, "the length was checked before");
        Self { buffer, start, len }
    }
}

impl MappedBytes for AlignedBytes {
    fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.len]
    }
}
