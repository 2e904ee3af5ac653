//! The file of the audit log: lines at its end, old lines in numbered files beside it.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::{File, OpenMode, Vfs};

/// Where the audit log lies and how long it may grow.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// The file.
    pub path: PathBuf,
    /// A file with this many bytes gets a number, `FILE.1` being the newest, and another one is begun. Default 16 MiB.
    pub file_bytes_max: u64,
    /// Numbered files that are kept; the oldest goes. Default 8.
    pub files_kept: u32,
}

impl AuditOptions {
    /// The defaults for a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file_bytes_max: 16 << 20, files_kept: 8 }
    }
}

/// Appends lines, and begins another file where one is full.
#[derive(Debug)]
pub(super) struct AuditFile {
    vfs: Arc<dyn Vfs>,
    options: AuditOptions,
    file: Arc<dyn File>,
    len: u64,
}

impl AuditFile {
    pub(super) fn open(vfs: Arc<dyn Vfs>, options: AuditOptions) -> io::Result<Self> {
        let file = vfs.open(&options.path, OpenMode::CreateOrOpen)?;
        vfs.sync_dir(directory(&options.path))?;
        let len = file.len()?;
        let mut opened = Self { vfs, options, file, len };
        opened.end_torn_line()?;
        Ok(opened)
    }

    /// Appends one line, which must not contain a line break; `durable` waits for the disk.
    pub(super) fn append(&mut self, line: &str, durable: bool) -> io::Result<()> {
        let bytes = line.len() as u64 + 1;
        if self.len > 0 && self.len + bytes > self.options.file_bytes_max {
            self.rotate()?;
        }
        self.file.write_all_at(self.len, &[IoSlice::new(line.as_bytes()), IoSlice::new(b"\n")])?;
        self.len += bytes;
        if durable { self.file.sync_data() } else { Ok(()) }
    }

    /// What a crash left of a line stays, on a line of its own.
    fn end_torn_line(&mut self) -> io::Result<()> {
        let mut last = [b'\n'];
        if self.len > 0 {
            self.file.read_exact_at(self.len - 1, &mut last)?;
        }
        if last != [b'\n'] {
            self.file.write_all_at(self.len, &[IoSlice::new(b"\n")])?;
            self.len += 1;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let path = &self.options.path;
        for number in (0..self.options.files_kept).rev() {
            // An attempt that failed half-way leaves gaps.
            let from = numbered(path, number);
            if self.vfs.exists(&from)? {
                self.vfs.rename(&from, &numbered(path, number + 1))?;
            }
        }
        self.file = self.vfs.open(path, OpenMode::CreateOrOpen)?;
        self.len = self.file.len()?;
        self.vfs.sync_dir(directory(path))
    }
}

/// The name of the file with a number; 0 is the one that is written.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use tapebook_vfs::MemoryVfs;

    use super::*;

    fn text(vfs: &MemoryVfs, path: &str) -> String {
        String::from_utf8(vfs.read_file(Path::new(path), 1 << 20).unwrap()).unwrap()
    }

    #[test]
    fn full_files_get_numbers_and_the_oldest_goes() {
        let vfs = MemoryVfs::new(1);
        let options = AuditOptions { file_bytes_max: 8, files_kept: 2, ..AuditOptions::new("/audit") };
        let mut file = AuditFile::open(Arc::new(vfs.clone()), options).unwrap();
        for line in ["one", "two", "three", "four", "five"] {
            file.append(line, true).unwrap();
        }
        assert_eq!(text(&vfs, "/audit"), "five\n");
        assert_eq!(text(&vfs, "/audit.1"), "four\n");
        assert_eq!(text(&vfs, "/audit.2"), "three\n");
        assert!(!vfs.exists(Path::new("/audit.3")).unwrap());
    }

    #[test]
    fn it_goes_on_where_it_ended_even_in_a_torn_line() {
        let vfs = MemoryVfs::new(1);
        let open = || AuditFile::open(Arc::new(vfs.clone()), AuditOptions::new("/audit")).unwrap();
        open().append("one", true).unwrap();
        let file = vfs.open(Path::new("/audit"), OpenMode::ReadWrite).unwrap();
        file.write_all_at(4, &[IoSlice::new(b"to")]).unwrap();
        open().append("two", true).unwrap();
        assert_eq!(text(&vfs, "/audit"), "one\nto\ntwo\n");
    }
}
