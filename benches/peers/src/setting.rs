//! What all measurements of one call share.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::AnyError;

/// Where, how often and how much is measured.
pub struct Setting {
    /// The directory on the disk that is measured.
    pub dir: PathBuf,
    /// Rounds of each measurement; the median of them counts.
    pub rounds: usize,
    /// Small inputs and one round, only to see that everything works.
    pub quick: bool,
    /// Where the tables go as Markdown too; measurements append to it.
    pub markdown: Option<PathBuf>,
}

impl Setting {
    /// An empty directory that is removed when it is dropped.
    pub fn scratch(&self) -> Result<TempDir, AnyError> {
        Ok(tempfile::Builder::new().prefix("tapebook-peers-").tempdir_in(&self.dir)?)
    }

    /// `full`, or a small part of it.
    pub fn size(&self, full: u64) -> u64 {
        if self.quick { full.div_ceil(20) } else { full }
    }
}
