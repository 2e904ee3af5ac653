//! The journal as it is stored: in the archive as far as that goes, then in the log.

use std::collections::{BTreeSet, VecDeque};
use std::io::ErrorKind;

use tapebook_record::Symbols;
use tapebook_wal::{
    ArchiveEntries, ArchiveError, ArchiveFile, EntryKind, JournalPoint, LogReader, ReadError, list_archive,
};

use super::source::JournalSource;
use super::{JournalBatch, JournalError, decode};
use crate::archive::{Void, void_entries};
use crate::feeds::Gaps;
use crate::{Db, FeedGap};

/// Batches in journal order, up to what was applied when reading began. After an error it ends.
#[derive(Debug)]
pub struct JournalReader {
    stored: Stored,
    ended: bool,
}

impl Db {
    /// Reads the journal from the batch with this sequence number on, up to what is applied now.
    pub fn journal(&self, from_seq: u64) -> Result<JournalReader, JournalError> {
        let stored = Stored::open(&JournalSource::of(self), from_seq.max(1))?;
        Ok(JournalReader { stored, ended: false })
    }
}

impl JournalReader {
    /// The last sequence number that it will read.
    pub fn last_seq(&self) -> u64 {
        self.stored.last_seq
    }
}

impl Iterator for JournalReader {
    type Item = Result<JournalBatch, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.stored.next().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads what was applied when it was opened.
#[derive(Debug)]
pub(super) struct Stored {
    source: JournalSource,
    /// The first sequence number that was not read yet.
    next_seq: u64,
    /// True until the first batch, in whose middle reading may begin.
    first: bool,
    last_seq: u64,
    /// Files of the archive that come next, by their first entries; opened one at a time.
    files: VecDeque<u64>,
    entries: Option<ArchiveEntries>,
    log: LogPart,
    /// The feed gaps behind `last_seq`, with the names of their symbols.
    gaps: (Gaps, Symbols),
}

/// What is read from the log.
#[derive(Debug)]
struct LogPart {
    behind: JournalPoint,
    through_index: u64,
    turned_away: BTreeSet<u64>,
    open: Option<(LogReader, Void)>,
}

impl JournalSource {
    /// The files of the newest run of the archive from the last one on for which `reached` holds; that one is open.
    fn archive_files(&self, reached: impl Fn(&ArchiveFile) -> bool) -> Result<Found, JournalError> {
        let dir = self.layout.archive();
        let listed = list_archive(&*self.vfs, &dir).map_err(|source| ArchiveError::Io {
            operation: "list",
            path: dir.clone(),
            source: source.into(),
        })?;
        let mut behind = VecDeque::new();
        let mut oldest: Option<ArchiveFile> = None;
        for first_index in listed.into_iter().rev() {
            let file = self.archive_file(first_index)?;
            if let Some(next) = &oldest {
                let joined = next.header().previous == file.footer().crc
                    && next.header().before == file.footer().through;
                if !joined {
                    break;
                }
                behind.push_front(next.footer().first_index);
            }
            if reached(&file) {
                return Ok(Found::Reached { file: Box::new(file), behind });
            }
            oldest = Some(file);
        }
        let before = oldest.map_or(0, |oldest| oldest.header().before.last_seq);
        Ok(Found::Oldest { first_seq: before + 1 })
    }

    fn archive_file(&self, first_index: u64) -> Result<ArchiveFile, ArchiveError> {
        let (dir, log) = (self.layout.archive(), self.flusher.log_identity());
        ArchiveFile::open(&*self.vfs, &dir, log, first_index)
    }

    /// A sequence number in the archive before which every batch is older than `time`; `None` where nothing is archived.
    pub(super) fn archived_seq_at(&self, time: i64) -> Result<Option<u64>, JournalError> {
        self.with_stored(|stored| {
            if !stored.archived {
                return Ok(None);
            }
            match self.archive_files(|file| file.footer().first_commit_clock < time)? {
                Found::Reached { file, .. } => Ok(Some(file.seq_before(time) + 1)),
                Found::Oldest { first_seq: 1 } => Ok(Some(1)),
                Found::Oldest { first_seq } => Err(JournalError::Gone { wanted: first_seq - 1, first_seq }),
            }
        })
    }
}

/// Where reading the archive can begin.
enum Found {
    /// In this file, and these come behind it.
    Reached { file: Box<ArchiveFile>, behind: VecDeque<u64> },
    /// The archive does not reach back that far.
    Oldest { first_seq: u64 },
}

impl Stored {
    /// Begins with the batch that has the sequence number `from_seq`.
    pub(super) fn open(source: &JournalSource, from_seq: u64) -> Result<Self, JournalError> {
        source.with_stored(|stored| {
            let behind = stored.behind;
            let (last_seq, through_index, turned_away, gaps) = {
                let committed = source.committer.lock_sound()?;
                let applier = &committed.applier;
                let frozen = applier.frozen.iter().flat_map(|frozen| &frozen.turned_away);
                let turned_away = frozen.chain(&applier.turned_away).copied().collect();
                let state = &applier.state;
                let gaps = (state.gaps.clone(), state.symbols.clone());
                (state.last_seq, state.applied.index, turned_away, gaps)
            };
            let (mut entries, mut files) = (None, VecDeque::new());
            if from_seq <= behind.last_seq {
                let gone = |first_seq| Err(JournalError::Gone { wanted: from_seq, first_seq });
                if !stored.archived {
                    return gone(behind.last_seq + 1);
                }
                match source.archive_files(|file| file.header().before.last_seq < from_seq)? {
                    Found::Reached { file, behind } => {
                        entries = Some(file.entries_around(from_seq));
                        files = behind;
                    }
                    Found::Oldest { first_seq } => return gone(first_seq),
                }
            }
            Ok(Self {
                source: source.clone(),
                next_seq: from_seq,
                first: true,
                last_seq,
                files,
                entries,
                log: LogPart { behind, through_index, turned_away, open: None },
                gaps,
            })
        })
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The feed gaps that were listed when all that it reads was applied.
    pub(super) fn gaps(&self) -> impl Iterator<Item = FeedGap> {
        let (gaps, symbols) = &self.gaps;
        gaps.iter().map(|gap| gap.shown(symbols))
    }

    /// The next batch; `None` behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<JournalBatch>, JournalError> {
        while self.next_seq <= self.last_seq {
            let found = match self.archived()? {
                Some(found) => Some(found),
                None => self.logged()?,
            };
            let Some(found) = found else {
                return Err(JournalError::Short { expected: self.last_seq, found: self.next_seq - 1 });
            };
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
                None => self.open_next_file()?,
            }
        }
    }

    fn open_next_file(&mut self) -> Result<(), JournalError> {
        self.entries = None;
        let Some(first_index) = self.files.pop_front() else { return Ok(()) };
        match self.source.archive_file(first_index) {
            Ok(file) => self.entries = Some(file.entries_from(0)),
            // Older than is kept by now, which opening anew says.
            Err(ArchiveError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                self.open_again()?
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn logged(&mut self) -> Result<Option<JournalBatch>, JournalError> {
        match self.log.next(&self.source) {
            // Flushed since, so it is in the archive now.
            Err(JournalError::Log(ReadError::Purged { .. })) => {
                let before = self.log.behind;
                self.open_again()?;
                if self.log.behind == before {
                    let first_seq = before.last_seq + 1;
                    return Err(JournalError::Gone { wanted: self.next_seq, first_seq });
                }
                match self.archived()? {
                    Some(found) => Ok(Some(found)),
                    None => self.log.next(&self.source),
                }
            }
            other => other,
        }
    }

    /// Goes on in what is stored now, and no further than before.
    fn open_again(&mut self) -> Result<(), JournalError> {
        let again = Self::open(&self.source, self.next_seq)?;
        let (last_seq, first) = (self.last_seq, self.first);
        *self = Self { last_seq, first, ..again };
        Ok(())
    }
}

impl LogPart {
    fn next(&mut self, source: &JournalSource) -> Result<Option<JournalBatch>, JournalError> {
        if self.open.is_none() {
            let [truncations, entries] = source.log_readers(self.behind.entry.index + 1)?;
            self.open = Some((entries, void_entries(truncations)?));
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
