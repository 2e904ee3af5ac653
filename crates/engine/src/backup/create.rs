//! Making a backup of an open database.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tapebook_lsm::manifest::layout::{TABLES_FOLDER, files_in_use, state_name, table_name};
use tapebook_lsm::manifest::{Manifest, ManifestOptions, Version};
use tapebook_vfs::{File, MemoryVfs, OpenMode, Vfs};
use tapebook_wal::{ArchiveFile, JournalPoint, SegmentFacts, archive_name, list_archive};

use super::checked::Hashing;
use super::record::{encode_record, record_name};
use super::target::FileReader;
use super::{Backup, BackupArchiveFile, BackupError, BackupFile, BackupTarget, list_backups};
use crate::journal::flushed;
use crate::{Db, FlushError};

/// What a backup wrote.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BackupReport {
    /// The backup's number.
    pub number: u64,
    /// The last sequence number in it.
    pub last_seq: u64,
    /// The rolling hash up to there.
    pub rolling_hash: [u8; 16],
    /// Objects that were copied.
    pub objects_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Objects that the target had already.
    pub objects_shared: u64,
}

/// Where the parts that are written anew come to be, before they are copied.
const SCRATCH: &str = "/scratch";

/// What has to be held together while the database goes on. Files are open, so that they stay readable.
struct Captured {
    version: Arc<Version>,
    through: JournalPoint,
    commit_clock: i64,
    files: Vec<(String, String, Arc<dyn File>)>,
    archive: Vec<(String, String, ArchiveFile)>,
    scratch: MemoryVfs,
}

impl Db {
    /// Copies to `target` everything that a snapshot shows now, and the archive of the journal, as far as the target
    /// lacks it. Appends go on meanwhile. Where this fails or is cut off, earlier backups are as they were.
    pub fn backup(&self, target: &dyn BackupTarget) -> Result<BackupReport, BackupError> {
        let earlier = list_backups(target)?;
        let log = self.flusher.log_identity();
        if let Some(other) = earlier.iter().find(|backup| backup.log.cluster_id != log.cluster_id) {
            let place = target.place(&record_name(other.number));
            let (expected, found) = (log.cluster_id, other.log.cluster_id);
            return Err(BackupError::Foreign { place, expected, found });
        }
        let number = earlier.last().map_or(1, |newest| newest.number + 1);
        self.flush()?;
        let captured = self.capture_backup()?;
        let mut copying = Copying::new(target, &earlier, number)?;
        let mut backup = Backup {
            number,
            log,
            epoch: captured.version.epoch(),
            created_at: self.vfs.clock().unix_nanos(),
            through: captured.through,
            commit_clock: captured.commit_clock,
            log_start: captured.version.log_start(),
            files: Vec::new(),
            archive: Vec::new(),
        };
        for (name, object, file) in captured.files {
            backup.files.push(copying.copy(name, object, &mut FileReader::new(file))?);
        }
        for (name, object, file) in captured.archive {
            let footer = *file.footer();
            backup.archive.push(BackupArchiveFile {
                file: copying.copy(name, object, &mut FileReader::new(Arc::clone(file.file())))?,
                first_index: footer.first_index,
                last_index: footer.through.entry.index,
                last_seq: footer.through.last_seq,
            });
        }
        for (name, bytes) in self.written_anew(&captured.scratch, &captured.version)? {
            let object = format!("objects/backup-{number:06}/{name}");
            backup.files.push(copying.copy(name, object, &mut &bytes[..])?);
        }
        let record = encode_record(&backup);
        let name = record_name(number);
        let written = target.put(&name, &mut &record[..]);
        written.map_err(|source| BackupError::io("write", target.place(&name), source))?;
        let CheckedPoint { last_seq, rolling_hash } = CheckedPoint::of(&backup.through);
        Ok(BackupReport { number, last_seq, rolling_hash, ..copying.report })
    }

    /// Opens one version's files and the archive's, and copies the log behind the version. Nothing of it can be removed
    /// before this returns, because whoever removes files holds the same lock.
    fn capture_backup(&self) -> Result<Captured, BackupError> {
        let held = self.flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        let version = held.version()?;
        let wal = self.wal.as_ref().ok_or(FlushError::Closed)?;
        let (through, commit_clock) = {
            let committed = self.committer.lock_sound()?;
            let state = &committed.applier.state;
            let (entry, last_seq, rolling_hash) = (state.applied, state.last_seq, state.rolling_hash);
            (JournalPoint { entry, last_seq, rolling_hash }, state.commit_clock)
        };
        let open = |path: &Path| {
            let opened = self.vfs.open(path, OpenMode::Read);
            opened.map_err(|source| BackupError::io("open", path.display().to_string(), source))
        };
        let objects = object_names(&version, self.flusher.store.identity.created_at);
        let mut files = Vec::new();
        for name in files_in_use(&version) {
            let file = open(&self.layout.root().join(&name))?;
            let object = objects.get(&name).cloned().unwrap_or_else(|| format!("objects/{name}"));
            files.push((name, object, file));
        }
        let dir = self.layout.archive();
        let listed = list_archive(&*self.vfs, &dir);
        let listed = listed.map_err(|source| BackupError::io("list", dir.display().to_string(), source))?;
        let mut archive = Vec::new();
        for first_index in listed {
            let file = ArchiveFile::open(&*self.vfs, &dir, self.flusher.log_identity(), first_index)?;
            let object = format!("objects/archive/{first_index:020}-{:08x}.tape", file.footer().crc);
            // An archive of before the last fork belongs to another journal.
            if file.header().epoch == version.epoch() {
                archive.push((format!("archive/{}", archive_name(first_index)), object, file));
            }
        }
        let behind = flushed(&version);
        let facts = SegmentFacts {
            last_seq: behind.last_seq,
            at_index: behind.entry.index,
            rolling_hash: behind.rolling_hash,
        };
        let scratch = MemoryVfs::new(0);
        let copy_to: Arc<dyn Vfs> = Arc::new(scratch.clone());
        let copy =
            wal.copy_behind(&copy_to, behind.entry, through.entry, facts, &Path::new(SCRATCH).join("wal"))?;
        copy.finish()?;
        Ok(Captured { version, through, commit_clock, files, archive, scratch })
    }

    /// Manifest and log of the backup, by their names in a data directory.
    fn written_anew(
        &self,
        scratch: &MemoryVfs,
        version: &Version,
    ) -> Result<Vec<(String, Vec<u8>)>, BackupError> {
        let vfs: Arc<dyn Vfs> = Arc::new(scratch.clone());
        let root = Path::new(SCRATCH);
        let (identity, version) = (self.flusher.store.identity, version.clone());
        let options = ManifestOptions { append_bytes: 4096 };
        Manifest::create_from(vfs, root, identity, options, version)?.close()?;
        let io = |source| BackupError::io("prepare", "the manifest of the backup".to_owned(), source);
        let mut written = Vec::new();
        for folder in ["", "wal"] {
            for entry in
                scratch.read_dir(&root.join(folder)).map_err(io)?.iter().filter(|entry| !entry.is_dir)
            {
                let name =
                    if folder.is_empty() { entry.name.clone() } else { format!("{folder}/{}", entry.name) };
                let bytes = scratch.file_bytes(root.join(&name)).map_err(io)?;
                written.push((name, bytes));
            }
        }
        Ok(written)
    }
}

struct CheckedPoint {
    last_seq: u64,
    rolling_hash: [u8; 16],
}

impl CheckedPoint {
    fn of(point: &JournalPoint) -> Self {
        Self { last_seq: point.last_seq, rolling_hash: point.rolling_hash }
    }
}

/// The object of each file: its number in its directory, and something of its content, so that a directory that was put
/// back to an older state cannot pass off another file under the same number.
fn object_names(version: &Version, created_at: i64) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for file in version.tables() {
        let object = format!("objects/{TABLES_FOLDER}/{:06}-{:08x}.sst", file.file_id, file.checksum);
        names.insert(table_name(file.file_id), object);
    }
    for file in version.history() {
        let (id, rows, bytes) = (file.file_id, file.rows, file.bytes);
        names.insert(
            file.path.clone(),
            format!("objects/history/{created_at:x}-{id:06}-{rows}-{bytes}.parquet"),
        );
    }
    if let Some(state) = version.state() {
        let content = u128::from_le_bytes(state.rolling_hash);
        let (id, index) = (state.file_id, state.applied.index);
        let object = format!("objects/state/{created_at:x}-{id:06}-{index}-{content:032x}.state");
        names.insert(state_name(state.file_id), object);
    }
    names
}

/// Copies what the target lacks.
struct Copying<'a> {
    target: &'a dyn BackupTarget,
    /// Objects whose hash a record knows and that are there.
    known: HashMap<String, BackupFile>,
    report: BackupReport,
}

impl<'a> Copying<'a> {
    fn new(target: &'a dyn BackupTarget, earlier: &[Backup], number: u64) -> Result<Self, BackupError> {
        let mut known: HashMap<String, BackupFile> = HashMap::new();
        for file in earlier.iter().flat_map(Backup::objects) {
            known.insert(file.object.clone(), file.clone());
        }
        let folder =
            |object: &str| object.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
        let folders: BTreeSet<String> = known.keys().map(|object| folder(object)).collect();
        let mut there = HashSet::new();
        for folder in folders {
            let listed = target.list(&folder);
            there.extend(listed.map_err(|source| BackupError::io("list", target.place(&folder), source))?);
        }
        known.retain(|object, _| there.contains(object));
        Ok(Self { target, known, report: BackupReport { number, ..BackupReport::default() } })
    }

    fn copy(
        &mut self,
        name: String,
        object: String,
        content: &mut dyn Read,
    ) -> Result<BackupFile, BackupError> {
        if let Some(known) = self.known.get(&object) {
            self.report.objects_shared += 1;
            return Ok(BackupFile { name, ..known.clone() });
        }
        let mut hashing = Hashing::new(content);
        let written = self.target.put(&object, &mut hashing);
        written.map_err(|source| BackupError::io("write", self.target.place(&object), source))?;
        let (bytes, hash) = (hashing.bytes, hashing.hash());
        self.report.objects_copied += 1;
        self.report.bytes_copied += bytes;
        Ok(BackupFile { name, object, bytes, hash })
    }
}
