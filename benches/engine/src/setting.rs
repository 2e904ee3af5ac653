//! What all measurements of one call share: where they write, how often they run, how large they are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tapebook::Options;
use tempfile::TempDir;

use crate::AnyError;

/// Where and how much is measured.
pub struct Setting {
    /// The directory on the disk that is measured.
    pub dir: PathBuf,
    /// Runs of each measurement; the median of them counts.
    pub runs: usize,
    /// Processes of each kind that are killed where that is what is measured.
    pub kills: usize,
    /// Small inputs and two runs, only to see that it works.
    pub quick: bool,
    /// How long the soak runs, where that is said.
    pub minutes: Option<u64>,
    /// Where the soak's picture goes.
    pub plot: Option<PathBuf>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { dir: "target/bench-data".into(), runs: 7, kills: 20, quick: false, minutes: None, plot: None }
    }
}

impl Setting {
    /// An empty directory that is removed when it is dropped.
    pub fn scratch(&self) -> Result<TempDir, AnyError> {
        Ok(tempfile::tempdir_in(&self.dir)?)
    }

    /// `full`, or an eighth of it.
    pub fn size(&self, full: u64) -> u64 {
        if self.quick { full / 8 } else { full }
    }
}

/// Options with which everything is in one MemTable until somebody flushes it: neither its size nor the time that a replay
/// would take leads to a flush.
pub fn one_piece() -> Options {
    Options { memtable_bytes: 8 << 30, recovery_target: Duration::from_secs(3600), ..Options::default() }
}

/// The files directly in a directory, by name.
pub fn files_in(dir: &Path) -> Result<Vec<PathBuf>, AnyError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}
