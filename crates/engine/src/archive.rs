//! The journal's archive: what is flushed is kept, in order, for as long as `journal_retention` says and within
//! `journal_bytes_max`.
//!
//! A flush archives the entries up to its MemTable's last one before it commits its version edit. So the archive reaches
//! at least as far as the state file, and nothing is purged from the log that it does not hold.

use std::sync::Arc;
use std::time::Duration;

use tapebook_lsm::manifest::Version;
use tapebook_record::EncodedBatch;
use tapebook_vfs::{OpenMode, Vfs};
use tapebook_wal::{
    ArchiveError, ArchiveFile, ArchiveHeader, ArchiveWriter, EntryKind, JournalPoint, LogIdentity,
    LogPosition, LogReader, ReadError, Wal, archive_name, list_archive,
};

use crate::Layout;
use crate::apply::{Frozen, next_hash};
use crate::commit::Committer;
use crate::journal::flushed;

/// Why entries could not be archived. They stay in the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchivingError {
    /// A file of the archive could not be written, read or removed.
    #[error(transparent)]
    File(#[from] ArchiveError),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// What the log holds is not what was applied.
    #[error("{}: the log gives another journal than was applied: {reason}", path.display())]
    Differs {
        /// The log's directory.
        path: std::path::PathBuf,
        /// What is different.
        reason: String,
    },
}

/// How much of the journal is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArchiveBounds {
    pub age_max: Duration,
    pub bytes_max: Option<u64>,
}

/// The archive of an open database. Its lock is that of the flush.
#[derive(Debug)]
pub(crate) struct Archive {
    vfs: Arc<dyn Vfs>,
    layout: Layout,
    log: LogIdentity,
    bounds: ArchiveBounds,
    /// Bytes of all files together; not known where they have no bound.
    bytes: u64,
    /// Where the newest file ends, and the checksum of its footer.
    end: Option<(JournalPoint, u32)>,
}

impl Archive {
    /// Finds where the archive ends.
    pub(crate) fn open(
        vfs: &Arc<dyn Vfs>,
        layout: &Layout,
        log: LogIdentity,
        bounds: ArchiveBounds,
    ) -> Result<Self, ArchiveError> {
        let dir = layout.archive();
        vfs.create_dir_all(&dir).map_err(|source| io_error("create the directory", layout, source))?;
        let entries = vfs.read_dir(&dir).map_err(|source| io_error("list", layout, source))?;
        for unfinished in entries.iter().filter(|entry| entry.name.ends_with(".tape.tmp")) {
            let removed = vfs.remove_file(&dir.join(&unfinished.name));
            removed.map_err(|source| io_error("remove an unfinished file", layout, source))?;
        }
        let files = list_archive(&**vfs, &dir).map_err(|source| io_error("list", layout, source))?;
        let end = match files.last() {
            None => None,
            Some(first_index) => {
                let newest = ArchiveFile::open(&**vfs, &dir, log, *first_index)?;
                Some((newest.footer().through, newest.footer().crc))
            }
        };
        let mut bytes = 0_u64;
        if bounds.bytes_max.is_some() {
            for first_index in files {
                let path = dir.join(archive_name(first_index));
                let length = vfs.open(&path, OpenMode::Read).and_then(|file| file.len());
                bytes = bytes.saturating_add(length.map_err(|source| io_error("read", layout, source))?);
            }
        }
        Ok(Self { vfs: Arc::clone(vfs), layout: layout.clone(), log, bounds, bytes, end })
    }

    /// The last entry in it; 0 where there is none.
    pub(crate) fn last_index(&self) -> u64 {
        self.end.map_or(0, |(end, _)| end.entry.index)
    }

    /// Where the next file begins, and what its header says of the file before: behind the newest one, or, where entries
    /// went by since, behind the state file.
    fn next(&self, version: &Version) -> (JournalPoint, u32) {
        let flushed = flushed(version);
        self.end.filter(|(end, _)| end.entry.index >= flushed.entry.index).unwrap_or((flushed, 0))
    }

    /// Where the archive ends, unless entries went by since.
    pub(crate) fn joined_end(&self, version: &Version) -> Option<JournalPoint> {
        let flushed = flushed(version).entry.index;
        self.end.map(|(end, _)| end).filter(|end| end.entry.index >= flushed)
    }

    /// Archives the entries up to the last one of `frozen`, durably. `version` is the one that its flush follows.
    pub(crate) fn extend(
        &mut self,
        version: &Version,
        frozen: &Frozen,
        wal: &Wal<Committer>,
    ) -> Result<(), ArchivingError> {
        let (before, previous) = self.next(version);
        let through = JournalPoint {
            entry: frozen.state.applied,
            last_seq: frozen.state.last_seq,
            rolling_hash: frozen.state.rolling_hash,
        };
        if before.entry.index >= through.entry.index {
            return Ok(());
        }
        let header = ArchiveHeader {
            log: self.log,
            epoch: version.epoch(),
            before,
            previous,
            created_at: self.vfs.clock().unix_nanos(),
        };
        let mut writer = ArchiveWriter::create(&self.vfs, &self.layout.archive(), header)?;
        let mut point = before;
        let void = void_entries(wal.reader(before.entry.index + 1))?;
        for entry in wal.reader(before.entry.index + 1) {
            if point.entry == through.entry {
                break;
            }
            let entry = entry?;
            let (meta, payload) = (&entry.meta, &entry.payload);
            if !meta.kind.is_entry()
                || meta.index <= before.entry.index
                || void.contains(entry.position, meta.index)
            {
                continue;
            }
            let seq_before = point.last_seq;
            let applied =
                meta.kind == EntryKind::Batch && frozen.turned_away.binary_search(&meta.index).is_err();
            let first_seq = if applied { seq_before + 1 } else { 0 };
            writer.add(meta, seq_before, first_seq, payload)?;
            if applied {
                let batch = EncodedBatch::from_log(payload.clone());
                let batch = batch.map_err(|error| self.differs(format!("entry {}: {error}", meta.index)))?;
                point.last_seq += batch.len() as u64;
                point.rolling_hash = next_hash(point.rolling_hash, first_seq, payload);
            }
            point.entry = entry.log_id();
        }
        if point != through {
            let reason = format!(
                "entry {} gives sequence {}, expected entry {} and sequence {}",
                point.entry.index, point.last_seq, through.entry.index, through.last_seq
            );
            return Err(self.differs(reason));
        }
        let (_, footer) = writer.finish(through)?;
        self.end = Some((through, footer.crc));
        self.bytes = self.bytes.saturating_add(footer.file_bytes());
        Ok(())
    }

    /// Removes files whose last entry is older than is kept, and the oldest while there are more bytes than are kept;
    /// never the newest, from which the archive goes on.
    pub(crate) fn retain(&mut self) -> Result<(), ArchiveError> {
        let dir = self.layout.archive();
        let files =
            list_archive(&*self.vfs, &dir).map_err(|source| io_error("list", &self.layout, source))?;
        let age_max = i64::try_from(self.bounds.age_max.as_nanos()).unwrap_or(i64::MAX);
        let oldest_kept = self.vfs.clock().unix_nanos().saturating_sub(age_max);
        let older = files.split_last().map_or(&[][..], |(_, older)| older);
        let mut removed = false;
        for first_index in older {
            let file = ArchiveFile::open(&*self.vfs, &dir, self.log, *first_index)?;
            let too_many = self.bounds.bytes_max.is_some_and(|bytes_max| self.bytes > bytes_max);
            if file.footer().last_commit_clock >= oldest_kept && !too_many {
                break;
            }
            let path = dir.join(archive_name(*first_index));
            let gone = self.vfs.remove_file(&path);
            gone.map_err(|source| ArchiveError::Io { operation: "remove", path, source: Arc::new(source) })?;
            self.bytes = self.bytes.saturating_sub(file.file_bytes());
            removed = true;
        }
        if removed {
            self.vfs.sync_dir(&dir).map_err(|source| io_error("sync the directory", &self.layout, source))?;
        }
        Ok(())
    }

    fn differs(&self, reason: String) -> ArchivingError {
        ArchivingError::Differs { path: self.layout.wal(), reason }
    }
}

/// What later truncations made void: entries of a leader that never were committed.
#[derive(Debug)]
pub(crate) struct Void {
    /// Where a truncation stands, and the last index that it keeps.
    truncations: Vec<(LogPosition, u64)>,
}

impl Void {
    pub(crate) fn contains(&self, position: LogPosition, index: u64) -> bool {
        self.truncations
            .iter()
            .any(|(truncated_at, last_kept)| *truncated_at > position && *last_kept < index)
    }
}

/// Reads all of `log` for its truncations.
pub(crate) fn void_entries(log: LogReader) -> Result<Void, ReadError> {
    let mut truncations = Vec::new();
    for entry in log {
        let entry = entry?;
        if entry.meta.kind == EntryKind::Truncate {
            truncations.push((entry.position, entry.meta.index));
        }
    }
    Ok(Void { truncations })
}

fn io_error(operation: &'static str, layout: &Layout, source: std::io::Error) -> ArchiveError {
    ArchiveError::Io { operation, path: layout.archive(), source: Arc::new(source) }
}
