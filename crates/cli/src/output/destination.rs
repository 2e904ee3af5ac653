//! Where a result goes: standard output, or a file that has its name only when it is complete.

#![allow(
    clippy::disallowed_methods,
    reason = "writes the user's own file, which is no part of the database's disk"
)]

use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Stdout, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::CliError;

const BUFFER_BYTES: usize = 64 * 1024;

/// Takes the bytes of one result.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A new file, under another name until [`Destination::commit`].
    File { file: BufWriter<NamedTempFile>, path: PathBuf },
    /// Memory, for results that are shown as part of something else.
    Memory(Vec<u8>),
    /// Something that exists and is no plain file, such as a pipe; written as it is.
    Special { file: BufWriter<fs::File>, path: PathBuf },
}

impl Destination {
    pub(crate) fn stdout() -> Self {
        Self::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))
    }

    pub(crate) fn file(path: &Path) -> Result<Self, CliError> {
        let fail = |error: io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::NotFound => "; make its directory first, or choose another --output",
                _ => "; choose another --output",
            };
            CliError::failed(format!("{}: cannot write: {error}{advice}", path.display()))
        };
        match fs::metadata(path) {
            Ok(existing) if existing.is_dir() => return Err(fail(io::ErrorKind::IsADirectory.into())),
            Ok(existing) if !existing.is_file() => {
                let file = fs::OpenOptions::new().write(true).open(path).map_err(fail)?;
                let file = BufWriter::with_capacity(BUFFER_BYTES, file);
                return Ok(Self::Special { file, path: path.to_owned() });
            }
            _ => {}
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The process's umask takes from these permissions, as from those of any file.
        let temporary = tempfile::Builder::new()
            .prefix(".tapebook-")
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(dir)
            .map_err(|error| fail(error.kind().into()))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, temporary);
        Ok(Self::File { file, path: path.to_owned() })
    }

    /// What to call it in a message.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Stdout(_) => "standard output".to_owned(),
            Self::Memory(_) => "memory".to_owned(),
            Self::File { path, .. } | Self::Special { path, .. } => path.display().to_string(),
        }
    }

    /// Writes out what is buffered; gives a new file its name.
    pub(crate) fn commit(self) -> Result<(), CliError> {
        let place = self.place();
        let fail = |error: io::Error| CliError::writing(&place, &error);
        match self {
            Self::Stdout(mut out) => out.flush().map_err(fail),
            Self::Memory(_) => Ok(()),
            Self::Special { mut file, .. } => file.flush().map_err(fail),
            Self::File { file, path } => {
                let temporary = file.into_inner().map_err(|error| fail(error.into_error()))?;
                temporary.as_file().sync_all().map_err(fail)?;
                temporary.persist(&path).map_err(|error| fail(error.error))?;
                Ok(())
            }
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Memory(buffer) => buffer.write(bytes),
            Self::File { file, .. } => file.write(bytes),
            Self::Special { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Memory(_) => Ok(()),
            Self::File { file, .. } => file.flush(),
            Self::Special { file, .. } => file.flush(),
        }
    }
}
