//! The scrubber: reads every SSTable and history file again from time to time, so that damage is known before somebody needs the rows.
//!
//! It changes nothing. What it finds stands in [`DbStats`](crate::DbStats) until a later pass finds the file whole or
//! gone. It reads through the page cache, as every reader does: what the cache still holds hides the disk below it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapebook_vfs::Clock;

use crate::ScrubStats;
use crate::commit::Committer;

/// Waiting for less than this is not worth it.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// How files are read again in the background.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ScrubOptions {
    /// A pass begins so long after the one before ended; the first one so long after the database was opened.
    /// `None`: no pass begins by itself. Default one day.
    pub every: Option<Duration>,
    /// Bytes that a pass reads in a second. Default 16 MiB.
    pub bytes_per_second: u64,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self { every: Some(Duration::from_secs(24 * 60 * 60)), bytes_per_second: 16 << 20 }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Scrubber {
    state: Mutex<ScrubState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct ScrubState {
    closing: bool,
    passes: u64,
    bytes: u64,
    last_ended_at: Option<i64>,
    /// What is wrong, by file.
    problems: BTreeMap<u64, String>,
}

impl Scrubber {
    fn lock(&self) -> MutexGuard<'_, ScrubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Waits that long; false where the database is closing.
    fn pause(&self, at_most: Duration) -> bool {
        let wait = self.changed.wait_timeout_while(self.lock(), at_most, |state| !state.closing);
        !wait.unwrap_or_else(PoisonError::into_inner).0.closing
    }

    /// Reads every file of the newest snapshot once, at no more than that rate; false where the database is closing.
    pub(crate) fn pass(
        &self,
        committer: &Committer,
        clock: &dyn Clock,
        bytes_per_second: Option<u64>,
    ) -> bool {
        // A snapshot would hold MemTables in memory for as long as a pass takes.
        let (files, history) = committer.files();
        let (began, mut read) = (clock.monotonic(), 0_u64);
        let mut pace = |bytes: u64| {
            read += bytes;
            self.lock().bytes += bytes;
            let Some(rate) = bytes_per_second else { return true };
            let should = Duration::from_secs_f64(read as f64 / rate.max(1) as f64);
            let due = should.saturating_sub(clock.monotonic().saturating_sub(began));
            due < PAUSE_MIN || self.pause(due)
        };
        let mut file_ids = HashSet::new();
        for file in &files {
            let file_id = file.identity().file_id;
            file_ids.insert(file_id);
            if !self.note(file_id, file.scrub(&mut pace)) {
                return false;
            }
        }
        for file in history.files() {
            let file_id = file.identity().file_id;
            file_ids.insert(file_id);
            if !self.note(file_id, file.scrub(&mut pace)) {
                return false;
            }
        }
        let mut state = self.lock();
        state.problems.retain(|file_id, _| file_ids.contains(file_id));
        state.passes += 1;
        state.last_ended_at = Some(clock.unix_nanos());
        !state.closing
    }

    /// Remembers what is wrong with a file, or that nothing is; false where it was not read to its end.
    fn note<E: std::fmt::Display>(&self, file_id: u64, outcome: Result<bool, E>) -> bool {
        match outcome {
            Ok(false) => return false,
            Ok(true) => drop(self.lock().problems.remove(&file_id)),
            Err(error) => drop(self.lock().problems.insert(file_id, error.to_string())),
        }
        true
    }

    pub(crate) fn stats(&self) -> ScrubStats {
        let state = self.lock();
        ScrubStats {
            passes: state.passes,
            bytes: state.bytes,
            last_ended_at: state.last_ended_at,
            problems: state.problems.values().cloned().collect(),
        }
    }
}

/// The scrubbing thread: a pass, a pause, until the database is closed.
pub(crate) fn run(
    scrubber: &Scrubber,
    committer: &Committer,
    clock: &dyn Clock,
    every: Duration,
    bytes_per_second: u64,
) {
    while scrubber.pause(every) && scrubber.pass(committer, clock, Some(bytes_per_second)) {}
}
