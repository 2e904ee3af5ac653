//! Checkpoint: a data directory of its own with everything up to one entry of the log, taken while the database is
//! written to.
//!
//! It is one version of the manifest, its files, and the log behind its state file. Files that nobody changes any more
//! are linked where the file system can, else copied; what is written to (manifest, log) is written anew.

use std::path::Path;
use std::sync::Arc;

use tapebook_lsm::manifest::layout::files_in_use;
use tapebook_lsm::manifest::{Identity, Manifest, ManifestError, ManifestOptions, Version};
use tapebook_vfs::{File, OpenMode, without_path};
use tapebook_wal::{CopyError, LogId, SegmentFacts};

use crate::state::from_manifest;
use crate::unfinished::{BuildError, UnfinishedDir};
use crate::{Db, FlushError};

/// What a checkpoint holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CheckpointReport {
    /// The last sequence number in it; every one before is in it, too.
    pub last_seq: u64,
    /// The last entry of the log that it includes.
    pub last_index: u64,
    /// The rolling hash over everything applied by then.
    pub rolling_hash: [u8; 16],
    /// The commit clock of the last entry, nanoseconds since the epoch.
    pub commit_clock: i64,
    /// SSTables.
    pub tables: u64,
    /// History files.
    pub history_files: u64,
    /// Files that share their bytes with the database's own.
    pub files_linked: u64,
    /// Files that were copied.
    pub files_copied: u64,
    /// Bytes of the files that were copied.
    pub bytes_copied: u64,
    /// Entries of the log behind the files.
    pub log_entries: u64,
}

/// Why there is no checkpoint. The database goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The directory cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What is in memory could not be flushed, or the database's own manifest is not to be trusted.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// The checkpoint's manifest could not be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The log behind the files could not be copied.
    #[error(transparent)]
    Log(#[from] CopyError),
    /// A file of the database could not be opened to copy it.
    #[error("{}: cannot open it to copy it: {}", path.display(), without_path(source, path))]
    Open {
        /// The file.
        path: std::path::PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

/// What has to be held together while the database goes on.
struct Captured {
    version: Arc<Version>,
    /// Open, so that they stay readable whatever becomes of their names.
    to_copy: Vec<(String, Arc<dyn File>)>,
}

impl Db {
    /// Writes everything that a snapshot shows now to `dir` as a data directory of its own, which [`Db::open`] opens.
    ///
    /// `dir` must be missing or empty, and outside of every data directory; what an interrupted checkpoint left there is
    /// replaced. Until the last step nothing opens it as a database. Appends go on meanwhile; flushes wait while files
    /// are linked. The checkpoint has the identity of this database: it is a copy to open instead of it, not beside it
    /// in one cluster.
    pub fn checkpoint(&self, dir: impl AsRef<Path>) -> Result<CheckpointReport, CheckpointError> {
        let epoch = self.flusher.files.lock().map_err(|_| FlushError::Interrupted)?.version()?.epoch();
        let created_at = self.vfs.clock().unix_nanos();
        let identity = Identity { epoch, created_at, ..self.flusher.store.identity };
        let target = UnfinishedDir::begin(&self.vfs, dir.as_ref(), &identity, &self.options.command)?;
        // A short log in the checkpoint: most of it is files, which cost only a link.
        self.flush()?;
        let mut report = CheckpointReport::default();
        let Captured { version, to_copy } = self.capture(&target, &mut report)?;
        for (name, file) in to_copy {
            report.bytes_copied += target.copy(&*file, &name)?;
            report.files_copied += 1;
        }
        report.tables = version.tables().count() as u64;
        report.history_files = version.history().count() as u64;
        let (vfs, root) = (Arc::clone(&self.vfs), target.layout().root());
        let version = Version::clone(&version);
        Manifest::create_from(vfs, root, identity, ManifestOptions::default(), version)?.close()?;
        target.finish()?;
        Ok(report)
    }

    /// Takes one version's files and the log behind it. No flush or compaction can remove any of it before this returns,
    /// because each holds the same lock.
    fn capture(
        &self,
        target: &UnfinishedDir,
        report: &mut CheckpointReport,
    ) -> Result<Captured, CheckpointError> {
        let files = self.flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        let version = files.version()?;
        let wal = self.wal.as_ref().ok_or(FlushError::Closed)?;
        let through = {
            let committed = self.committer.lock_sound()?;
            let state = &committed.applier.state;
            report.last_seq = state.last_seq;
            report.last_index = state.applied.index;
            report.rolling_hash = state.rolling_hash;
            report.commit_clock = state.commit_clock;
            state.applied
        };
        let (behind, facts) = version.state().map_or((LogId::default(), SegmentFacts::default()), |state| {
            let facts = SegmentFacts {
                last_seq: state.last_seq,
                at_index: state.applied.index,
                rolling_hash: state.rolling_hash,
            };
            (from_manifest(state.applied), facts)
        });
        report.log_entries = through.index - behind.index;
        let mut to_copy = Vec::new();
        for name in files_in_use(&version) {
            let path = self.layout.root().join(&name);
            // Where one file cannot be linked, no other one can.
            if to_copy.is_empty() && target.link(&path, &name)? {
                report.files_linked += 1;
                continue;
            }
            let opened = self.vfs.open(&path, OpenMode::Read);
            to_copy.push((name, opened.map_err(|source| CheckpointError::Open { path, source })?));
        }
        wal.copy_behind(&self.vfs, behind, through, facts, &target.layout().wal())?.finish()?;
        Ok(Captured { version, to_copy })
    }
}
