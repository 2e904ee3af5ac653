//! Entries of the log by index: the newest from memory, older ones from the disk.

use tapebook_wal::{EntryKind, LogEntry, LogId, LogReader, ReadError};

use super::{EntryError, EntryOrigin, JournalEntry, Replica};
use crate::archive::{Void, void_entries};

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntriesError {
    /// The log could not be read, or the entries were purged.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// An entry is sound as a frame and not as what it says.
    #[error("entry {index}: {source}")]
    Entry {
        /// Which one.
        index: u64,
        /// What is wrong.
        source: EntryError,
    },
    /// The log ends before what was asked for.
    #[error("the log ends before entry {wanted}")]
    Short {
        /// What was asked for.
        wanted: u64,
    },
}

/// Reads entries of a replica's log. One that reads on where it ended finds its place at once.
#[derive(Debug, Default)]
pub struct ReplicaReader {
    stored: Option<Stored>,
}

/// Reads the disk.
#[derive(Debug)]
struct Stored {
    /// The next index that it gives.
    next: u64,
    reader: LogReader,
    void: Void,
    /// Truncations of the log before it was made.
    truncations: u64,
}

impl ReplicaReader {
    /// The entries with indexes from `from` up to `before`, at least one and not many more than `bytes_max` of them.
    pub fn read(
        &mut self,
        replica: &Replica,
        from: u64,
        before: u64,
        bytes_max: usize,
    ) -> Result<Vec<(LogId, JournalEntry)>, EntriesError> {
        let mut taken = Taken { entries: Vec::new(), bytes: 0, bytes_max, before };
        replica.log.with_recent(|recent| {
            for (log_id, entry) in recent.beginning_at(from) {
                if !taken.take(*log_id, || Ok(entry.clone()))? {
                    break;
                }
            }
            // What is in memory is not read from the disk, where a truncation that is not synced yet has made nothing void.
            taken.before = before.min(recent.first_index().unwrap_or(before));
            Ok::<_, EntriesError>(())
        })?;
        if taken.entries.is_empty() && from < before {
            self.read_stored(replica, from, &mut taken)?;
        }
        if taken.entries.is_empty() && from < before {
            return Err(EntriesError::Short { wanted: from });
        }
        Ok(taken.entries)
    }

    fn read_stored(&mut self, replica: &Replica, from: u64, taken: &mut Taken) -> Result<(), EntriesError> {
        let truncations = replica.log.truncations();
        let goes_on = |stored: &Stored| stored.next == from && stored.truncations == truncations;
        if !self.stored.as_ref().is_some_and(goes_on) {
            let wal = replica.db.wal.as_ref().ok_or(EntriesError::Short { wanted: from })?;
            let void = void_entries(wal.reader(from))?;
            self.stored = Some(Stored { next: from, reader: wal.reader(from), void, truncations });
        }
        let Some(Stored { next, reader, void, .. }) = &mut self.stored else { return Ok(()) };
        while let Some(entry) = reader.next_entry().transpose() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.stored = None;
                    return Err(error.into());
                }
            };
            let meta = entry.meta;
            if !meta.kind.is_entry() || void.contains(entry.position, meta.index) {
                continue;
            }
            *next = meta.index + 1;
            let log_id = entry.log_id();
            if !taken.take(log_id, || decode(entry))? {
                break;
            }
            if taken.is_full() || *next == taken.before {
                return Ok(());
            }
        }
        // The next entries are in memory, or were not durable when this reader was made.
        self.stored = None;
        Ok(())
    }
}

impl Replica {
    /// The last entry of each leader among those from `from` through `through`, in order. Reads the log once, as it is on the disk.
    pub fn last_of_leaders(&self, from: LogId, through: LogId) -> Result<Vec<LogId>, EntriesError> {
        let wal = self.db.wal.as_ref().ok_or(EntriesError::Short { wanted: from.index })?;
        let mut last: Vec<LogId> = Vec::new();
        for entry in wal.reader(from.index) {
            let entry = entry?;
            let (kind, log_id) = (entry.meta.kind, entry.log_id());
            if kind == EntryKind::Truncate {
                while last.pop_if(|known| known.index > log_id.index).is_some() {}
            }
            if (kind.is_entry() || kind == EntryKind::Truncate) && log_id.index >= from.index {
                note(&mut last, log_id);
            }
        }
        note(&mut last, through);
        Ok(last)
    }
}

/// Takes the place of the last entry, where that is one of the same leader.
fn note(last: &mut Vec<LogId>, log_id: LogId) {
    last.pop_if(|known| (known.term, known.leader_node) == (log_id.term, log_id.leader_node));
    last.push(log_id);
}

fn decode(entry: LogEntry) -> Result<JournalEntry, EntriesError> {
    let meta = entry.meta;
    JournalEntry::decode(meta.kind, meta.flags, meta.proposed_at, entry.payload, EntryOrigin::Log)
        .map_err(|source| EntriesError::Entry { index: meta.index, source })
}

/// What was read so far.
struct Taken {
    entries: Vec<(LogId, JournalEntry)>,
    bytes: usize,
    bytes_max: usize,
    before: u64,
}

impl Taken {
    fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    /// False where the entry is too much.
    fn take(
        &mut self,
        log_id: LogId,
        entry: impl FnOnce() -> Result<JournalEntry, EntriesError>,
    ) -> Result<bool, EntriesError> {
        if log_id.index >= self.before || self.is_full() {
            return Ok(false);
        }
        let entry = entry()?;
        self.bytes += entry.payload().len();
        self.entries.push((log_id, entry));
        Ok(true)
    }
}
