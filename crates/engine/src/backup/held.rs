//! Keeps a version's files in place while a backup copies them, one after the other.
//!
//! Open files would stay readable as well, but there may be more of them than a process may open.

use std::sync::MutexGuard;

use crate::FlushError;
use crate::files::Files;
use crate::flush::Flusher;

/// While this lives, no file of the database is removed. Their room is given back by the next flush or compaction
/// behind it, or right at its end.
#[derive(Debug)]
pub(super) struct HeldFiles<'a> {
    flusher: &'a Flusher,
}

impl<'a> HeldFiles<'a> {
    /// Holds every file that is there under the lock that `files` has.
    pub(super) fn hold(flusher: &'a Flusher, files: &mut MutexGuard<'_, Files>) -> Self {
        files.hold();
        Self { flusher }
    }
}

impl Drop for HeldFiles<'_> {
    fn drop(&mut self) {
        // After a panic nothing is removed any more; the next open does it.
        let Ok(mut files) = self.flusher.files.lock() else { return };
        files.release();
        if !files.is_unknown() {
            // What cannot be removed now is tried again with the next change.
            let _: Result<(), FlushError> = files.remove_retired(&self.flusher.store);
        }
    }
}
