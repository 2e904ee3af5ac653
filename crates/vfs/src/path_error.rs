//! I/O errors that say which file they are about, and still give the operating system's number.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::io;
use std::path::{Path, PathBuf};

/// An I/O error with its path.
#[derive(Debug)]
struct PathError {
    path: PathBuf,
    source: io::Error,
}

impl Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The same error, of the same kind, naming its file.
pub(crate) fn at_path(path: &Path, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), PathError { path: path.to_path_buf(), source })
}

/// What an error of this crate says, for whoever has named `path` already: without that path.
///
/// An error may be passed on as it is and then names its file itself. Where it becomes part of a larger one that names
/// the file too, and says what was tried, this is the rest.
///
/// ```
/// use tapebook_vfs::{MemoryVfs, OpenMode, Vfs, without_path};
///
/// let path = "/missing".as_ref();
/// let error = MemoryVfs::new(1).open(path, OpenMode::Read).unwrap_err();
/// assert_eq!(error.to_string(), format!("/missing: {}", without_path(&error, path)));
/// ```
pub fn without_path<'a>(error: &'a io::Error, path: &'a Path) -> impl Display + 'a {
    WithoutPath { error, path }
}

struct WithoutPath<'a> {
    error: &'a io::Error,
    path: &'a Path,
}

impl Display for WithoutPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.error;
        // One over two files, as renaming is, has two paths.
        while let Some(PathError { path, source }) = rest.get_ref().and_then(|inner| inner.downcast_ref()) {
            if path != self.path {
                write!(f, "{}: ", path.display())?;
            }
            rest = source;
        }
        write!(f, "{rest}")
    }
}

/// The operating system's error number of an error that came out of this crate, where it has one.
///
/// [`io::Error::raw_os_error`] answers `None` for such an error, because it also carries a path.
pub fn os_error_code(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| os_error_code(&error.get_ref()?.downcast_ref::<PathError>()?.source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_was_named_is_not_named_again() {
        let (from, to) = (Path::new("/a"), Path::new("/b"));
        let error = at_path(from, at_path(to, io::ErrorKind::NotFound.into()));
        let reason = io::Error::from(io::ErrorKind::NotFound).to_string();
        assert_eq!(error.to_string(), format!("/a: /b: {reason}"));
        assert_eq!(without_path(&error, from).to_string(), format!("/b: {reason}"));
        assert_eq!(without_path(&error, to).to_string(), format!("/a: {reason}"));
        assert_eq!(without_path(&error, Path::new("/c")).to_string(), format!("/a: /b: {reason}"));
        let plain = io::Error::other("no reason");
        assert_eq!(without_path(&plain, from).to_string(), "no reason");
    }
}
