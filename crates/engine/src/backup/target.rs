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
    /// Writes an object out of all that `content` has; replaces one of the same name.
    fn put(&self, name: &str, content: &mut dyn Read) -> io::Result<()>;

    /// Reads an object from its beginning. `NotFound` where there is none.
    fn get(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;

    /// The names of all objects in a folder, sorted; none where there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// What a person calls the place of an object, for messages.
    fn place(&self, name: &str) -> String;
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

    fn write(&self, path: &Path, content: &mut dyn Read) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.vfs.create_dir_all(folder)?;
        let mut unfinished = path.to_owned().into_os_string();
        unfinished.push(TEMPORARY_SUFFIX);
        let unfinished = PathBuf::from(unfinished);
        match self.vfs.remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.vfs.open(&unfinished, OpenMode::CreateNew)?;
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
        file.sync_data()?;
        self.vfs.rename(&unfinished, path)?;
        self.vfs.sync_dir(folder)
    }
}

impl BackupTarget for DirectoryTarget {
    fn put(&self, name: &str, content: &mut dyn Read) -> io::Result<()> {
        self.write(&self.root.join(name), content)
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let file = self.vfs.open(&self.root.join(name), OpenMode::Read)?;
        Ok(Box::new(FileReader::new(file)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let path = self.root.join(folder);
        if !self.vfs.exists(&path)? {
            return Ok(Vec::new());
        }
        let entries = self.vfs.read_dir(&path)?;
        let objects =
            entries.into_iter().filter(|entry| !entry.is_dir && !entry.name.ends_with(TEMPORARY_SUFFIX));
        Ok(objects.map(|entry| format!("{folder}/{}", entry.name)).collect())
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
