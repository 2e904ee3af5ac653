//! Flush: the oldest frozen MemTable becomes an SSTable, its state a state file, and the log before it is dropped.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapebook_lsm::key::{Direction, TimeRange};
use tapebook_lsm::manifest::layout::TEMPORARY_SUFFIX;
use tapebook_lsm::manifest::{
    Identity, LogRange, Manifest, ManifestError, PARTITION_AS_FLUSHED, SeqRange, StateFile, StateHeader,
    StateRef, TableFile, Version, VersionEdit,
};
use tapebook_lsm::sstable::{Table, TableIdentity, TableMeta, TableWriter, TableWriterOptions};
use tapebook_vfs::Vfs;
use tapebook_wal::{LogIdentity, Wal};

use crate::apply::Frozen;
use crate::archive::Archive;
use crate::commit::Committer;
use crate::state::{encode_sections, to_manifest};
use crate::{ArchivingError, FlushError, Layout};

/// How long the flushing thread waits before it tries again after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Writes files and version edits, one flush at a time.
///
/// Lock order: `files`, then what is committed, then the flush signal.
#[derive(Debug)]
pub(crate) struct Flusher {
    pub vfs: Arc<dyn Vfs>,
    pub layout: Layout,
    pub identity: Identity,
    pub options: TableWriterOptions,
    pub files: Mutex<Files>,
}

/// What only a flush changes.
#[derive(Debug)]
pub(crate) struct Files {
    /// `None` once the database is closed.
    manifest: Option<Manifest>,
    /// The version edit whose outcome is unknown. The files that it names may be in use, so no flush may touch a file
    /// again before the manifest is read anew.
    unknown: Option<Arc<FlushError>>,
    /// State files that no version names any more.
    obsolete_states: Vec<u64>,
    /// Where the journal is kept, `None` where it is not.
    pub(crate) archive: Option<Archive>,
}

impl Files {
    pub(crate) fn new(manifest: Manifest, archive: Option<Archive>) -> Self {
        Self { manifest: Some(manifest), unknown: None, obsolete_states: Vec::new(), archive }
    }

    /// The current version, for whoever holds the lock and with it every file that the version names.
    pub(crate) fn version(&self) -> Result<Arc<Version>, FlushError> {
        if let Some(error) = &self.unknown {
            return Err(FlushError::Again(Arc::clone(error)));
        }
        let manifest = self.manifest.as_ref().ok_or(FlushError::Closed)?;
        Ok(Arc::clone(manifest.version()))
    }
}

impl Flusher {
    /// Flushes the oldest frozen MemTable; false where there is none.
    ///
    /// Everything that the version edit names is durable before it is committed, and the MemTable leaves the
    /// snapshot in the moment in which its file joins it.
    pub(crate) fn flush_one(&self, committer: &Committer, wal: &Wal<Committer>) -> Result<bool, FlushError> {
        let mut files = self.files.lock().map_err(|_| FlushError::Interrupted)?;
        let Some(frozen) = committer.lock_sound()?.applier.frozen.first().cloned() else {
            return Ok(false);
        };
        if let Some(error) = &files.unknown {
            return Err(FlushError::Again(Arc::clone(error)));
        }
        let files = &mut *files;
        let manifest = files.manifest.as_mut().ok_or(FlushError::Closed)?;
        let before = Arc::clone(manifest.version());
        let table_id = before.next_file_id();
        let state_id = table_id + 1;
        // Before the edit: behind it, a restart no longer knows which batches were turned away.
        if let Some(archive) = &mut files.archive {
            archive.extend(&before, &frozen, wal)?;
        }
        let (file, table) = self.write_table(table_id, &frozen)?;
        let state = self.write_state(state_id, before.epoch(), &frozen)?;
        let edit = VersionEdit {
            tables_added: vec![file],
            state: Some(state),
            log_start: Some(frozen.state.applied.index + 1),
            next_file_id: Some(state_id + 1),
            last_seq: Some(frozen.state.last_seq),
            ..VersionEdit::default()
        };
        match manifest.commit(&edit) {
            Ok(_) => {}
            Err(error @ ManifestError::Poisoned(_)) => {
                let error = Arc::new(FlushError::from(error));
                files.unknown = Some(Arc::clone(&error));
                return Err(FlushError::Again(error));
            }
            Err(error) => return Err(error.into()),
        }
        publish(committer, table, &frozen);
        files.obsolete_states.extend(before.state().map(|old| old.file_id));
        let tidied = self.tidy(files, wal, frozen.state.applied.index);
        committer.flush.lock().leftovers = tidied.err().map(Arc::new);
        Ok(true)
    }

    /// Removes what the new version does without. The rows are safe whatever becomes of this, and what stays is tried
    /// again with the next flush, or by the next open.
    fn tidy(&self, files: &mut Files, wal: &Wal<Committer>, applied_index: u64) -> Result<(), FlushError> {
        while let Some(file_id) = files.obsolete_states.last() {
            let path = self.layout.state(*file_id);
            if self.exists(&path)? {
                self.remove(&path)?;
            }
            files.obsolete_states.pop();
        }
        wal.purge_through(applied_index)?;
        if let Some(archive) = &files.archive {
            archive.retain().map_err(ArchivingError::from)?;
        }
        Ok(())
    }

    /// Whose log it is.
    pub(crate) fn log_identity(&self) -> LogIdentity {
        LogIdentity { cluster_id: self.identity.cluster_id, node_id: self.identity.node_id }
    }

    /// Ends the manifest's log. Nothing depends on how: what it says is durable already, but for a mark that helps to
    /// judge later damage.
    pub(crate) fn close(&self) {
        let manifest = self.files.lock().unwrap_or_else(PoisonError::into_inner).manifest.take();
        if let Some(manifest) = manifest {
            let _ = manifest.close();
        }
    }

    fn write_table(&self, file_id: u64, frozen: &Frozen) -> Result<(TableFile, Arc<Table>), FlushError> {
        let path = self.layout.table(file_id);
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(TEMPORARY_SUFFIX);
        let unfinished = Path::new(&unfinished);
        let identity = TableIdentity { cluster_id: self.identity.cluster_id, file_id };
        if self.exists(&path)? {
            // Left by an attempt whose version edit did not come about; nothing refers to it.
            self.remove(&path)?;
        }
        if self.exists(unfinished)? {
            self.remove(unfinished)?;
        }
        if let Err(error) = self.write_rows(unfinished, identity, frozen) {
            // Where even this fails, the next attempt or the next open removes it.
            let _ = self.vfs.remove_file(unfinished);
            return Err(error);
        }
        self.vfs.rename(unfinished, &path).map_err(|source| io_error("rename the SSTable", &path, source))?;
        let dir = self.layout.tables();
        self.vfs.sync_dir(&dir).map_err(|source| io_error("sync the directory", &dir, source))?;
        let table = Table::open(&*self.vfs, &path, identity)?;
        Ok((describe(file_id, &table, frozen), table))
    }

    fn write_rows(&self, path: &Path, identity: TableIdentity, frozen: &Frozen) -> Result<(), FlushError> {
        let state = &frozen.state;
        let mut writer = TableWriter::create(&*self.vfs, path, identity, &state.schemas, self.options)?;
        for series in frozen.memtable.series_in_key_order(&state.symbols) {
            let Some(rows) = frozen.memtable.series(series, state.last_seq, &state.symbols) else { continue };
            for record in rows.scan(TimeRange::ALL, Direction::Forward) {
                writer.add(series.table, &record)?;
            }
        }
        writer.finish(TableMeta {
            level: 0,
            partition: TimeRange::ALL,
            log_index_first: frozen.first_index,
            log_index_last: state.applied.index,
            term_min: frozen.first_term,
            term_max: state.applied.term,
            ..TableMeta::default()
        })?;
        Ok(())
    }

    fn write_state(&self, file_id: u64, epoch: u64, frozen: &Frozen) -> Result<StateRef, FlushError> {
        let state = &frozen.state;
        let header = StateHeader {
            cluster_id: self.identity.cluster_id,
            node_id: self.identity.node_id,
            file_id,
            applied: to_manifest(state.applied),
            last_seq: state.last_seq,
            epoch,
            rolling_hash: state.rolling_hash,
            commit_clock: state.commit_clock,
        };
        StateFile::write(&*self.vfs, &self.layout.state(file_id), &header, &encode_sections(state))?;
        Ok(header.to_ref())
    }

    fn exists(&self, path: &Path) -> Result<bool, FlushError> {
        self.vfs.exists(path).map_err(|source| io_error("look for a file", path, source))
    }

    fn remove(&self, path: &Path) -> Result<(), FlushError> {
        self.vfs.remove_file(path).map_err(|source| io_error("remove a file", path, source))
    }
}

fn describe(file_id: u64, table: &Table, frozen: &Frozen) -> TableFile {
    let (first, last) = table.seq_range().expect("only MemTables with rows are frozen");
    TableFile {
        file_id,
        level: 0,
        bytes: table.file_bytes(),
        rows: table.rows(),
        partition: PARTITION_AS_FLUSHED,
        times: table.time_range(),
        seqs: SeqRange { first, last },
        log_indexes: LogRange { first: frozen.first_index, last: frozen.state.applied.index },
        checksum: table.footer_checksum(),
        tables: table.tables().iter().map(|stats| stats.table).collect(),
    }
}

fn publish(committer: &Committer, table: Arc<Table>, frozen: &Frozen) {
    let mut committed = committer.lock();
    committed.tables.push(table);
    let flushed = committed.applier.frozen.remove(0);
    debug_assert!(Arc::ptr_eq(&flushed.memtable, &frozen.memtable), "MemTables are flushed oldest first");
    committer.publish_pieces(&mut committed);
}

fn io_error(operation: &'static str, path: &Path, source: std::io::Error) -> FlushError {
    FlushError::Io { operation, path: path.to_owned(), source }
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
