//! Checks everything that is stored, without opening it for use.

use std::path::Path;
use std::sync::Arc;

use tapebook_lsm::manifest::layout::IDENTITY_NAME;
use tapebook_lsm::manifest::{Identity, Manifest, StateFile, Version};
use tapebook_lsm::sstable::{Table, TableIdentity};
use tapebook_record::Schemas;
use tapebook_vfs::{Vfs, without_path};
use tapebook_wal::{LogIdentity, inspect_segment};

use crate::open::open_history_file;
use crate::state::decode_state;
use crate::verify_archive::verify_archive;
use crate::{Layout, OpenError};

/// What a check of a data directory found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// SSTables checked.
    pub tables: u64,
    /// Rows in them.
    pub table_rows: u64,
    /// History files checked.
    pub history_files: u64,
    /// Rows in them.
    pub history_rows: u64,
    /// Log segments checked.
    pub segments: u64,
    /// Log frames checked.
    pub frames: u64,
    /// Files of the journal's archive checked.
    pub archive_files: u64,
    /// Their entries.
    pub archive_entries: u64,
    /// What is wrong; each names file and place.
    pub problems: Vec<String>,
}

/// Checks every checksum, chain and count of a data directory that nobody has open. Changes nothing.
pub fn verify(vfs: &Arc<dyn Vfs>, dir: &Path, command: &str) -> Result<VerifyReport, OpenError> {
    let layout = Layout::new(dir);
    let missing = !vfs.exists(dir).map_err(|source| OpenError::Io {
        operation: "read the directory",
        path: dir.to_owned(),
        source,
    })?;
    let mut report = VerifyReport::default();
    if missing {
        report.problems.push(format!("{}: there is no such directory", dir.display()));
        return Ok(report);
    }
    let identity_path = dir.join(IDENTITY_NAME);
    let identified = vfs.exists(&identity_path).map_err(|source| OpenError::Io {
        operation: "read the directory",
        path: dir.to_owned(),
        source,
    })?;
    if !identified {
        // Not even a lock file is put beside what is not ours.
        report
            .problems
            .push(format!("{}: is missing; this is not a Tapebook data directory", identity_path.display()));
        return Ok(report);
    }
    let _lock = vfs.lock_dir(dir, command)?;
    let identity = match Identity::read(&**vfs, dir) {
        Ok(identity) => identity,
        Err(error) => {
            report.problems.push(error.to_string());
            return Ok(report);
        }
    };
    let version = verify_files(&**vfs, &layout, identity, &mut report);
    let log = LogIdentity { cluster_id: identity.cluster_id, node_id: identity.node_id };
    match tapebook_wal::verify(vfs, &layout.wal(), log) {
        Ok(found) => {
            report.segments = found.segments;
            report.frames = found.frames;
            report.problems.extend(found.problems.iter().map(ToString::to_string));
        }
        Err(error) => report.problems.push(error.to_string()),
    }
    let archived = verify_archive(&**vfs, &layout, log, &mut report);
    if let Some(version) = version {
        verify_reach(&**vfs, &layout, &version, archived, &mut report);
    }
    Ok(report)
}

/// The log must begin where the files end, and must not end before, nor before the archive, whose last entry is
/// `archived`: whatever they hold was durable in it.
fn verify_reach(vfs: &dyn Vfs, layout: &Layout, version: &Version, archived: u64, report: &mut VerifyReport) {
    let dir = layout.wal();
    let reach = match log_reach(vfs, &dir) {
        Ok(reach) => reach,
        Err(error) => {
            return report.problems.push(format!("{}: {}", dir.display(), without_path(&error, &dir)));
        }
    };
    let flushed = version.state().map_or(0, |state| state.applied.index);
    let problem = match reach {
        Some((before_first, _)) if before_first >= version.log_start() => {
            format!("the log begins behind entry {before_first}, expected entry {}", version.log_start())
        }
        Some((_, last)) if last < flushed => {
            format!("the log ends at entry {last}, the state file holds entry {flushed}")
        }
        Some((_, last)) if last < archived => {
            format!("the log ends at entry {last}, the archive holds entry {archived}")
        }
        None if flushed > 0 => format!("there is no log, the state file holds entry {flushed}"),
        None if archived > 0 => format!("there is no log, the archive holds entry {archived}"),
        _ => return,
    };
    report.problems.push(format!("{}: {problem}", dir.display()));
}

/// The entry before the log's first one, and its last one before anything that is not whole; `None` where no segment has
/// a readable header, which is reported elsewhere.
fn log_reach(vfs: &dyn Vfs, dir: &Path) -> std::io::Result<Option<(u64, u64)>> {
    if !vfs.exists(dir)? {
        return Ok(None);
    }
    let mut reach: Option<(u64, u64)> = None;
    for entry in vfs.read_dir(dir)?.into_iter().filter(|entry| entry.name.ends_with(".log")) {
        let segment = inspect_segment(vfs, &dir.join(entry.name))?;
        let Ok(header) = &segment.header else { continue };
        let before = header.last_log_id.index;
        let mut last = before;
        for frame in segment.frames() {
            // What is whole behind a broken frame is not read by recovery.
            let Ok(frame) = frame?.frame else { break };
            if frame.meta.kind.is_entry() {
                last = frame.meta.index;
            }
        }
        reach = Some((reach.map_or(before, |(first, _)| first), last));
    }
    Ok(reach)
}

/// Manifest, state file, SSTables and history files; what the manifest leads to.
fn verify_files(
    vfs: &dyn Vfs,
    layout: &Layout,
    identity: Identity,
    report: &mut VerifyReport,
) -> Option<Version> {
    let version = match Manifest::read(vfs, layout.root(), identity) {
        Ok(replayed) => replayed.version,
        Err(error) => {
            report.problems.push(error.to_string());
            return None;
        }
    };
    if let Some(named) = version.state() {
        match StateFile::read_named(vfs, layout.root(), &identity, named) {
            Ok((header, sections)) => {
                if let Err(error) = decode_state(&header, &sections) {
                    let path = layout.state(named.file_id);
                    report.problems.push(format!("{}: {error}", path.display()));
                }
            }
            Err(error) => report.problems.push(error.to_string()),
        }
    }
    let schemas = Schemas::standard();
    for file in version.tables() {
        let identity = TableIdentity { cluster_id: identity.cluster_id, file_id: file.file_id };
        let path = layout.table(file.file_id);
        let checked =
            Table::open(vfs, &path, identity).and_then(|table| table.verify(&schemas).map(|()| table));
        match checked {
            Ok(table) => {
                report.tables += 1;
                report.table_rows += table.rows();
                if table.rows() != file.rows || table.footer_checksum() != file.checksum {
                    let path = path.display();
                    report.problems.push(format!("{path}: not the file that the manifest names"));
                }
            }
            Err(error) => report.problems.push(error.to_string()),
        }
    }
    for file in version.history() {
        let opened = open_history_file(vfs, layout, identity, file, &schemas);
        let checked = opened.and_then(|opened| Ok(opened.verify().map(|()| opened).map_err(Box::new)?));
        match checked {
            Ok(opened) => {
                report.history_files += 1;
                report.history_rows += opened.rows();
                if opened.rows() != file.rows {
                    let path = opened.path().display();
                    report.problems.push(format!("{path}: not the file that the manifest names"));
                }
            }
            Err(error) => report.problems.push(error.to_string()),
        }
    }
    Some(version)
}
