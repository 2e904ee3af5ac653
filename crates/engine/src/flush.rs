//! Flush: the oldest frozen MemTable becomes SSTables, its state a state file, and the log before it is dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tapebook_lsm::key::{Direction, TimeRange};
use tapebook_lsm::manifest::layout::state_name;
use tapebook_lsm::manifest::{
    LogRange, PARTITION_AS_FLUSHED, StateFile, StateHeader, StateRef, Version, VersionEdit,
};
use tapebook_lsm::sstable::{Table, TableMeta, TableWriter};
use tapebook_wal::{LogId, LogIdentity, Wal};

use crate::apply::Frozen;
use crate::commit::Committer;
use crate::compact::Wake;
use crate::files::{Files, TableStore, describe};
use crate::producers::IdleProducers;
use crate::proposals::Proposals;
use crate::state::{encode_sections, to_manifest};
use crate::{ArchivingError, FlushError};

/// How long the flushing thread waits before it tries again after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Writes files and version edits, one flush at a time.
///
/// Lock order: `files`, then what is committed, then the flush signal.
#[derive(Debug)]
pub(crate) struct Flusher {
    pub store: TableStore,
    pub files: Mutex<Files>,
    /// As [`Files::current`], without waiting for who changes files.
    pub current: Arc<ArcSwap<Version>>,
    /// Compaction is told of every new file.
    pub compaction: Wake,
    /// After a flush it is looked whether producers have been idle for too long.
    pub idle: IdleProducers,
    /// Where changes of the journal go.
    pub proposals: Proposals,
}

impl Flusher {
    /// Flushes the oldest frozen MemTable; false where there is none.
    ///
    /// Everything that the version edit names is durable before it is committed, and the MemTable leaves the
    /// snapshot in the moment in which its files join it.
    pub(crate) fn flush_one(&self, committer: &Committer, wal: &Wal<Committer>) -> Result<bool, FlushError> {
        let mut files = self.files.lock().map_err(|_| FlushError::Interrupted)?;
        let Some(frozen) = committer.lock_sound()?.applier.frozen.first().cloned() else {
            return Ok(false);
        };
        let before = files.version()?;
        // Before the edit: behind it, a restart no longer knows which batches were turned away.
        if let Some(archive) = &mut files.archive {
            archive.extend(&before, &frozen, wal)?;
        }
        let mut written = Written::default();
        if let Err(error) = self.write_and_commit(&mut files, &mut written, before.epoch(), &frozen) {
            if !files.is_unknown() {
                written.ids.iter().for_each(|file_id| self.store.abandon(*file_id));
                files.give_back(written.ids);
            }
            return Err(error);
        }
        for table in &written.tables {
            files.flushed.add(table, &frozen.state.symbols);
        }
        publish(committer, &written.tables, &frozen);
        let (memtable, applied) = (Arc::downgrade(&frozen.memtable), frozen.state.applied);
        drop(frozen);
        committer.pinned.add(memtable);
        files.retire(before.state().map(|old| state_name(old.file_id)));
        let tidied = self.tidy(&mut files, wal, applied);
        committer.flush.lock().leftovers = tidied.err().map(Arc::new);
        drop(files);
        self.compaction.wake();
        self.idle.propose(&self.proposals, committer, wal);
        Ok(true)
    }

    fn write_and_commit(
        &self,
        files: &mut Files,
        written: &mut Written,
        epoch: u64,
        frozen: &Frozen,
    ) -> Result<(), FlushError> {
        self.write_tables(files, written, frozen)?;
        let state_id = written.take_id(files);
        let state = self.write_state(state_id, epoch, frozen)?;
        let log_indexes = LogRange { first: frozen.first_index, last: frozen.state.applied.index };
        let described =
            written.tables.iter().map(|table| describe(table, 0, PARTITION_AS_FLUSHED, log_indexes));
        files.commit(VersionEdit {
            tables_added: described.collect(),
            state: Some(state),
            log_start: Some(frozen.state.applied.index + 1),
            last_seq: Some(frozen.state.last_seq),
            ..VersionEdit::default()
        })
    }

    /// Removes what the new version does without. The rows are safe whatever becomes of this, and what stays is tried
    /// again with the next flush, or by the next open.
    fn tidy(&self, files: &mut Files, wal: &Wal<Committer>, applied: LogId) -> Result<(), FlushError> {
        files.remove_retired(&self.store)?;
        match &self.proposals {
            Proposals::Own { .. } => drop(wal.purge_through(applied.index)?),
            // Another node may need the entries still.
            Proposals::Cluster(consensus) => consensus.flushed(applied),
        }
        let held = files.are_held();
        if let Some(archive) = files.archive.as_mut().filter(|_| !held) {
            archive.retain().map_err(ArchivingError::from)?;
        }
        Ok(())
    }

    /// Whose log it is.
    pub(crate) fn log_identity(&self) -> LogIdentity {
        LogIdentity { cluster_id: self.store.identity.cluster_id, node_id: self.store.identity.node_id }
    }

    /// Ends the manifest's log. Nothing depends on how: what it says is durable already, but for a mark that helps to
    /// judge later damage.
    pub(crate) fn close(&self) {
        let manifest = self.files.lock().unwrap_or_else(PoisonError::into_inner).close();
        if let Some(manifest) = manifest {
            let _ = manifest.close();
        }
    }

    /// Rows in order go to one file, late ones to another; mostly there are only the first.
    fn write_tables(
        &self,
        files: &mut Files,
        written: &mut Written,
        frozen: &Frozen,
    ) -> Result<(), FlushError> {
        let state = &frozen.state;
        let (mut in_order, mut late) = (None, None);
        for series in frozen.memtable.series_in_key_order(&state.symbols) {
            let Some(rows) = frozen.memtable.series(series, state.last_seq, &state.symbols) else { continue };
            let latest = files.flushed.latest(series);
            let before =
                latest.checked_sub(1).map_or(TimeRange::EMPTY, |last| TimeRange { first: i64::MIN, last });
            let after = TimeRange { first: latest, last: i64::MAX };
            for (range, writer) in [(before, &mut late), (after, &mut in_order)] {
                if range.is_empty() {
                    continue;
                }
                for record in rows.scan(range, Direction::Forward) {
                    let (_, writer) = self.writer(writer, files, written, frozen)?;
                    writer.add(series.table, &record)?;
                }
            }
        }
        let meta = TableMeta {
            level: 0,
            partition: TimeRange::ALL,
            log_index_first: frozen.first_index,
            log_index_last: state.applied.index,
            term_min: frozen.first_term,
            term_max: state.applied.term,
            ..TableMeta::default()
        };
        for (file_id, writer) in in_order.into_iter().chain(late) {
            written.tables.push(self.store.end(file_id, writer, meta)?);
        }
        Ok(())
    }

    /// The writer, begun when its first row comes.
    fn writer<'w>(
        &self,
        writer: &'w mut Option<(u64, TableWriter)>,
        files: &mut Files,
        written: &mut Written,
        frozen: &Frozen,
    ) -> Result<&'w mut (u64, TableWriter), FlushError> {
        match writer {
            Some(begun) => Ok(begun),
            none => {
                let file_id = written.take_id(files);
                Ok(none.insert((file_id, self.store.begin(file_id, &frozen.state.schemas)?)))
            }
        }
    }

    fn write_state(&self, file_id: u64, epoch: u64, frozen: &Frozen) -> Result<StateRef, FlushError> {
        let (state, identity) = (&frozen.state, &self.store.identity);
        let header = StateHeader {
            cluster_id: identity.cluster_id,
            node_id: identity.node_id,
            file_id,
            applied: to_manifest(state.applied),
            last_seq: state.last_seq,
            epoch,
            rolling_hash: state.rolling_hash,
            commit_clock: state.commit_clock,
        };
        let path = self.store.layout.state(file_id);
        StateFile::write(&*self.store.vfs, &path, &header, &encode_sections(state))?;
        Ok(header.to_ref())
    }
}

/// What a flush has written so far.
#[derive(Debug, Default)]
struct Written {
    ids: Vec<u64>,
    tables: Vec<Arc<Table>>,
}

impl Written {
    fn take_id(&mut self, files: &mut Files) -> u64 {
        let file_id = files.take_id();
        self.ids.push(file_id);
        file_id
    }
}

fn publish(committer: &Committer, tables: &[Arc<Table>], frozen: &Frozen) {
    let mut committed = committer.lock();
    committed.tables.extend(tables.iter().map(Arc::clone));
    let flushed = committed.applier.frozen.remove(0);
    debug_assert!(Arc::ptr_eq(&flushed.memtable, &frozen.memtable), "MemTables are flushed oldest first");
    committer.publish_pieces(&mut committed);
}

/// The flushing thread: flushes whatever is frozen, tries again where it fails, ends when asked.
pub(crate) fn run(flusher: &Flusher, committer: &Committer, wal: &Wal<Committer>) {
    let _end = TellTheEnd(committer);
    loop {
        let mut signal = committer.flush.lock();
        while !signal.closing && committer.frozen() == 0 {
            signal = committer.flush.wait(signal);
        }
        if signal.closing {
            return;
        }
        signal.asked = false;
        drop(signal);
        match flusher.flush_one(committer, wal) {
            Ok(_) => {
                committer.flush.lock().failing = None;
                committer.flush.notify();
            }
            Err(error) => {
                let mut signal = committer.flush.lock();
                signal.failing = Some(Arc::new(error));
                signal.failures += 1;
                drop(signal);
                committer.flush.notify();
                let signal = committer.flush.lock();
                if !signal.closing && !signal.asked {
                    drop(committer.flush.wait_for(signal, RETRY_AFTER));
                }
            }
        }
    }
}

/// Nobody waits for a flushing thread that is gone, whether it was asked to end or a panic ended it.
struct TellTheEnd<'a>(&'a Committer);

impl Drop for TellTheEnd<'_> {
    fn drop(&mut self) {
        let mut signal = self.0.flush.lock();
        signal.ended = true;
        if std::thread::panicking() {
            signal.failing = Some(Arc::new(FlushError::Interrupted));
            signal.failures += 1;
        }
        drop(signal);
        self.0.flush.notify();
    }
}
