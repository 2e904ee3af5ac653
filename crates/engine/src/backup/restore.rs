//! Restoring: a data directory out of a backup and the archive behind it, up to a bound, with a new epoch.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use tapebook_lsm::manifest::{Identity, Manifest, VersionEdit};
use tapebook_record::EncodedBatch;
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};
use tapebook_wal::{
    ArchiveFile, JournalPoint, LogCopy, LogEntry, LogId, LogIdentity, LogPosition, SegmentFacts,
    SegmentHeader, WalOptions,
};

use super::checked::read_checked;
use super::{Backup, BackupArchiveFile, BackupError, BackupTarget, list_backups};
use crate::apply::next_hash;
use crate::unfinished::UnfinishedDir;

/// Two restores within one millisecond get the same epoch once in a million times.
const EPOCH_CHANCE_BITS: u32 = 20;

/// How far a restore goes: to the last whole batch within it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RestoreBound {
    /// To the end of the newest backup.
    #[default]
    Latest,
    /// No further than this sequence number.
    Seq(u64),
    /// No further than this commit time, nanoseconds since the epoch.
    Time(i64),
}

/// What was restored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RestoreReport {
    /// The backup that it began with; 0 where it is the archive alone.
    pub backup: u64,
    /// The last sequence number in it.
    pub last_seq: u64,
    /// The last entry in it.
    pub last_index: u64,
    /// The rolling hash up to there, proved along the archive.
    pub rolling_hash: [u8; 16],
    /// The commit clock of the last entry.
    pub commit_clock: i64,
    /// The new epoch: cursors into the journal of before are refused.
    pub epoch: u64,
    /// Entries that came from the archive.
    pub archived_entries: u64,
}

/// Fills `dir`, which is missing or empty, from the backups in `target`.
///
/// The database keeps its cluster id, because its files are bound to it, and gets an epoch that no backup and no other
/// restore has.
pub fn restore(
    target: &dyn BackupTarget,
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    bound: RestoreBound,
    command: &str,
) -> Result<RestoreReport, BackupError> {
    let backups = list_backups(target)?;
    let Some(newest) = backups.last() else {
        return Err(BackupError::None { place: target.place("backups") });
    };
    let (log, lineage) = (newest.log, newest.epoch);
    let epoch = new_epoch(&**vfs, backups.iter().map(|backup| backup.epoch).max().unwrap_or(0));
    // What lies before a fork belongs to another journal, whose sequence numbers may say something else.
    let backups: Vec<&Backup> = backups.iter().filter(|backup| backup.epoch == lineage).collect();
    let within = |backup: &&Backup| match bound {
        RestoreBound::Latest => true,
        RestoreBound::Seq(seq) => backup.through.last_seq <= seq,
        RestoreBound::Time(time) => backup.commit_clock <= time,
    };
    let base = backups.iter().copied().rfind(within);
    let archive = Archive::of(target, log, &backups);
    let plan = archive.plan(base, &backups, bound)?;

    let identity = Identity {
        cluster_id: log.cluster_id,
        node_id: log.node_id,
        epoch,
        created_at: vfs.clock().unix_nanos(),
    };
    let building = UnfinishedDir::begin(vfs, dir, &identity, command)?;
    let options = WalOptions::default();
    let wal_dir = building.layout().wal();
    let mut copy = match base {
        Some(base) => {
            for file in &base.files {
                let created = building.create(&file.name)?;
                let mut offset = 0;
                read_checked(target, file, |bytes| {
                    created.write_all_at(offset, &[IoSlice::new(bytes)])?;
                    offset += bytes.len() as u64;
                    Ok(())
                })?;
                let place = || dir.join(&file.name).display().to_string();
                created.sync_data().map_err(|source| BackupError::io("sync", place(), source))?;
            }
            let (mut manifest, _) = Manifest::open(Arc::clone(vfs), dir, identity)?;
            manifest.commit(&VersionEdit { epoch: Some(epoch), ..VersionEdit::default() })?;
            manifest.close()?;
            LogCopy::open(vfs, &wal_dir, log, base.log_start, &options)?
        }
        None => {
            Manifest::create(Arc::clone(vfs), dir, identity)?.close()?;
            LogCopy::begin(vfs, &wal_dir, first_header(log, identity.created_at), &options)?
        }
    };
    let mut reached = base.map_or_else(Reached::default, Reached::of);
    let mut entries = 0;
    for archived in plan {
        archive.entries(archived, &mut reached, bound, |entry| {
            entries += 1;
            Ok(copy.append(entry)?)
        })?;
    }
    copy.finish()?;
    building.finish()?;
    Ok(RestoreReport {
        backup: base.map_or(0, |base| base.number),
        last_seq: reached.point.last_seq,
        last_index: reached.point.entry.index,
        rolling_hash: reached.point.rolling_hash,
        commit_clock: reached.commit_clock,
        epoch,
        archived_entries: entries,
    })
}

/// An epoch that neither a backup nor another restore has, and that is greater than all before: milliseconds since 1970, and
/// below them [`EPOCH_CHANCE_BITS`] of chance.
pub(crate) fn new_epoch(vfs: &dyn Vfs, highest: u64) -> u64 {
    let chance = vfs.random_u64() >> (u64::BITS - EPOCH_CHANCE_BITS);
    let millis = u64::try_from(vfs.clock().unix_nanos() / 1_000_000).unwrap_or(0);
    let drawn = millis << EPOCH_CHANCE_BITS | chance;
    // Where the clock was set back, chance alone tells them apart.
    if drawn > highest { drawn } else { highest.saturating_add(1 + chance) }
}

/// How far a restore has come.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    point: JournalPoint,
    commit_clock: i64,
    /// The next entry lies beyond the bound.
    ended: bool,
}

impl Reached {
    fn of(backup: &Backup) -> Self {
        Self { point: backup.through, commit_clock: backup.commit_clock, ended: false }
    }
}

/// Every file of the archive that some backup has, by its first entry.
struct Archive<'a> {
    target: &'a dyn BackupTarget,
    log: LogIdentity,
    files: BTreeMap<(u64, &'a str), &'a BackupArchiveFile>,
}

impl<'a> Archive<'a> {
    fn of(target: &'a dyn BackupTarget, log: LogIdentity, backups: &[&'a Backup]) -> Self {
        let archived = backups.iter().flat_map(|backup| &backup.archive);
        let files =
            archived.map(|archived| ((archived.first_index, &*archived.file.object), archived)).collect();
        Self { target, log, files }
    }

    /// The files that lead from `base` to the bound, or an error where one is missing on the way.
    fn plan(
        &self,
        base: Option<&Backup>,
        backups: &[&'a Backup],
        bound: RestoreBound,
    ) -> Result<Vec<&'a BackupArchiveFile>, BackupError> {
        let mut plan = Vec::new();
        let mut reached = base.map_or_else(Reached::default, Reached::of);
        // Not where the sequence is reached, but where the next batch lies beyond it: what came between, such as a
        // retraction, belongs to it, wherever a file of the archive ends.
        let met = |reached: &Reached| bound == RestoreBound::Latest || reached.ended;
        while !met(&reached) {
            let next_index = reached.point.entry.index + 1;
            let holds = |archived: &&BackupArchiveFile| {
                archived.first_index <= next_index && next_index <= archived.last_index
            };
            let Some(archived) = self.files.values().copied().find(|archived| holds(archived)) else {
                break;
            };
            self.entries(archived, &mut reached, bound, |_| Ok(()))?;
            plan.push(archived);
        }
        let oldest_seq = backups.first().map_or(0, |oldest| oldest.through.last_seq);
        if base.is_none() && reached.point.last_seq == 0 {
            return Err(BackupError::TooEarly { oldest_seq });
        }
        let beyond = backups.iter().find(|backup| backup.through.last_seq > reached.point.last_seq);
        match beyond {
            Some(next) if !met(&reached) && bound != RestoreBound::Seq(reached.point.last_seq) => {
                Err(BackupError::Unreachable {
                    reached_seq: reached.point.last_seq,
                    next_seq: next.through.last_seq,
                })
            }
            _ => Ok(plan),
        }
    }

    /// Hands on the entries of a file behind what was reached, up to the bound, and proves the rolling hash at its end.
    fn entries(
        &self,
        archived: &BackupArchiveFile,
        reached: &mut Reached,
        bound: RestoreBound,
        mut take: impl FnMut(&LogEntry) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let file = open_archived(self.target, self.log, archived)?;
        let place = || self.target.place(&archived.file.object);
        for entry in file.entries_from(reached.point.entry.index + 1) {
            let entry = entry?;
            let mut next = *reached;
            next.point.entry = entry.log_id();
            next.commit_clock = reached.commit_clock.max(entry.meta.proposed_at);
            if entry.first_seq > 0 {
                let batch =
                    EncodedBatch::from_log(entry.payload.clone()).map_err(|error| BackupError::Damaged {
                        place: place(),
                        reason: format!("entry {}: {error}", entry.meta.index),
                    })?;
                if entry.first_seq != reached.point.last_seq + 1 {
                    return Err(BackupError::Hash { place: place(), seq: entry.first_seq });
                }
                next.point.last_seq += batch.len() as u64;
                next.point.rolling_hash =
                    next_hash(reached.point.rolling_hash, entry.first_seq, &entry.payload);
            }
            let beyond = match bound {
                RestoreBound::Latest => false,
                RestoreBound::Seq(seq) => next.point.last_seq > seq,
                RestoreBound::Time(time) => entry.meta.proposed_at > time,
            };
            if beyond {
                reached.ended = true;
                return Ok(());
            }
            take(&LogEntry { position: LogPosition(0), meta: entry.meta, payload: entry.payload })?;
            *reached = next;
        }
        if reached.point != file.footer().through {
            return Err(BackupError::Hash { place: place(), seq: reached.point.last_seq });
        }
        Ok(())
    }
}

/// Reads a file of the archive into memory, checked, and opens it.
pub(super) fn open_archived(
    target: &dyn BackupTarget,
    log: LogIdentity,
    archived: &BackupArchiveFile,
) -> Result<ArchiveFile, BackupError> {
    let place = target.place(&archived.file.object);
    let scratch = MemoryVfs::new(0);
    let file = scratch.open(Path::new("/archived"), OpenMode::CreateNew);
    let file = file.map_err(|source| BackupError::io("read", place.clone(), source))?;
    let mut offset = 0;
    read_checked(target, &archived.file, |bytes| {
        file.write_all_at(offset, &[IoSlice::new(bytes)])?;
        offset += bytes.len() as u64;
        Ok(())
    })?;
    Ok(ArchiveFile::read(place.into(), file, log, archived.first_index)?)
}

/// The header of a log's first segment.
fn first_header(log: LogIdentity, created_at: i64) -> SegmentHeader {
    SegmentHeader {
        identity: log.segment(1),
        segment_bytes: 0,
        base: LogPosition(0),
        previous_end: LogPosition(0),
        created_at,
        chain: 0,
        last_log_id: LogId::default(),
        last_proposed_at: 0,
        commit_index: 0,
        vote: None,
        purge: None,
        membership: None,
        facts: SegmentFacts::default(),
    }
}
