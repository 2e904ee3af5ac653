//! Taking in a snapshot of another node: its files first, then everything in one step.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_history::{HistoryFile, HistoryIdentity, HistorySeal};
use tapebook_lsm::manifest::layout::{history_name, state_name, table_name};
use tapebook_lsm::manifest::{self, StateFile, StateHeader, StorageError, Version, VersionEdit};
use tapebook_lsm::sstable::{Table, TableIdentity};
use tapebook_record::Schemas;
use tapebook_record::codec::DecodeError;
use tapebook_vfs::{File, OpenMode, Vfs, without_path};
use tapebook_wal::LogId;

use super::Replica;
use super::snapshot::{Described, history_part, table_part};
use crate::files::FlushedTimes;
use crate::history_names::publish_names;
use crate::state::decode_state;
use crate::{FlushError, Layout, Membership, OpenError};

/// Why a snapshot was not taken in. What was here stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The description is cut off or of another version.
    #[error("the description of a snapshot: {0}")]
    Decode(#[from] DecodeError),
    /// The description does not hang together.
    #[error("the description of a snapshot: {reason}")]
    Description {
        /// How.
        reason: String,
    },
    /// It belongs to another cluster or epoch.
    #[error(
        "a snapshot of cluster {found:032x} in epoch {found_epoch}, expected {expected:032x} in epoch {expected_epoch}"
    )]
    Foreign {
        /// This node's cluster.
        expected: u128,
        /// This node's epoch.
        expected_epoch: u64,
        /// The sender's cluster.
        found: u128,
        /// The sender's epoch.
        found_epoch: u64,
    },
    /// A piece of a file that the snapshot does not have, or not there.
    #[error("{name}: a piece at byte {offset}, expected at byte {expected}")]
    Piece {
        /// The file.
        name: String,
        /// Where the piece should lie.
        offset: u64,
        /// Where the next one begins.
        expected: u64,
    },
    /// A file is not what the description says; it was removed.
    #[error("{name}: {reason}; it is fetched again with the next attempt")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A file could not be written, read or renamed.
    #[error("{}: cannot {operation}: {}", path.display(), without_path(source, path))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A backup or checkpoint reads the files that would go.
    #[error(
        "a backup or checkpoint is reading the files that would be replaced; try again when it has ended"
    )]
    Held,
    /// The log does not reach up to the snapshot.
    #[error("the log ends with entry {found}, expected at least {expected}")]
    LogBehind {
        /// The snapshot's last entry.
        expected: u64,
        /// The log's.
        found: u64,
    },
    /// The state or the version edit could not be written.
    #[error(transparent)]
    Files(#[from] FlushError),
    /// The state file could not be written.
    #[error(transparent)]
    State(#[from] StorageError),
    /// A file that was checked and moved cannot be opened.
    #[error(transparent)]
    Open(#[from] Box<OpenError>),
    /// A panic ended compacting; a restart reads the disk.
    #[error("a panic ended an earlier step; a restart reads the disk")]
    Interrupted,
}

/// Files of a snapshot on their way here.
pub struct Incoming {
    vfs: Arc<dyn Vfs>,
    layout: Layout,
    described: Described,
    parts: Vec<IncomingPart>,
}

struct IncomingPart {
    name: String,
    bytes: u64,
    /// How much of it is here. After a power cut it may be less than it looks like, which the checksums find.
    have: u64,
    file: Option<Arc<dyn File>>,
}

/// A snapshot whose files are all here, checked and durable.
pub struct Received {
    described: Described,
}

impl Received {
    /// The last entry in it.
    pub fn applied(&self) -> LogId {
        self.described.applied()
    }

    /// The membership at that entry.
    pub fn membership(&self) -> Option<(LogId, Membership)> {
        self.described.membership()
    }
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> InstallError {
    InstallError::Io { operation, path: path.to_owned(), source }
}

impl Replica {
    /// Begins to take in a snapshot. What an earlier attempt has fetched of the same files is used.
    pub fn receive(&self, description: &[u8]) -> Result<Incoming, InstallError> {
        let described = Described::decode(description)?;
        let identity = self.db.flusher.store.identity;
        let (expected, expected_epoch) = (identity.cluster_id, self.db.epoch());
        let (found, found_epoch) = (described.cluster_id, described.header.epoch);
        if (expected, expected_epoch) != (found, found_epoch) {
            return Err(InstallError::Foreign { expected, expected_epoch, found, found_epoch });
        }
        let (vfs, layout) = (Arc::clone(&self.db.vfs), self.db.layout.clone());
        let dir = layout.incoming();
        vfs.create_dir_all(&dir).map_err(|source| io_error("create the directory", &dir, source))?;
        let here = self.db.version();
        let mut parts = Vec::new();
        for file in &described.edit.tables_added {
            let same = here.table(file.file_id).is_some_and(|ours| ours.checksum == file.checksum);
            let ours = same.then(|| layout.table(file.file_id));
            parts.extend(IncomingPart::begun(&*vfs, &dir, table_part(file), file.bytes, ours)?);
        }
        for file in &described.edit.history_added {
            let same = here.history_file(file.file_id).is_some_and(|ours| ours.tail_crc == file.tail_crc);
            let ours = same.then(|| layout.history(file.file_id));
            parts.extend(IncomingPart::begun(&*vfs, &dir, history_part(file), file.bytes, ours)?);
        }
        Ok(Incoming { vfs, layout, described, parts })
    }

    /// Puts a snapshot in the place of everything that is here. The log must reach up to it ([`Replica::jump_log`]).
    ///
    /// One version edit decides: before it a restart finds what was here, after it the snapshot.
    pub fn install(&self, received: Received) -> Result<(), InstallError> {
        let (db, described) = (&self.db, received.described);
        let applied = described.applied();
        let found = self.durable_index();
        if found < applied.index {
            return Err(InstallError::LogBehind { expected: applied.index, found });
        }
        // An old one, or one that came twice: no state goes back.
        if self.applied().0.index >= applied.index {
            return Ok(());
        }
        // Nothing is merged meanwhile: its inputs would be gone, and files of the same numbers in their place.
        let _compaction = db.compactor.hold().ok_or(InstallError::Interrupted)?;
        let mut files = db.flusher.files.lock().map_err(|_| InstallError::Interrupted)?;
        if files.are_held() {
            return Err(InstallError::Held);
        }
        let before = files.version()?;
        files.skip_ids(described.edit.next_file_id.unwrap_or(0));
        let header = StateHeader {
            node_id: db.flusher.store.identity.node_id,
            file_id: files.take_id(),
            ..described.header
        };
        let state_path = db.layout.state(header.file_id);
        StateFile::write(&*db.vfs, &state_path, &header, &described.sections)?;
        files.commit(VersionEdit {
            tables_removed: before.tables().map(|file| file.file_id).collect(),
            history_removed: before.history().map(|file| file.file_id).collect(),
            partitions_removed: before.partitions().map(|partition| partition.id).collect(),
            state: Some(header.to_ref()),
            log_start: Some(applied.index + 1),
            last_seq: Some(described.header.last_seq),
            next_file_id: None,
            epoch: None,
            ..described.edit
        })?;
        let version = files.version()?;
        move_installed(&*db.vfs, &db.layout, &version).map_err(Box::new)?;
        let state = decode_state(&header, &described.sections)?;
        let (tables, history) = crate::open::open_files(
            &*db.vfs,
            &db.layout,
            db.flusher.store.identity,
            &version,
            &state.schemas,
        )
        .map_err(Box::new)?;
        files.flushed = FlushedTimes::of(&tables, history.files(), &state.symbols);
        files.retire(gone(&before, &version));
        db.committer.begin_anew(state, tables, history)?;
        self.log.installed(applied);
        // Readers have what they read open. What cannot be done now is tried again with the next change.
        let tidied = publish_names(&*db.vfs, db.layout.root(), &version);
        let tidied = tidied.and_then(|()| files.remove_retired(&db.flusher.store));
        let tidied = tidied.and_then(|()| clear_incoming(&*db.vfs, &db.layout));
        db.committer.flush.lock().leftovers = tidied.err().map(Arc::new);
        Ok(())
    }
}

/// Removes what other attempts have fetched and no snapshot needed.
fn clear_incoming(vfs: &dyn Vfs, layout: &Layout) -> Result<(), FlushError> {
    let dir = layout.incoming();
    let io_error = |operation, path: PathBuf, source| FlushError::Io { operation, path, source };
    for entry in vfs.read_dir(&dir).map_err(|source| io_error("list", dir.clone(), source))? {
        let path = dir.join(&entry.name);
        vfs.remove_file(&path).map_err(|source| io_error("remove a file", path.clone(), source))?;
    }
    Ok(())
}

/// Names of files that the new version does without.
fn gone(before: &Version, now: &Version) -> Vec<String> {
    let tables = before.tables().filter(|file| now.table(file.file_id).is_none());
    let history = before.history().filter(|file| now.history_file(file.file_id).is_none());
    let state = before.state().map(|state| state_name(state.file_id));
    tables
        .map(|file| table_name(file.file_id))
        .chain(history.map(|file| history_name(file.file_id)))
        .chain(state)
        .collect()
}

/// Moves files that a version names from where they came in to where they belong. A restart does the same: so it does not matter
/// where a crash cut this short.
pub(crate) fn move_installed(vfs: &dyn Vfs, layout: &Layout, version: &Version) -> Result<(), OpenError> {
    let dir = layout.incoming();
    let io_error =
        |operation, path: &Path, source| OpenError::Io { operation, path: path.to_owned(), source };
    if !vfs.exists(&dir).map_err(|source| io_error("look for the directory", &dir, source))? {
        return Ok(());
    }
    let tables = version.tables().map(|file| (table_part(file), layout.table(file.file_id)));
    let history = version.history().map(|file| (history_part(file), layout.history(file.file_id)));
    for (name, to) in tables.chain(history) {
        let from = dir.join(name);
        if vfs.exists(&from).map_err(|source| io_error("look for a file", &from, source))? {
            vfs.rename(&from, &to).map_err(|source| io_error("move a file", &from, source))?;
        }
    }
    for path in [layout.tables(), dir] {
        vfs.sync_dir(&path).map_err(|source| io_error("sync the directory", &path, source))?;
    }
    Ok(())
}

impl IncomingPart {
    /// `None` where this node has the very file: it gets a second name, because compaction may do without it before the snapshot is
    /// in place.
    fn begun(
        vfs: &dyn Vfs,
        dir: &Path,
        name: String,
        bytes: u64,
        ours: Option<PathBuf>,
    ) -> Result<Option<Self>, InstallError> {
        let path = dir.join(&name);
        let have = match vfs.open(&path, OpenMode::Read).and_then(|file| file.len()) {
            Ok(have) => have.min(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Where it cannot be linked, or has just gone, it is fetched.
                if ours.is_some_and(|ours| vfs.hard_link(&ours, &path).is_ok()) {
                    return Ok(None);
                }
                0
            }
            Err(source) => return Err(io_error("read", &path, source)),
        };
        Ok(Some(Self { name, bytes, have, file: None }))
    }
}

impl Incoming {
    /// The files that are wanted, and from which byte on.
    pub fn wanted(&self) -> Vec<(String, u64)> {
        let missing = self.parts.iter().filter(|part| part.have < part.bytes);
        missing.map(|part| (part.name.clone(), part.have)).collect()
    }

    /// Takes the next piece of a file.
    pub fn write(&mut self, name: &str, offset: u64, piece: &[u8]) -> Result<(), InstallError> {
        let refused = |expected| InstallError::Piece { name: name.to_owned(), offset, expected };
        let path = self.layout.incoming().join(name);
        let part = self.parts.iter_mut().find(|part| part.name == name).ok_or_else(|| refused(0))?;
        if offset != part.have || part.have + piece.len() as u64 > part.bytes {
            return Err(refused(part.have));
        }
        let file = match &part.file {
            Some(file) => file,
            None => {
                let opened = self.vfs.open(&path, OpenMode::CreateOrOpen);
                part.file.insert(opened.map_err(|source| io_error("create", &path, source))?)
            }
        };
        file.write_all_at(offset, &[IoSlice::new(piece)])
            .map_err(|source| io_error("write", &path, source))?;
        part.have += piece.len() as u64;
        Ok(())
    }

    /// Checks every checksum of every file and makes them durable. A file that is damaged is removed.
    pub fn finish(self) -> Result<Received, InstallError> {
        let dir = self.layout.incoming();
        for part in &self.parts {
            let path = dir.join(&part.name);
            if part.have < part.bytes {
                let (name, offset) = (part.name.clone(), part.bytes);
                return Err(InstallError::Piece { name, offset, expected: part.have });
            }
            let file = match &part.file {
                Some(file) => Arc::clone(file),
                None => self
                    .vfs
                    .open(&path, OpenMode::ReadWrite)
                    .map_err(|source| io_error("open", &path, source))?,
            };
            file.sync_data().map_err(|source| io_error("sync", &path, source))?;
        }
        if let Some((name, reason)) = self.first_damage() {
            let path = dir.join(&name);
            self.vfs.remove_file(&path).map_err(|source| io_error("remove", &path, source))?;
            return Err(InstallError::Damaged { name, reason });
        }
        self.vfs.sync_dir(&dir).map_err(|source| io_error("sync the directory", &dir, source))?;
        Ok(Received { described: self.described })
    }

    fn first_damage(&self) -> Option<(String, String)> {
        let came = |name: &String| self.parts.iter().any(|part| part.name == *name);
        for file in &self.described.edit.tables_added {
            let name = table_part(file);
            if came(&name)
                && let Err(reason) = self.check_table(&name, file.file_id, file.checksum)
            {
                return Some((name, reason));
            }
        }
        for file in &self.described.edit.history_added {
            let name = history_part(file);
            if came(&name)
                && let Err(reason) = self.check_history(&name, file)
            {
                return Some((name, reason));
            }
        }
        None
    }

    fn check_table(&self, name: &str, file_id: u64, expected: u32) -> Result<(), String> {
        let identity = TableIdentity { cluster_id: self.described.cluster_id, file_id };
        let path = self.layout.incoming().join(name);
        let table = Table::open(&*self.vfs, &path, identity).map_err(|error| error.to_string())?;
        let found = table.footer_checksum();
        if found != expected {
            return Err(format!("footer checksum {found:#010x}, expected {expected:#010x}"));
        }
        table.scrub(|_| true).map(drop).map_err(|error| error.to_string())
    }

    fn check_history(&self, name: &str, file: &manifest::HistoryFile) -> Result<(), String> {
        let schemas = Schemas::standard();
        let schema = schemas.get(file.table).ok_or_else(|| format!("table {} is not known", file.table.0))?;
        let identity = HistoryIdentity { cluster_id: self.described.cluster_id, file_id: file.file_id };
        let seal =
            HistorySeal { file_bytes: file.bytes, tail_bytes: file.tail_bytes, tail_crc: file.tail_crc };
        let path = self.layout.incoming().join(name);
        let opened = HistoryFile::open(&*self.vfs, &path, identity, Some(seal), schema);
        opened.and_then(|file| file.verify()).map_err(|error| error.to_string())
    }
}
