//! Spares: files of a segment's length that are written over and synced before anything depends on them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::{File, OpenMode, Vfs};

use crate::WalError;
use crate::layout::{preparing_path, spare_path};

/// A prepared file.
#[derive(Debug)]
pub(crate) struct Spare {
    pub path: PathBuf,
    pub file: Arc<dyn File>,
}

/// How far the next spare is.
#[derive(Debug)]
pub(crate) struct Preparation {
    /// Somebody waits for a spare.
    pub wanted: bool,
    /// Attempts that have ended.
    pub attempts: u64,
    /// Why the last one failed; preparing ahead stops until somebody needs a spare.
    pub failed: Option<WalError>,
    /// A number that no spare has.
    pub next_spare: u64,
}

impl Preparation {
    pub fn new(next_spare: u64) -> Self {
        Self { wanted: false, attempts: 0, failed: None, next_spare }
    }

    pub fn take_number(&mut self) -> u64 {
        self.next_spare += 1;
        self.next_spare - 1
    }
}

/// Writes zeros over a new file of a segment's length. Where this fails nothing is left behind, if the file system
/// allows that much.
pub(crate) fn prepare_spare(
    vfs: &dyn Vfs,
    dir: &Path,
    number: u64,
    segment_bytes: u64,
) -> Result<Spare, WalError> {
    let preparing = preparing_path(dir, number);
    match zero_and_rename(vfs, dir, &preparing, number, segment_bytes) {
        Ok(spare) => Ok(spare),
        Err(source) => {
            // The next recovery removes what cannot be removed now.
            let _ = vfs.remove_file(&preparing);
            Err(WalError::preparing(&preparing, segment_bytes, source))
        }
    }
}

fn zero_and_rename(
    vfs: &dyn Vfs,
    dir: &Path,
    preparing: &Path,
    number: u64,
    segment_bytes: u64,
) -> io::Result<Spare> {
    let file = vfs.open(preparing, OpenMode::CreateNew)?;
    file.prepare_zeroed(segment_bytes)?;
    let path = spare_path(dir, number);
    vfs.rename(preparing, &path)?;
    Ok(Spare { path, file })
}
