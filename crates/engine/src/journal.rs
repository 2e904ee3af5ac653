//! The journal, read in order: from the archive as far as that goes, then from the log.

use std::collections::{BTreeSet, VecDeque};

use tapebook_lsm::manifest::Version;
use tapebook_record::{BatchError, EncodedBatch};
use tapebook_wal::{
    ArchiveEntries, ArchiveError, ArchiveFile, EntryKind, JournalPoint, LogReader, ReadError, list_archive,
};

use crate::archive::{Void, void_entries};
use crate::state::from_manifest;
use crate::{Db, FlushError};

/// A batch as it stands in the journal.
#[derive(Clone, Debug)]
pub struct JournalBatch {
    /// The sequence number of its first row.
    pub first_seq: u64,
    /// The log entry that brought it.
    pub index: u64,
    /// The commit clock of that entry, nanoseconds since the epoch.
    pub commit_clock: i64,
    /// The rows.
    pub batch: EncodedBatch,
}

impl JournalBatch {
    /// The sequence number of its last row.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + self.batch.len() as u64 - 1
    }
}

/// Why the journal cannot be read, or not that far back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The journal is no longer kept from there on.
    #[error("the journal is kept from seq {first_seq} on, seq {wanted} is gone; see `journal_retention`")]
    Gone {
        /// The sequence number that was asked for.
        wanted: u64,
        /// The first one that is kept.
        first_seq: u64,
    },
    /// A file of the archive is damaged or cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The log is damaged or cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// A batch is not what was written, under checksums that are right.
    #[error("entry {index}: {source}")]
    Batch {
        /// The entry.
        index: u64,
        /// What is wrong.
        source: BatchError,
    },
    /// The sequence numbers do not follow one another.
    #[error("entry {index} gives seq {found}, expected {expected}")]
    Order {
        /// The entry.
        index: u64,
        /// The next sequence number.
        expected: u64,
        /// What was found.
        found: u64,
    },
    /// The database cannot say which files count.
    #[error(transparent)]
    Database(#[from] FlushError),
}

/// Batches in journal order, up to what was applied when reading began. After an error it ends.
#[derive(Debug)]
pub struct JournalReader<'db> {
    db: &'db Db,
    /// The first sequence number that was not read yet.
    next_seq: u64,
    /// True until the first batch, in whose middle reading may begin.
    first: bool,
    last_seq: u64,
    files: VecDeque<ArchiveFile>,
    entries: Option<ArchiveEntries>,
    log: LogPart,
    ended: bool,
}

/// What is read from the log.
#[derive(Debug)]
struct LogPart {
    behind: JournalPoint,
    through_index: u64,
    turned_away: BTreeSet<u64>,
    open: Option<(LogReader, Void)>,
}

impl Db {
    /// Reads the journal from the batch with this sequence number on, up to what is applied now.
    pub fn journal(&self, from_seq: u64) -> Result<JournalReader<'_>, JournalError> {
        let from_seq = from_seq.max(1);
        let files = self.flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        let version = files.version()?;
        let archived = files.archive.as_ref().and_then(|archive| archive.joined_end(&version));
        let behind = archived.unwrap_or_else(|| flushed(&version));
        let (last_seq, through_index, turned_away) = {
            let committed = self.committer.lock_sound()?;
            let applier = &committed.applier;
            let frozen = applier.frozen.iter().flat_map(|frozen| &frozen.turned_away);
            let turned_away = frozen.chain(&applier.turned_away).copied().collect();
            (applier.state.last_seq, applier.state.applied.index, turned_away)
        };
        let mut needed = VecDeque::new();
        if from_seq <= behind.last_seq {
            if archived.is_none() {
                let first_seq = behind.last_seq + 1;
                return Err(JournalError::Gone { wanted: from_seq, first_seq });
            }
            needed = self.archive_files(from_seq)?;
        }
        drop(files);
        let entries = needed.pop_front().map(|file: ArchiveFile| file.entries_around(from_seq));
        Ok(JournalReader {
            db: self,
            next_seq: from_seq,
            first: true,
            last_seq,
            files: needed,
            entries,
            log: LogPart { behind, through_index, turned_away, open: None },
            ended: false,
        })
    }

    /// The files of the newest run from the one that gave `from_seq` on.
    fn archive_files(&self, from_seq: u64) -> Result<VecDeque<ArchiveFile>, JournalError> {
        let dir = self.layout.archive();
        let log = self.flusher.log_identity();
        let listed = list_archive(&*self.vfs, &dir).map_err(|source| ArchiveError::Io {
            operation: "list",
            path: dir.clone(),
            source: source.into(),
        })?;
        let mut needed: VecDeque<ArchiveFile> = VecDeque::new();
        for first_index in listed.into_iter().rev() {
            let file = ArchiveFile::open(&*self.vfs, &dir, log, first_index)?;
            if let Some(next) = needed.front()
                && (next.header().previous != file.footer().crc
                    || next.header().before != file.footer().through)
            {
                break;
            }
            let reached = file.header().before.last_seq < from_seq;
            needed.push_front(file);
            if reached {
                return Ok(needed);
            }
        }
        let first_seq = needed.front().map_or(1, |oldest| oldest.header().before.last_seq + 1);
        Err(JournalError::Gone { wanted: from_seq, first_seq })
    }
}

impl JournalReader<'_> {
    /// The last sequence number that it will read.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    fn read(&mut self) -> Result<Option<JournalBatch>, JournalError> {
        while self.next_seq <= self.last_seq {
            let found = match self.archived()? {
                Some(found) => Some(found),
                None => self.logged()?,
            };
            let Some(found) = found else { return Ok(None) };
            if found.last_seq() < self.next_seq {
                continue;
            }
            let inside = self.first && found.first_seq <= self.next_seq;
            if found.first_seq != self.next_seq && !inside {
                let (index, expected) = (found.index, self.next_seq);
                return Err(JournalError::Order { index, expected, found: found.first_seq });
            }
            self.first = false;
            self.next_seq = found.last_seq() + 1;
            return Ok(Some(found));
        }
        Ok(None)
    }

    fn archived(&mut self) -> Result<Option<JournalBatch>, JournalError> {
        loop {
            let Some(entries) = &mut self.entries else { return Ok(None) };
            match entries.next().transpose()? {
                Some(entry) if entry.first_seq > 0 => {
                    let (index, commit_clock) = (entry.meta.index, entry.meta.proposed_at);
                    return Ok(Some(JournalBatch {
                        first_seq: entry.first_seq,
                        index,
                        commit_clock,
                        batch: decode(index, entry.payload)?,
                    }));
                }
                Some(_) => {}
                None => self.entries = self.files.pop_front().map(|file| file.entries_from(0)),
            }
        }
    }

    fn logged(&mut self) -> Result<Option<JournalBatch>, JournalError> {
        match self.log.next(self.db) {
            // Flushed since, so it is in the archive now. That reads no further than before.
            Err(JournalError::Log(ReadError::Purged { .. })) => {
                let again = self.db.journal(self.next_seq)?;
                if self.log.behind == again.log.behind {
                    let first_seq = again.log.behind.last_seq + 1;
                    return Err(JournalError::Gone { wanted: self.next_seq, first_seq });
                }
                let last_seq = self.last_seq;
                *self = JournalReader { last_seq, first: self.first, db: self.db, ..again };
                match self.archived()? {
                    Some(found) => Ok(Some(found)),
                    None => self.log.next(self.db),
                }
            }
            other => other,
        }
    }
}

impl LogPart {
    fn next(&mut self, db: &Db) -> Result<Option<JournalBatch>, JournalError> {
        if self.open.is_none() {
            let wal = db.wal.as_ref().ok_or(FlushError::Closed)?;
            let from_index = self.behind.entry.index + 1;
            let void = void_entries(wal, from_index)?;
            self.open = Some((wal.reader(from_index), void));
        }
        let Some((reader, void)) = &mut self.open else { return Ok(None) };
        while self.behind.entry.index < self.through_index {
            let Some(entry) = reader.next_entry()? else { return Ok(None) };
            let meta = entry.meta;
            if !meta.kind.is_entry() || void.contains(entry.position, meta.index) {
                continue;
            }
            self.behind.entry = entry.log_id();
            if meta.kind != EntryKind::Batch || self.turned_away.contains(&meta.index) {
                continue;
            }
            let batch = decode(meta.index, entry.payload)?;
            let first_seq = self.behind.last_seq + 1;
            self.behind.last_seq += batch.len() as u64;
            let (index, commit_clock) = (meta.index, meta.proposed_at);
            return Ok(Some(JournalBatch { first_seq, index, commit_clock, batch }));
        }
        Ok(None)
    }
}

impl Iterator for JournalReader<'_> {
    type Item = Result<JournalBatch, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The point of the journal that the state file holds.
pub(crate) fn flushed(version: &Version) -> JournalPoint {
    version.state().map_or(JournalPoint::default(), |state| JournalPoint {
        entry: from_manifest(state.applied),
        last_seq: state.last_seq,
        rolling_hash: state.rolling_hash,
    })
}

fn decode(index: u64, payload: tapebook_record::SharedBytes) -> Result<EncodedBatch, JournalError> {
    EncodedBatch::from_log(payload).map_err(|source| JournalError::Batch { index, source })
}
