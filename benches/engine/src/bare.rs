//! The baseline of everything that is synced: writes into a prepared file, nothing around them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use tapebook_vfs::{OpenMode, RealVfs, Vfs};

use crate::AnyError;

/// A file that was filled with zeros and synced; writes follow one another and begin anew at its end.
pub struct BareFile {
    file: File,
    len: u64,
    offset: u64,
}

impl BareFile {
    /// Makes and prepares the file.
    pub fn prepared(path: &Path, len: u64) -> Result<Self, AnyError> {
        let vfs = RealVfs::new();
        vfs.open(path, OpenMode::CreateNew)?.prepare_zeroed(len)?;
        if let Some(dir) = path.parent() {
            vfs.sync_dir(dir)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file, len, offset: 0 })
    }

    /// One `pwrite` and one `fdatasync`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), AnyError> {
        if self.offset + bytes.len() as u64 > self.len {
            self.offset = 0;
        }
        self.file.write_all_at(bytes, self.offset)?;
        self.file.sync_data()?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
