//! The directory lock: an exclusive `flock` on a file that names its holder.
//!
//! The lock belongs to the open file description, so it ends with the process however that ends, and refuses a
//! second holder in the same process as well. The file itself stays: removing it would let two processes hold locks
//! on two files of one name.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::lock::{LOCK_FILE, LOCK_LINE_BYTES_MAX};
use crate::{DirLock, LockError, LockOwner};

/// Keeps the lock file open.
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl DirLock for RealLock {}

/// Takes the lock of `dir` without waiting, or says who holds it.
pub(super) fn take(dir: &Path, command: &str) -> Result<Box<dyn DirLock>, LockError> {
    let path = dir.join(LOCK_FILE);
    let io_error = |source| LockError::Io { path: path.clone(), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            return Err(LockError::InUse { path: dir.to_path_buf(), owner: read_owner(&file) });
        }
        Err(error) => return Err(io_error(error.into())),
    }
    write_owner(&file, &LockOwner::this_process(command)).map_err(io_error)?;
    Ok(Box::new(RealLock { _file: file }))
}

/// The line is for people; a crash may lose it, so it is not synced.
fn write_owner(file: &File, owner: &LockOwner) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(owner.to_line().as_bytes(), 0)
}

fn read_owner(file: &File) -> LockOwner {
    let mut line = [0; LOCK_LINE_BYTES_MAX];
    let len = file.read_at(&mut line, 0).unwrap_or(0);
    LockOwner::from_line(&line[..len])
}
