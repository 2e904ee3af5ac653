//! The directory lock of the simulated disk.

use std::path::PathBuf;

use super::MemoryVfs;
use crate::DirLock;

/// Released when dropped, unless its process was ended before.
#[derive(Debug)]
pub(super) struct MemoryLock {
    pub(super) vfs: MemoryVfs,
    pub(super) dir: PathBuf,
    pub(super) generation: u64,
}

impl DirLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut disk = self.vfs.disk_quietly();
        if disk.generation == self.generation {
            disk.locks.remove(&self.dir);
        }
    }
}
