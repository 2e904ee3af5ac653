//! Checks everything that is stored, without opening it for use.

use std::path::Path;
use std::sync::Arc;

use tapebook_lsm::manifest::layout::IDENTITY_NAME;
use tapebook_lsm::manifest::{Identity, Manifest, StateFile};
use tapebook_lsm::sstable::{Table, TableIdentity};
use tapebook_record::Schemas;
use tapebook_vfs::Vfs;
use tapebook_wal::LogIdentity;

use crate::state::decode_sections;
use crate::{Layout, OpenError};

/// What a check of a data directory found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// SSTables checked.
    pub tables: u64,
    /// Rows in them.
    pub table_rows: u64,
    /// Log segments checked.
    pub segments: u64,
    /// Log frames checked.
    pub frames: u64,
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
        report.problems.push(format!("{}: is missing; this is not a Tapebook data directory", identity_path.display()));
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
    verify_files(&**vfs, &layout, identity, &mut report);
    let log = LogIdentity { cluster_id: identity.cluster_id, node_id: identity.node_id };
    match tapebook_wal::verify(vfs, &layout.wal(), log) {
        Ok(found) => {
            report.segments = found.segments;
            report.frames = found.frames;
            report.problems.extend(found.problems.iter().map(ToString::to_string));
        }
        Err(error) => report.problems.push(error.to_string()),
    }
    Ok(report)
}

/// Manifest, state file and SSTables.
fn verify_files(vfs: &dyn Vfs, layout: &Layout, identity: Identity, report: &mut VerifyReport) {
    let version = match Manifest::read(vfs, layout.root(), identity) {
        Ok(replayed) => replayed.version,
        Err(error) => {
            report.problems.push(error.to_string());
            return;
        }
    };
    if let Some(named) = version.state() {
        match StateFile::read_named(vfs, layout.root(), &identity, named) {
            Ok((_, sections)) => {
                if let Err(error) = decode_sections(&sections) {
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
        let checked = Table::open(vfs, &path, identity).and_then(|table| table.verify(&schemas).map(|()| table));
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
}
