//! A data directory that is being built out of another database's files: a checkpoint, later a restore.
//!
//! Its `IDENTITY` bears another name until everything else is durable, and one rename makes it a database. It is built
//! in its place and not under another name, because the place may be a mount point, which cannot be renamed onto.

use std::io::{self, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use tapebook_lsm::manifest::layout::{
    CURRENT_NAME, HISTORY_FOLDER, IDENTITY_NAME, STATE_FOLDER, TABLES_FOLDER, TEMPORARY_SUFFIX,
    UNFINISHED_NAME, manifest_number,
};
use tapebook_lsm::manifest::{Identity, StorageError};
use tapebook_vfs::{DirLock, File, LockError, OpenMode, Vfs, without_path};

use crate::Layout;

const LOCK_NAME: &str = "LOCK";
const WAL_FOLDER: &str = "wal";
const COPY_BYTES: usize = 1 << 20;

/// Why a data directory cannot be built there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Something is there already. Nothing of it was touched.
    #[error("{}: is not empty: it has {found:?}; choose a directory that is missing or empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// It lies in a data directory, whose files are its database's alone.
    #[error("{}: lies inside the data directory {}; choose a place outside", path.display(), database.display())]
    InsideDatabase {
        /// The directory that was asked for.
        path: PathBuf,
        /// The data directory around it.
        database: PathBuf,
    },
    /// Somebody else is building there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Its identity could not be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A file or directory could not be made, linked, copied or removed.
    #[error("{}: cannot {operation}: {}", path.display(), without_path(source, path))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

/// The directory while it is built.
///
/// *Invariant*: until [`UnfinishedDir::finish`] there is no `IDENTITY` in it, so nothing opens it as a database. What an
/// interrupted attempt leaves is replaced by the next one.
#[derive(Debug)]
pub(crate) struct UnfinishedDir {
    vfs: Arc<dyn Vfs>,
    layout: Layout,
    finished: bool,
    _lock: Box<dyn DirLock>,
}

impl UnfinishedDir {
    /// Begins to build in `dir`, which is missing, empty, or left over from an attempt that was interrupted.
    pub(crate) fn begin(
        vfs: &Arc<dyn Vfs>,
        dir: &Path,
        identity: &Identity,
        command: &str,
    ) -> Result<Self, BuildError> {
        let absolute =
            std::path::absolute(dir).map_err(|source| io_error("resolve the path", dir, source))?;
        refuse_inside_database(&**vfs, dir, &absolute)?;
        vfs.create_dir_all(dir).map_err(|source| io_error("create the directory", dir, source))?;
        // Before the lock, which leaves a file behind, and again under it.
        contents(&**vfs, dir)?;
        let lock = vfs.lock_dir(dir, command)?;
        let leftover = contents(&**vfs, dir)?;
        let unfinished =
            Self { vfs: Arc::clone(vfs), layout: Layout::new(dir), finished: false, _lock: lock };
        identity.write_unfinished(&**vfs, dir)?;
        if leftover {
            unfinished.clear()?;
        }
        for folder in [unfinished.layout.tables(), unfinished.layout.states()] {
            let created = vfs.create_dir_all(&folder);
            created.map_err(|source| io_error("create the directory", &folder, source))?;
        }
        Ok(unfinished)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Gives a file of the same file system, which nobody changes any more, a name in here. False where the file system
    /// cannot, and the file has to be copied.
    pub(crate) fn link(&self, from: &Path, name: &str) -> Result<bool, BuildError> {
        let to = self.layout.root().join(name);
        self.make_parent(&to)?;
        match self.vfs.hard_link(from, &to) {
            Ok(()) => Ok(true),
            Err(error) if must_copy(error.kind()) => Ok(false),
            Err(source) => Err(io_error("link", &to, source)),
        }
    }

    /// Makes a file, for whoever fills it.
    pub(crate) fn create(&self, name: &str) -> Result<Arc<dyn File>, BuildError> {
        let path = self.layout.root().join(name);
        self.make_parent(&path)?;
        self.vfs.open(&path, OpenMode::CreateNew).map_err(|source| io_error("create", &path, source))
    }

    /// Copies a file, durably but for its name. Returns its length.
    pub(crate) fn copy(&self, from: &dyn File, name: &str) -> Result<u64, BuildError> {
        let to = self.layout.root().join(name);
        self.make_parent(&to)?;
        copy_file(&*self.vfs, from, &to).map_err(|source| io_error("copy to", &to, source))
    }

    /// Makes every name durable and then makes the directory a database.
    pub(crate) fn finish(mut self) -> Result<(), BuildError> {
        self.sync_folders(self.layout.root())?;
        // Where this fails its outcome is unknown: the directory may be a database now, and nothing of it is removed.
        self.finished = true;
        Ok(Identity::publish(&*self.vfs, self.layout.root())?)
    }

    fn sync_folders(&self, dir: &Path) -> Result<(), BuildError> {
        let entries = self.vfs.read_dir(dir).map_err(|source| io_error("list", dir, source))?;
        for entry in entries.iter().filter(|entry| entry.is_dir) {
            self.sync_folders(&dir.join(&entry.name))?;
        }
        self.vfs.sync_dir(dir).map_err(|source| io_error("sync the directory", dir, source))
    }

    fn make_parent(&self, path: &Path) -> Result<(), BuildError> {
        let Some(parent) = path.parent() else { return Ok(()) };
        self.vfs.create_dir_all(parent).map_err(|source| io_error("create the directory", parent, source))
    }

    /// Removes every file but the one that says that this is unfinished, and the lock.
    fn clear(&self) -> Result<(), BuildError> {
        self.clear_dir(self.layout.root(), true)
    }

    fn clear_dir(&self, dir: &Path, root: bool) -> Result<(), BuildError> {
        let entries = self.vfs.read_dir(dir).map_err(|source| io_error("list", dir, source))?;
        for entry in entries {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                self.clear_dir(&path, false)?;
            } else if !root || (entry.name != UNFINISHED_NAME && entry.name != LOCK_NAME) {
                self.vfs.remove_file(&path).map_err(|source| io_error("remove", &path, source))?;
            }
        }
        Ok(())
    }
}

impl Drop for UnfinishedDir {
    fn drop(&mut self) {
        if !self.finished {
            // Gives the space back; where this fails, the next attempt does.
            let _ = self.clear();
        }
    }
}

/// Refuses a place below a data directory, whatever links lead there: every directory on the way is looked at.
fn refuse_inside_database(vfs: &dyn Vfs, dir: &Path, absolute: &Path) -> Result<(), BuildError> {
    let mut path = PathBuf::new();
    let mut around: Vec<PathBuf> = Vec::new();
    for component in absolute.components() {
        path.push(component);
        match component {
            // Leads out of the directory before.
            Component::ParentDir => drop(around.pop()),
            _ => around.push(path.clone()),
        }
    }
    // The directory itself is judged by what it has.
    around.pop();
    for database in around {
        let inside = vfs.exists(&database.join(IDENTITY_NAME));
        if inside.map_err(|source| io_error("look for a database", &database, source))? {
            return Err(BuildError::InsideDatabase { path: dir.to_owned(), database });
        }
    }
    Ok(())
}

/// Refuses a directory with anything in it but the remains of an attempt; true where those are there.
fn contents(vfs: &dyn Vfs, dir: &Path) -> Result<bool, BuildError> {
    let entries = vfs.read_dir(dir).map_err(|source| io_error("list", dir, source))?;
    let unfinished = entries.iter().any(|entry| entry.name == UNFINISHED_NAME);
    let ours = |name: &str| {
        let begun = [LOCK_NAME, UNFINISHED_NAME].contains(&name)
            || name.strip_suffix(TEMPORARY_SUFFIX) == Some(UNFINISHED_NAME);
        let plain = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name);
        let part = plain == CURRENT_NAME
            || manifest_number(plain).is_some()
            || [STATE_FOLDER, TABLES_FOLDER, HISTORY_FOLDER, WAL_FOLDER].contains(&name);
        begun || (unfinished && part)
    };
    match entries.into_iter().find(|entry| !ours(&entry.name)) {
        Some(other) => Err(BuildError::NotEmpty { path: dir.to_owned(), found: other.name }),
        None => Ok(unfinished),
    }
}

/// Another file system, one without links, or a file with as many as it can have.
fn must_copy(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported | io::ErrorKind::TooManyLinks)
}

/// Gives a file another name, or copies it where the file system cannot.
pub(crate) fn link_or_copy(vfs: &dyn Vfs, from: &Path, to: &Path) -> io::Result<()> {
    match vfs.hard_link(from, to) {
        Err(error) if must_copy(error.kind()) => {
            copy_file(vfs, &*vfs.open(from, OpenMode::Read)?, to).map(drop)
        }
        linked => linked,
    }
}

fn copy_file(vfs: &dyn Vfs, from: &dyn File, to: &Path) -> io::Result<u64> {
    let target = vfs.open(to, OpenMode::CreateNew)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    loop {
        let read = from.read_at(offset, &mut buffer)?;
        if read == 0 {
            break;
        }
        target.write_all_at(offset, &[IoSlice::new(&buffer[..read])])?;
        offset += read as u64;
    }
    target.sync_data()?;
    Ok(offset)
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> BuildError {
    BuildError::Io { operation, path: path.to_owned(), source }
}
