//! Where backups lie: named objects that are written whole and never changed.

use std::fmt::Debug;
use std::io::{self, IoSlice, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::{File, OpenMode, Vfs};

const COPY_BYTES: usize = 1 << 20;
const TEMPORARY_SUFFIX: &str = ".tmp";

/// A store of objects. Names have `/` between their parts, as paths do.
///
/// It asks for no more than an object store has: an object appears whole or not at all, and is durable when
/// [`BackupTarget::put`] returns.
pub trait BackupTarget: Debug + Send + Sync {
    /// Writes an object out of all that `content` has, which must be `bytes` bytes; replaces one of the same name.
    fn put(&self, name: &str, content: &mut dyn Read, bytes: u64) -> io::Result<()>;

    /// Writes a small object. `AlreadyExists` where there is one of that name, which then is as it was.
    fn put_new(&self, name: &str, content: &[u8]) -> io::Result<()>;

    /// Reads an object from its beginning. `NotFound` where there is none.
    fn get(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;

    /// All objects in a folder, sorted by name, without those of its folders; none where there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<TargetObject>>;

    /// What a person calls the place of an object, for messages.
    fn place(&self, name: &str) -> String;
}

/// What a listing says of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetObject {
    /// Its name, with its folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// Backups in a directory.
#[derive(Clone, Debug)]
pub struct DirectoryTarget {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
}

impl DirectoryTarget {
    /// Backups below `root`, which is made with the first one.
    pub fn new(vfs: Arc<dyn Vfs>, root: impl Into<PathBuf>) -> Self {
        Self { vfs, root: root.into() }
    }

    /// Writes what will be renamed, durably. Its name is nobody else's, even where two back up to the same directory.
    fn write(&self, path: &Path, content: &mut dyn Read, bytes: u64) -> io::Result<PathBuf> {
        let folder = path.parent().unwrap_or(&self.root);
        self.vfs.create_dir_all(folder)?;
        let mut unfinished = path.to_owned().into_os_string();
        unfinished.push(format!(".{:016x}{TEMPORARY_SUFFIX}", self.vfs.random_u64()));
        let unfinished = PathBuf::from(unfinished);
        let written = self.fill(&unfinished, content, bytes);
        if written.is_err() {
            self.abandon(&unfinished);
        }
        written.map(|()| unfinished)
    }

    fn fill(&self, unfinished: &Path, content: &mut dyn Read, bytes: u64) -> io::Result<()> {
        let file = self.vfs.open(unfinished, OpenMode::CreateNew)?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut offset = 0;
        loop {
            let read = content.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            file.write_all_at(offset, &[IoSlice::new(&buffer[..read])])?;
            offset += read as u64;
        }
        if offset != bytes {
            let differs = format!("{offset} bytes where {bytes} were announced");
            return Err(io::Error::new(io::ErrorKind::InvalidData, differs));
        }
        file.sync_data()
    }

    /// Gives what was written its name, which must be free.
    fn name_new(&self, unfinished: &Path, path: &Path) -> io::Result<()> {
        match self.vfs.hard_link(unfinished, path) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                if self.vfs.exists(path)? {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                self.vfs.rename(unfinished, path)
            }
            linked => {
                self.abandon(unfinished);
                linked
            }
        }
    }

    /// What stays is worthless, and its name says so.
    fn abandon(&self, unfinished: &Path) {
        let _ = self.vfs.remove_file(unfinished);
    }
}

impl BackupTarget for DirectoryTarget {
    fn put(&self, name: &str, content: &mut dyn Read, bytes: u64) -> io::Result<()> {
        let path = self.root.join(name);
        let unfinished = self.write(&path, content, bytes)?;
        self.vfs.rename(&unfinished, &path)?;
        self.vfs.sync_dir(path.parent().unwrap_or(&self.root))
    }

    fn put_new(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.root.join(name);
        let unfinished = self.write(&path, &mut &*content, content.len() as u64)?;
        self.name_new(&unfinished, &path)?;
        self.vfs.sync_dir(path.parent().unwrap_or(&self.root))
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let file = self.vfs.open(&self.root.join(name), OpenMode::Read)?;
        Ok(Box::new(FileReader::new(file)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<TargetObject>> {
        let path = self.root.join(folder);
        if !self.vfs.exists(&path)? {
            return Ok(Vec::new());
        }
        let entries = self.vfs.read_dir(&path)?;
        let objects =
            entries.into_iter().filter(|entry| !entry.is_dir && !entry.name.ends_with(TEMPORARY_SUFFIX));
        let described =
            objects.map(|entry| TargetObject { name: format!("{folder}/{}", entry.name), bytes: entry.len });
        Ok(described.collect())
    }

    fn place(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }
}

/// Reads an open file from its beginning.
#[derive(Debug)]
pub(super) struct FileReader {
    file: Arc<dyn File>,
    offset: u64,
}

impl FileReader {
    pub(super) fn new(file: Arc<dyn File>) -> Self {
        Self { file, offset: 0 }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.offset, buffer)?;
        self.offset += read as u64;
        Ok(read)
    }
}
