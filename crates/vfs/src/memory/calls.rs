//! The calls of [`Vfs`], carried out on the simulated disk.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::file::MemoryFile;
use super::lock::MemoryLock;
use super::namespace::{Entry, parent};
use super::{MemoryVfs, normal};
use crate::lock::LOCK_FILE;
use crate::path_error::at_path;
use crate::{Clock, DirEntry, DirLock, File, LockError, LockOwner, OpenMode, Operation, Vfs};

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
        disk.directory(&parent(&old)).map_err(|source| at_path(from, source))?;
        disk.directory(&parent(&new)).map_err(|source| at_path(to, source))?;
        let inode = disk.file(&old).map_err(|source| at_path(from, source))?;
        let target = disk.names.get(&new);
        if target == Some(Entry::Directory) {
            let holds_source = old.starts_with(&new);
            let kind =
                if holds_source { io::ErrorKind::DirectoryNotEmpty } else { io::ErrorKind::IsADirectory };
            return Err(at_path(to, kind.into()));
        }
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
            file.write_all_at(0, &[IoSlice::new(owner.to_line().as_bytes())])
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
