//! The state behind a [`MemoryVfs`](super::MemoryVfs): names, files, locks and counters under one mutex.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::content::Content;
use super::namespace::{Entry, Namespace};
use crate::random::SplitMix64;
use crate::{CrashOutcome, LockOwner, Operation, TracedOperation};

/// Free space that an unlimited disk reports.
const UNLIMITED_BYTES: u64 = 1 << 50;

/// A disk and the processes' view of it. A clone shares the pages.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) names: Namespace,
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) locks: BTreeMap<PathBuf, LockOwner>,
    /// Handles and locks of an older generation belong to a process that is gone.
    pub(super) generation: u64,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) random: SplitMix64,
    pub(super) sync_count: u64,
    /// A part of a path: the next sync of such a file fails.
    pub(super) failing_sync: Option<String>,
    pub(super) trace: Option<Vec<TracedOperation>>,
    next_inode: u64,
}

/// One file, whatever its names.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) content: Arc<Content>,
    pub(super) open_handles: u64,
    pub(super) sync_count: u64,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            names: Namespace::default(),
            inodes: BTreeMap::new(),
            locks: BTreeMap::new(),
            generation: 0,
            capacity_bytes: None,
            random: SplitMix64::new(seed),
            sync_count: 0,
            failing_sync: None,
            trace: None,
            next_inode: 1,
        }
    }

    pub(super) fn record(&mut self, operation: Operation, path: &Path, offset: u64, len: u64) {
        if let Some(trace) = &mut self.trace {
            trace.push(TracedOperation { operation, path: path.to_path_buf(), offset, len });
        }
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(self.missing(path)),
        }
    }

    pub(super) fn directory(&self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Entry::Directory) => Ok(()),
            Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(self.missing(path)),
        }
    }

    /// What an operating system says of a name that is not there.
    fn missing(&self, path: &Path) -> io::Error {
        let below_file =
            path.ancestors().skip(1).any(|dir| matches!(self.names.get(dir), Some(Entry::File(_))));
        if below_file { io::ErrorKind::NotADirectory.into() } else { io::ErrorKind::NotFound.into() }
    }

    /// Creates an empty file whose name is visible and not durable.
    pub(super) fn create_file(&mut self, path: &Path) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        self.names.change(vec![(path.to_path_buf(), Some(Entry::File(inode)))]);
        inode
    }

    pub(super) fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::StaleNetworkFileHandle.into())
    }

    pub(super) fn content(&self, inode: u64) -> io::Result<&Content> {
        match self.inodes.get(&inode) {
            Some(inode) => Ok(&inode.content),
            None => Err(io::ErrorKind::StaleNetworkFileHandle.into()),
        }
    }

    /// The content for a change, with the randomness that picks which versions are remembered.
    pub(super) fn content_mut(&mut self, inode: u64) -> io::Result<(&mut Content, &mut SplitMix64)> {
        match self.inodes.get_mut(&inode) {
            Some(inode) => Ok((Arc::make_mut(&mut inode.content), &mut self.random)),
            None => Err(io::ErrorKind::StaleNetworkFileHandle.into()),
        }
    }

    /// Refuses to allocate for `offset..offset + len` of a file where the disk has too little room.
    pub(super) fn reserve(&self, inode: u64, offset: u64, len: u64) -> io::Result<()> {
        if self.capacity_bytes.is_some() {
            let needed = self.content(inode)?.bytes_to_allocate(offset, len)?;
            if needed > self.available_bytes() {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        Ok(())
    }

    pub(super) fn available_bytes(&self) -> u64 {
        let Some(capacity) = self.capacity_bytes else { return UNLIMITED_BYTES };
        let visible = self.names.visible_files();
        let used =
            self.inodes.iter().filter(|(number, inode)| inode.open_handles > 0 || visible.contains(number));
        capacity.saturating_sub(used.map(|(_, inode)| inode.content.allocated_bytes()).sum())
    }

    pub(super) fn sync_file(&mut self, inode: u64, path: &Path) -> io::Result<()> {
        let fails = self.failing_sync.as_deref().is_some_and(|part| path.to_string_lossy().contains(part));
        let content = self.content_mut(inode)?.0;
        if fails {
            content.give_up_dirty();
            self.failing_sync = None;
            return Err(io::Error::other("input/output error (simulated)"));
        }
        content.sync();
        self.inode(inode)?.sync_count += 1;
        self.sync_count += 1;
        Ok(())
    }

    /// Ends every process: handles go stale, locks are released, cached data stays.
    pub(super) fn end_processes(&mut self) {
        self.generation += 1;
        self.locks.clear();
        for inode in self.inodes.values_mut() {
            inode.open_handles = 0;
        }
        self.collect();
    }

    /// Ends every process and forgets what the disk does not hold.
    pub(super) fn crash(&mut self, seed: u64) -> CrashOutcome {
        let mut random = SplitMix64::new(seed);
        let mut outcome = CrashOutcome::default();
        (outcome.entries_kept, outcome.entries_lost) = self.names.crash(&mut random);
        self.end_processes();
        for inode in self.inodes.values_mut() {
            let losses = Arc::make_mut(&mut inode.content).crash(&mut random);
            outcome.pages_kept += losses.kept;
            outcome.pages_dropped += losses.dropped;
            outcome.pages_intermediate += losses.intermediate;
            outcome.pages_torn += losses.torn;
            outcome.lengths_changed += u64::from(losses.length_changed);
        }
        outcome
    }

    /// Frees files that nothing can lead to any more.
    pub(super) fn collect(&mut self) {
        let reachable = self.names.reachable();
        self.inodes.retain(|number, inode| inode.open_handles > 0 || reachable.contains(number));
    }
}
