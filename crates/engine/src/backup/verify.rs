//! Checking backups: every object, and that each backup leads to a database.

use std::collections::HashMap;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use tapebook_lsm::manifest::layout::{files_in_use, history_name, table_name};
use tapebook_lsm::manifest::{Identity, Manifest, StateFile};
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};
use tapebook_wal::{RecoveryOptions, recover};

use super::checked::read_checked;
use super::restore::open_archived;
use super::{Backup, BackupError, BackupTarget, read_record, record_numbers};
use crate::state::decode_state;
use crate::verify_archive::verify_entries;

/// What a check of backups found.
#[derive(Clone, Debug, Default)]
pub struct BackupVerifyReport {
    /// Backups checked.
    pub backups: u64,
    /// Objects checked, each once.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong; each names the object or the record.
    pub problems: Vec<String>,
}

/// Where a backup's small files are put together.
const SCRATCH: &str = "/scratch";

/// Reads every object of every backup, and proves that each backup can be restored: its manifest names files that are
/// there, its log ends where its record says, its archive leads from hash to hash.
pub fn verify_backups(target: &dyn BackupTarget) -> Result<BackupVerifyReport, BackupError> {
    let mut report = BackupVerifyReport::default();
    let mut checked: HashMap<String, bool> = HashMap::new();
    for number in record_numbers(target)? {
        report.backups += 1;
        let backup = match read_record(target, number) {
            Ok(backup) => backup,
            Err(error) => {
                report.problems.push(error.to_string());
                continue;
            }
        };
        let mut whole = true;
        for file in &backup.files {
            whole &= *checked.entry(file.object.clone()).or_insert_with(|| {
                report.objects += 1;
                report.bytes = report.bytes.saturating_add(file.bytes);
                let outcome = read_checked(target, file, |_| Ok(()));
                report.problems.extend(outcome.as_ref().err().map(ToString::to_string));
                outcome.is_ok()
            });
        }
        for archived in &backup.archive {
            checked.entry(archived.file.object.clone()).or_insert_with(|| {
                report.objects += 1;
                report.bytes = report.bytes.saturating_add(archived.file.bytes);
                let outcome = open_archived(target, backup.log, archived).map_err(|error| error.to_string());
                let outcome = outcome.and_then(|file| verify_entries(&file));
                report.problems.extend(outcome.as_ref().err().cloned());
                outcome.is_ok()
            });
        }
        if whole && let Err(problem) = leads_to_a_database(target, &backup) {
            report.problems.push(format!("backup {number}: {problem}"));
        }
    }
    Ok(report)
}

/// Everything of a restore but its large files, in memory.
fn leads_to_a_database(target: &dyn BackupTarget, backup: &Backup) -> Result<(), String> {
    let scratch = MemoryVfs::new(0);
    let vfs: Arc<dyn Vfs> = Arc::new(scratch);
    let root = Path::new(SCRATCH);
    let told = |error: &dyn std::error::Error| error.to_string();
    let large = |name: &str| name.starts_with("tables/");
    for file in backup.files.iter().filter(|file| !large(&file.name)) {
        let path = root.join(&file.name);
        let opened = vfs
            .create_dir_all(path.parent().unwrap_or(root))
            .and_then(|()| vfs.open(&path, OpenMode::CreateNew))
            .map_err(|error| told(&error))?;
        let mut offset = 0;
        let read = read_checked(target, file, |bytes| {
            opened.write_all_at(offset, &[IoSlice::new(bytes)])?;
            offset += bytes.len() as u64;
            Ok(())
        });
        read.map_err(|error| told(&error))?;
    }
    let Backup { log, epoch, created_at, .. } = *backup;
    let identity = Identity { cluster_id: log.cluster_id, node_id: log.node_id, epoch, created_at };
    let version = Manifest::read(&*vfs, root, identity).map_err(|error| told(&error))?.version;
    for name in files_in_use(&version) {
        if !backup.files.iter().any(|file| file.name == name) {
            return Err(format!("its manifest names {name}, which it does not have"));
        }
    }
    let tables = version.tables().map(|file| (table_name(file.file_id), file.bytes));
    let history = version.history().map(|file| (history_name(file.file_id), file.bytes));
    for (name, bytes) in tables.chain(history) {
        if !backup.files.iter().any(|file| file.name == name && file.bytes == bytes) {
            return Err(format!("its {name} has not the {bytes} bytes that its manifest says"));
        }
    }
    if let Some(named) = version.state() {
        let read = StateFile::read_named(&*vfs, root, &identity, named);
        let (header, sections) = read.map_err(|error| told(&error))?;
        decode_state(&header, &sections).map_err(|error| told(&error))?;
    }
    let known =
        RecoveryOptions { replay_from: version.log_start(), durable_index: backup.through.entry.index };
    let recovered = recover(&vfs, &root.join("wal"), log, &known, &mut |_| Ok(()));
    let found = recovered.map_err(|error| told(&error))?.state.last_log_id;
    if found != backup.through.entry {
        return Err(format!(
            "its log ends at entry {}, expected {}",
            found.index, backup.through.entry.index
        ));
    }
    Ok(())
}
