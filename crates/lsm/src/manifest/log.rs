//! The manifest on disk: created, opened, appended to, replaced by a shorter one.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::{File, OpenMode, Vfs};

use super::current::{CURRENT_BYTES, Current, decode_current, encode_current};
use super::durable;
use super::edit_codec::encode_edit;
use super::frame::{
    FRAME_HEADER_BYTES, FrameSeed, MANIFEST_BLOCK_BYTES, MANIFEST_BYTES_MAX, ManifestHeader, Mark,
    encode_frame, encode_header, encode_mark, find_later_frame, mark_offset, stored_crc,
};
use super::layout::{CURRENT_NAME, manifest_name, manifest_number};
use super::replay::{Replayed, TornTail, replay_manifest};
use super::{FormatError, Identity, ManifestError, StorageError, Version, VersionEdit};

/// Zeros are written in pieces of this size.
const ZEROS: [u8; 4096] = [0; 4096];

/// How a manifest is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ManifestOptions {
    /// Bytes that are prepared for edits behind a manifest's first snapshot. When they are used up, or as many as the
    /// snapshot has where that is more, a new manifest begins.
    pub append_bytes: u64,
}

impl Default for ManifestOptions {
    fn default() -> Self {
        Self { append_bytes: 256 << 10 }
    }
}

/// The log of version edits that leads to the current version. One owner; readers share the [`Version`].
///
/// Invariants: everything before `end` is durable. Everything from `end` on is zero, unless the manifest is poisoned.
/// The file was zeroed and synced up to its length before `CURRENT` named it, so that an append allocates nothing.
#[derive(Debug)]
pub struct Manifest {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    identity: Identity,
    options: ManifestOptions,
    log: OpenLog,
    version: Arc<Version>,
    torn: Option<TornTail>,
    poisoned: Option<StorageError>,
}

/// The file that is appended to.
#[derive(Debug)]
struct OpenLog {
    file: Arc<dyn File>,
    path: PathBuf,
    number: u64,
    bytes: u64,
    end: u64,
    edits: u64,
    last_crc: u32,
}

impl Manifest {
    /// Creates the first manifest of a data directory whose [`Identity`] is written.
    ///
    /// Takes the place of a creation that a crash cut short. Refuses with [`ManifestError::Exists`] where `CURRENT` or
    /// a manifest that was in use is there; no manifest is ever lost to this.
    pub fn create(vfs: Arc<dyn Vfs>, dir: &Path, identity: Identity) -> Result<Self, ManifestError> {
        Self::create_with(vfs, dir, identity, ManifestOptions::default())
    }

    /// As [`Manifest::create`], with options.
    pub fn create_with(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        identity: Identity,
        options: ManifestOptions,
    ) -> Result<Self, ManifestError> {
        let version =
            Version::default().apply(&VersionEdit { epoch: Some(identity.epoch), ..Default::default() })?;
        Self::create_from(vfs, dir, identity, options, version)
    }

    /// As [`Manifest::create_with`], and begins with `version` instead of the empty one: for a directory that is built
    /// out of another database's files, which are there and durable already.
    pub fn create_from(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        identity: Identity,
        options: ManifestOptions,
        version: Version,
    ) -> Result<Self, ManifestError> {
        refuse_used(&*vfs, dir, identity)?;
        let (log, current) = OpenLog::begin(&*vfs, dir, identity, options, 1, &version)?;
        durable::replace(&*vfs, &dir.join(CURRENT_NAME), &encode_current(&current))?;
        let version = Arc::new(version);
        Ok(Self { vfs, dir: dir.to_owned(), identity, options, log, version, torn: None, poisoned: None })
    }

    /// Opens the manifest that `CURRENT` names and replays it; [`Manifest::version`] is what it leads to.
    ///
    /// The remains of an edit that was never committed are overwritten with zeros; anything else that is broken is an
    /// error, and nothing is changed then. What was read but is not known to be durable is written and synced again
    /// before this returns, because a version must not be relied on earlier.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        identity: Identity,
    ) -> Result<(Self, Arc<Version>), ManifestError> {
        Self::open_with(vfs, dir, identity, ManifestOptions::default())
    }

    /// As [`Manifest::open`], with options.
    pub fn open_with(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        identity: Identity,
        options: ManifestOptions,
    ) -> Result<(Self, Arc<Version>), ManifestError> {
        let loaded = Loaded::read(&*vfs, dir, &identity)?;
        let log = loaded.make_durable(&*vfs, dir, identity)?;
        let Replayed { version, torn, .. } = loaded.replayed;
        let version = Arc::new(version);
        let shared = Arc::clone(&version);
        let manifest =
            Self { vfs, dir: dir.to_owned(), identity, options, log, version, torn, poisoned: None };
        Ok((manifest, shared))
    }

    /// Reads the manifest that `CURRENT` names without changing anything, for a program that only inspects it.
    pub fn read(vfs: &dyn Vfs, dir: &Path, identity: Identity) -> Result<Replayed, ManifestError> {
        Ok(Loaded::read(vfs, dir, &identity)?.replayed)
    }

    /// Appends the edit and syncs it; the version that it leads to is current from then on. Every file that the edit
    /// names must be durable already.
    ///
    /// After [`ManifestError::Refused`] and [`ManifestError::NotPrepared`] nothing has changed. After
    /// [`ManifestError::Poisoned`] the edit's outcome is unknown, and so is every later call's until the manifest is
    /// opened again: it then leads to the version before or after that edit.
    pub fn commit(&mut self, edit: &VersionEdit) -> Result<Arc<Version>, ManifestError> {
        if let Some(error) = &self.poisoned {
            return Err(ManifestError::Poisoned(error.clone()));
        }
        let version = self.version.apply(edit)?;
        match self.log.frame(&encode_edit(edit), self.identity) {
            Some(frame) => self.append(&frame)?,
            None => self.begin_next(&version)?,
        }
        self.version = Arc::new(version);
        Ok(Arc::clone(&self.version))
    }

    /// The current version.
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// The number in the name of the current manifest.
    pub fn number(&self) -> u64 {
        self.log.number
    }

    /// What [`Manifest::open`] cut off.
    pub fn torn_tail(&self) -> Option<TornTail> {
        self.torn
    }

    /// Syncs the last mark, so that damage to the last edit is told apart from a torn tail for certain.
    pub fn close(self) -> Result<(), ManifestError> {
        match self.poisoned {
            Some(error) => Err(ManifestError::Poisoned(error)),
            None => self.log.sync().map_err(ManifestError::Poisoned),
        }
    }

    fn append(&mut self, frame: &[u8]) -> Result<(), ManifestError> {
        if let Err(error) = self.log.write(self.log.end, frame).and_then(|()| self.log.sync()) {
            self.poisoned = Some(error.clone());
            return Err(ManifestError::Poisoned(error));
        }
        self.log.end += frame.len() as u64;
        self.log.edits += 1;
        self.log.last_crc = stored_crc(frame);
        // The edit is durable whatever becomes of the mark; only the next one meets the broken disk.
        self.poisoned = self.log.write_mark(self.identity).err();
        Ok(())
    }

    fn begin_next(&mut self, version: &Version) -> Result<(), ManifestError> {
        let path = self.dir.join(CURRENT_NAME);
        let number = self.log.number + 1;
        let prepare = || {
            let begun = OpenLog::begin(&*self.vfs, &self.dir, self.identity, self.options, number, version)?;
            durable::write_temporary(&*self.vfs, &path, &encode_current(&begun.1))?;
            Ok(begun.0)
        };
        let log = prepare().map_err(ManifestError::NotPrepared)?;
        if let Err(error) = durable::publish(&*self.vfs, &path) {
            self.poisoned = Some(error.clone());
            return Err(ManifestError::Poisoned(error));
        }
        self.log = log;
        Ok(())
    }
}

impl OpenLog {
    /// Writes a manifest that begins with a snapshot of `version`; its bytes and its name are durable, and nothing
    /// names it yet.
    fn begin(
        vfs: &dyn Vfs,
        dir: &Path,
        identity: Identity,
        options: ManifestOptions,
        number: u64,
        version: &Version,
    ) -> Result<(Self, Current), StorageError> {
        let path = dir.join(manifest_name(number));
        let Identity { cluster_id, node_id, .. } = identity;
        let seed = FrameSeed { identity, manifest: number };
        let too_long =
            |found| StorageError::damaged(&path, FormatError::Length { expected: MANIFEST_BYTES_MAX, found });
        let snapshot = encode_edit(&version.to_edit());
        let frame = encode_frame(&snapshot, 0, 0, seed, MANIFEST_BLOCK_BYTES)
            .ok_or_else(|| too_long(snapshot.len() as u64))?;
        let end = MANIFEST_BLOCK_BYTES + frame.len() as u64;
        let bytes = end.saturating_add(options.append_bytes.max(frame.len() as u64));
        let bytes = bytes.checked_next_multiple_of(4096).filter(|bytes| *bytes <= MANIFEST_BYTES_MAX);
        let bytes = bytes.ok_or_else(|| too_long(end))?;
        durable::discard(vfs, &path)?;
        let fail = |operation| {
            let path = &path;
            move |source| StorageError::io(operation, path, source)
        };
        let file = vfs.open(&path, OpenMode::CreateNew).map_err(fail("create"))?;
        file.prepare_zeroed(bytes).map_err(fail("prepare"))?;
        let created_at = vfs.clock().unix_nanos();
        let header = encode_header(&ManifestHeader { cluster_id, node_id, number, created_at });
        let last_crc = stored_crc(&frame);
        let log = Self { file, path: path.clone(), number, bytes, end, edits: 1, last_crc };
        log.write(0, &header)?;
        log.write(MANIFEST_BLOCK_BYTES, &frame)?;
        log.sync()?;
        durable::sync_parent(vfs, &path)?;
        let current = Current {
            cluster_id,
            node_id,
            manifest: number,
            first_frame_end: end,
            first_frame_crc: last_crc,
        };
        Ok((log, current))
    }

    /// The frame of the next edit; `None` where it does not fit behind the last one.
    fn frame(&self, payload: &[u8], identity: Identity) -> Option<Vec<u8>> {
        let seed = FrameSeed { identity, manifest: self.number };
        let room = self.bytes.saturating_sub(self.end);
        if (FRAME_HEADER_BYTES + payload.len()).next_multiple_of(8) as u64 > room {
            return None;
        }
        encode_frame(payload, self.edits, self.last_crc, seed, self.end)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.file
            .write_all_at(offset, &[IoSlice::new(bytes)])
            .map_err(|source| StorageError::io("write", &self.path, source))
    }

    fn write_mark(&self, identity: Identity) -> Result<(), StorageError> {
        let seed = FrameSeed { identity, manifest: self.number };
        let mark = Mark { durable_end: self.end, frames: self.edits };
        self.write(mark_offset(mark.frames), &encode_mark(mark, seed))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.file.sync_data().map_err(|source| StorageError::io("sync", &self.path, source))
    }
}

/// A manifest that was read and not changed.
struct Loaded {
    path: PathBuf,
    number: u64,
    bytes: Vec<u8>,
    replayed: Replayed,
}

impl Loaded {
    fn read(vfs: &dyn Vfs, dir: &Path, identity: &Identity) -> Result<Self, ManifestError> {
        let current_path = dir.join(CURRENT_NAME);
        let bytes = durable::read(vfs, &current_path, CURRENT_BYTES as u64)?;
        let current =
            decode_current(&bytes).map_err(|source| StorageError::damaged(&current_path, source))?;
        identity.check_own(&current_path, current.cluster_id, current.node_id)?;
        let path = dir.join(manifest_name(current.manifest));
        let bytes = durable::read(vfs, &path, MANIFEST_BYTES_MAX)?;
        let replayed = replay_manifest(&path, &bytes, identity, &current)?;
        Ok(Self { path, number: current.manifest, bytes, replayed })
    }

    /// Writes again what may not be durable, overwrites a torn tail with zeros, and syncs file and directory.
    ///
    /// Writing again matters after a failed sync: the cache then holds bytes that count as clean and are not on the
    /// disk, and a sync alone would not store them.
    fn make_durable(&self, vfs: &dyn Vfs, dir: &Path, identity: Identity) -> Result<OpenLog, ManifestError> {
        let Replayed { end, edits, durable_end, last_crc, torn, .. } = self.replayed;
        let file = vfs
            .open(&self.path, OpenMode::ReadWrite)
            .map_err(|source| StorageError::io("open", &self.path, source))?;
        let bytes = self.bytes.len() as u64;
        let log = OpenLog { file, path: self.path.clone(), number: self.number, bytes, end, edits, last_crc };
        if durable_end < end {
            log.write(durable_end, &self.bytes[durable_end as usize..end as usize])?;
        }
        if let Some(torn) = torn {
            let mut offset = torn.offset;
            while offset < bytes {
                let part = (bytes - offset).min(ZEROS.len() as u64);
                log.write(offset, &ZEROS[..part as usize])?;
                offset += part;
            }
        }
        log.sync()?;
        vfs.sync_dir(dir).map_err(|source| StorageError::io("sync the directory", dir, source))?;
        log.write_mark(identity)?;
        Ok(log)
    }
}

/// Refuses a directory with `CURRENT`, or with a manifest that more than its creation was written to.
fn refuse_used(vfs: &dyn Vfs, dir: &Path, identity: Identity) -> Result<(), ManifestError> {
    let entries = vfs.read_dir(dir).map_err(|source| StorageError::io("list", dir, source))?;
    for name in entries.iter().map(|entry| &entry.name) {
        let path = dir.join(name);
        let used = match manifest_number(name) {
            Some(1) => {
                let bytes = durable::read(vfs, &path, MANIFEST_BYTES_MAX)?;
                let seed = FrameSeed { identity, manifest: 1 };
                find_later_frame(&bytes, MANIFEST_BLOCK_BYTES, 0, seed).is_some()
            }
            Some(_) => true,
            None => name == CURRENT_NAME,
        };
        if used {
            return Err(ManifestError::Exists { path });
        }
    }
    Ok(())
}
