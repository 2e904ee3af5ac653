//! How a command ends without success: exit status, and one line for people.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use crate::text::one_line;

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The arguments do not fit together.
    Usage(String),
    /// The operation failed.
    Failed(String),
    /// Nobody reads the output any more.
    BrokenPipe,
}

impl CliError {
    pub(crate) fn failed(message: impl Display) -> Self {
        Self::Failed(message.to_string())
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// A failed write; `place` says where to.
    pub(crate) fn writing(place: impl Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            io::ErrorKind::StorageFull => {
                Self::Failed(format!("{place}: {error}; make room or write elsewhere with --output"))
            }
            _ => Self::Failed(format!("{place}: cannot write: {error}")),
        }
    }

    /// Tells the user, and says how the process must end.
    pub(crate) fn report(&self) -> ExitCode {
        let (message, code) = match self {
            Self::Usage(message) => (message, WRONG_USAGE),
            Self::Failed(message) => (message, FAILED),
            Self::BrokenPipe => return ExitCode::SUCCESS,
        };
        eprintln!("tapebook: {}", one_line(message));
        ExitCode::from(code)
    }
}

/// Standard output cannot be written.
pub(crate) fn stdout_error(error: &io::Error) -> CliError {
    CliError::writing("standard output", error)
}

/// What to do about an error of the operating system somewhere below `error`, where that is worth saying.
pub(crate) fn advice(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io_error) = error.downcast_ref::<io::Error>() {
            match io_error.kind() {
                io::ErrorKind::PermissionDenied => {
                    return Some("check its owner and permissions, or choose another directory with --data");
                }
                io::ErrorKind::StorageFull => return Some("make room on the disk and try again"),
                // The kind of a path that goes through a plain file.
                io::ErrorKind::AlreadyExists
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::ReadOnlyFilesystem => return Some("choose another directory with --data"),
                _ => {}
            }
        }
        cause = error.source();
    }
    None
}
