//! What reading the journal needs of an open database.

use std::sync::{Arc, Weak};

use tapebook_lsm::manifest::Version;
use tapebook_vfs::Vfs;
use tapebook_wal::{JournalPoint, LogReader, Wal};

use super::{JournalError, Tail, flushed};
use crate::commit::Committer;
use crate::flush::Flusher;
use crate::{Db, FlushError, Layout};

/// The parts of a database that the journal is read from. They keep nobody from closing it: the log is held weakly, and
/// once it is closed every attempt to read what is stored is answered with that.
#[derive(Clone, Debug)]
pub(super) struct JournalSource {
    pub vfs: Arc<dyn Vfs>,
    pub layout: Layout,
    pub flusher: Arc<Flusher>,
    pub committer: Arc<Committer>,
    wal: Weak<Wal<Committer>>,
}

/// What is stored at one moment.
#[derive(Debug)]
pub(super) struct StoredNow {
    /// Where the log takes over: the end of the archive, or what is flushed where nothing is archived.
    pub behind: JournalPoint,
    /// True where the archive reaches up to there.
    pub archived: bool,
}

impl JournalSource {
    pub fn of(db: &Db) -> Self {
        Self {
            vfs: Arc::clone(&db.vfs),
            layout: db.layout.clone(),
            flusher: Arc::clone(&db.flusher),
            committer: Arc::clone(&db.committer),
            wal: db.wal.as_ref().map_or_else(Weak::new, Arc::downgrade),
        }
    }

    pub fn tail(&self) -> &Arc<Tail> {
        &self.committer.tail
    }

    /// Looks at what is stored, while nobody flushes.
    pub fn with_stored<T>(
        &self,
        look: impl FnOnce(StoredNow) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let files = self.flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        let version: Arc<Version> = files.version().map_err(closed)?;
        let archived = files.archive.as_ref().and_then(|archive| archive.joined_end(&version));
        let behind = archived.unwrap_or_else(|| flushed(&version));
        look(StoredNow { behind, archived: archived.is_some() })
    }

    /// Readers of the log from an entry on.
    ///
    /// The lock of the files is held, so that nobody else has the log in hand while the database is being closed.
    pub fn log_readers<const N: usize>(&self, from_index: u64) -> Result<[LogReader; N], JournalError> {
        let files = self.flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        files.version().map_err(closed)?;
        let wal = self.wal.upgrade().ok_or(JournalError::Closed)?;
        Ok(std::array::from_fn(|_| wal.reader(from_index)))
    }
}

fn closed(error: FlushError) -> JournalError {
    match error {
        FlushError::Closed => JournalError::Closed,
        error => error.into(),
    }
}
