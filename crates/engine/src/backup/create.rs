//! Making a backup of an open database.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use tapebook_lsm::manifest::layout::{TABLES_FOLDER, files_in_use, history_name, state_name, table_name};
use tapebook_lsm::manifest::{Manifest, ManifestOptions, Version};
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};
use tapebook_wal::{ArchiveFile, ArchiveFooter, JournalPoint, SegmentFacts, archive_name, list_archive};
use xxhash_rust::xxh3::xxh3_128;

use super::checked::Hashing;
use super::held::HeldFiles;
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

/// What has to be held together while the database goes on.
struct Captured<'a> {
    version: Arc<Version>,
    through: JournalPoint,
    commit_clock: i64,
    scratch: MemoryVfs,
    _held: HeldFiles<'a>,
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
        let (version, created_at) = (&captured.version, self.vfs.clock().unix_nanos());
        let files = object_names(version, self.flusher.store.identity.created_at);
        let archive = self.archive_to_copy(version, &captured.through)?;
        let wanted =
            files.iter().map(|(_, object)| object).chain(archive.iter().map(|(_, object, _)| object));
        let mut copying = Copying::new(target, &earlier, number, wanted)?;
        let mut backup = Backup {
            number,
            log,
            epoch: version.epoch(),
            created_at,
            through: captured.through,
            commit_clock: captured.commit_clock,
            log_start: version.log_start(),
            files: Vec::new(),
            archive: Vec::new(),
        };
        for (name, object) in files {
            let path = self.layout.root().join(&name);
            backup.files.push(copying.copy_file(&*self.vfs, &path, name, object)?);
        }
        for (first_index, object, footer) in archive {
            let name = archive_name(first_index);
            let path = self.layout.archive().join(&name);
            backup.archive.push(BackupArchiveFile {
                file: copying.copy_file(&*self.vfs, &path, format!("archive/{name}"), object)?,
                first_index,
                last_index: footer.through.entry.index,
                last_seq: footer.through.last_seq,
            });
        }
        for (name, bytes) in self.written_anew(&captured.scratch, version)? {
            let object = own_object(number, &name, &bytes);
            let length = bytes.len() as u64;
            backup.files.push(copying.copy(name, object, &mut &bytes[..], length)?);
        }
        let name = record_name(number);
        target.put_new(&name, &encode_record(&backup)).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Overtaken { place: target.place(&name) },
            _ => BackupError::io("write", target.place(&name), source),
        })?;
        let JournalPoint { last_seq, rolling_hash, .. } = backup.through;
        Ok(BackupReport { number, last_seq, rolling_hash, ..copying.report })
    }

    /// One version, and the log behind it. Nothing that it names is removed while the result lives.
    fn capture_backup(&self) -> Result<Captured<'_>, BackupError> {
        let mut held = self.flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        let version = held.version()?;
        let wal = self.wal.as_ref().ok_or(FlushError::Closed)?;
        let (through, commit_clock) = {
            let committed = self.committer.lock_sound()?;
            let state = &committed.applier.state;
            let (entry, last_seq, rolling_hash) = (state.applied, state.last_seq, state.rolling_hash);
            (JournalPoint { entry, last_seq, rolling_hash }, state.commit_clock)
        };
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
        let _held = HeldFiles::hold(&self.flusher, &mut held);
        Ok(Captured { version, through, commit_clock, scratch, _held })
    }

    /// The files of the archive up to `through`, as far as they belong to the journal of `version`: the first entry of
    /// each, its object and its footer.
    fn archive_to_copy(
        &self,
        version: &Version,
        through: &JournalPoint,
    ) -> Result<Vec<(u64, String, ArchiveFooter)>, BackupError> {
        let dir = self.layout.archive();
        let listed = list_archive(&*self.vfs, &dir);
        let listed = listed.map_err(|source| BackupError::io("list", dir.display().to_string(), source))?;
        let mut archive = Vec::new();
        for first_index in listed {
            let file = ArchiveFile::open(&*self.vfs, &dir, self.flusher.log_identity(), first_index)?;
            let footer = *file.footer();
            // An archive of before the last fork belongs to another journal; what was flushed since, to the next backup.
            let within = footer.through.entry.index <= through.entry.index;
            if within && file.header().epoch == version.epoch() {
                let object = format!("objects/archive/{first_index:020}-{:08x}.tape", footer.crc);
                archive.push((first_index, object, footer));
            }
        }
        Ok(archive)
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

/// The files of a version with their objects. An object's name says which file it is and something of its content, so that
/// a directory that was put back to an older state cannot pass off another file under the same number.
fn object_names(version: &Version, created_at: i64) -> Vec<(String, String)> {
    let mut names = HashMap::new();
    for file in version.tables() {
        let object = format!("objects/{TABLES_FOLDER}/{:06}-{:08x}.sst", file.file_id, file.checksum);
        names.insert(table_name(file.file_id), object);
    }
    for file in version.history() {
        let object = format!("objects/{TABLES_FOLDER}/{:06}-{:08x}.parquet", file.file_id, file.tail_crc);
        names.insert(history_name(file.file_id), object);
    }
    if let Some(state) = version.state() {
        let content = u128::from_le_bytes(state.rolling_hash);
        let (id, index) = (state.file_id, state.applied.index);
        let object = format!("objects/state/{created_at:x}-{id:06}-{index}-{content:032x}.state");
        names.insert(state_name(state.file_id), object);
    }
    let named = files_in_use(version).into_iter().map(|name| {
        let object = names.get(&name).cloned().unwrap_or_else(|| format!("objects/{name}"));
        (name, object)
    });
    named.collect()
}

/// The object of what is written for one backup. Its name says what is in it: who makes a backup of the same number at
/// the same time writes other objects.
fn own_object(number: u64, name: &str, bytes: &[u8]) -> String {
    format!("objects/backup-{number:06}/{name}-{:032x}", xxh3_128(bytes))
}

/// Copies what the target lacks.
struct Copying<'a> {
    target: &'a dyn BackupTarget,
    /// Objects whose hash a record knows and that are there, as long as they should be.
    known: HashMap<String, BackupFile>,
    report: BackupReport,
}

impl<'a> Copying<'a> {
    fn new<'b>(
        target: &'a dyn BackupTarget,
        earlier: &[Backup],
        number: u64,
        wanted: impl Iterator<Item = &'b String>,
    ) -> Result<Self, BackupError> {
        let wanted: HashSet<&str> = wanted.map(String::as_str).collect();
        let folder = |object: &str| object.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let folders: BTreeSet<String> = wanted.iter().filter_map(|object| folder(object)).collect();
        let mut there = HashMap::new();
        for folder in folders {
            let listed = target.list(&folder);
            let listed = listed.map_err(|source| BackupError::io("list", target.place(&folder), source))?;
            there.extend(listed.into_iter().map(|object| (object.name, object.bytes)));
        }
        let mut known = HashMap::new();
        for file in earlier.iter().flat_map(Backup::objects) {
            if wanted.contains(&*file.object) && there.get(&file.object) == Some(&file.bytes) {
                known.insert(file.object.clone(), file.clone());
            }
        }
        Ok(Self { target, known, report: BackupReport { number, ..BackupReport::default() } })
    }

    /// Opens the file only where the target lacks it, and only for as long as it is copied.
    fn copy_file(
        &mut self,
        vfs: &dyn Vfs,
        path: &Path,
        name: String,
        object: String,
    ) -> Result<BackupFile, BackupError> {
        if let Some(known) = self.known.get(&object) {
            self.report.objects_shared += 1;
            return Ok(BackupFile { name, ..known.clone() });
        }
        let opened = vfs.open(path, OpenMode::Read).and_then(|file| Ok((file.len()?, file)));
        let (bytes, file) =
            opened.map_err(|source| BackupError::io("open", path.display().to_string(), source))?;
        self.copy(name, object, &mut FileReader::new(file), bytes)
    }

    fn copy(
        &mut self,
        name: String,
        object: String,
        content: &mut dyn Read,
        bytes: u64,
    ) -> Result<BackupFile, BackupError> {
        let mut hashing = Hashing::new(content);
        let written = self.target.put(&object, &mut hashing, bytes);
        written.map_err(|source| BackupError::io("write", self.target.place(&object), source))?;
        let hash = hashing.hash();
        self.report.objects_copied += 1;
        self.report.bytes_copied += bytes;
        Ok(BackupFile { name, object, bytes, hash })
    }
}
