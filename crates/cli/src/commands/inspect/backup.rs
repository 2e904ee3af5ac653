//! Records of backups.

use std::path::Path;

use tapebook::{BACKUP_RECORD_BYTES_MAX, Backup, BackupError, BackupFile, list_backups, read_backup};
use tapebook_vfs::{RealVfs, Vfs};

use super::{Page, clock, hex, log_id};
use crate::backup_target::existing_target;
use crate::error::CliError;
use crate::text::bytes;

pub(super) fn inspect(target: &Path, number: Option<u64>, page: &mut Page<'_>) -> Result<(), CliError> {
    let vfs = RealVfs::new();
    if vfs.exists(target).unwrap_or(false) && vfs.read_dir(target).is_err() {
        let record = vfs.read_file(target, BACKUP_RECORD_BYTES_MAX).map_err(CliError::failed)?;
        return match Backup::decode(&record) {
            Ok(backup) => describe(&target.display().to_string(), &backup, page),
            Err(error) => page.fail(format!("{}: {error}", target.display())),
        };
    }
    let place = existing_target(target)?;
    let found = match number {
        Some(number) => read_backup(&*place, number).map(|backup| vec![backup]),
        None => list_backups(&*place),
    };
    let backups = found.or_else(|error: BackupError| page.fail(error))?;
    for backup in &backups {
        describe(&place.place(&format!("backups/{:06}.backup", backup.number)), backup, page)?;
    }
    Ok(())
}

fn describe(place: &str, backup: &Backup, page: &mut Page<'_>) -> Result<(), CliError> {
    let Backup { log, through, .. } = backup;
    page.line(format_args!("{place}: backup {}, {}", backup.number, bytes(backup.bytes())))?;
    page.field("cluster", format_args!("{:032x} node {}", log.cluster_id, log.node_id))?;
    page.field("epoch", backup.epoch)?;
    page.field("created", clock(backup.created_at))?;
    page.field("applied", log_id(&through.entry))?;
    page.field("last seq", through.last_seq)?;
    page.field("rolling hash", hex(&through.rolling_hash))?;
    page.field("commit clock", clock(backup.commit_clock))?;
    page.field("log is needed from", format_args!("index {}", backup.log_start))?;
    for file in &backup.files {
        page.line(object(file))?;
    }
    for archived in &backup.archive {
        page.line(format_args!(
            "{}, index {}..{}, last seq {}",
            object(&archived.file),
            archived.first_index,
            archived.last_index,
            archived.last_seq
        ))?;
    }
    Ok(())
}

fn object(file: &BackupFile) -> String {
    format!("  {}: {}, {} bytes, hash {}", file.name, file.object, file.bytes, hex(&file.hash))
}
