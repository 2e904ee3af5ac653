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

/// The operating system's error number of an error that came out of this crate, where it has one.
///
/// [`io::Error::raw_os_error`] answers `None` for such an error, because it also carries a path.
pub fn os_error_code(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| os_error_code(&error.get_ref()?.downcast_ref::<PathError>()?.source))
}
