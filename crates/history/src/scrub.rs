//! Checksums of a file that is in use, read again.

use crate::error::HistoryError;
use crate::file::HistoryFile;

impl HistoryFile {
    /// Reads the row groups and verifies their checksums. `pace` is told the bytes of each piece before it is read; where
    /// it answers false, checking ends.
    ///
    /// True where all of it was checked. The rest of the file was checked when it was opened and is in memory.
    pub fn scrub(&self, pace: impl FnMut(u64) -> bool) -> Result<bool, HistoryError> {
        self.source.scrub(pace)
    }
}
