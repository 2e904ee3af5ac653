//! Checks the archive: every file, every entry, and that they are the journal that was applied.

use tapebook_record::EncodedBatch;
use tapebook_vfs::{Vfs, without_path};
use tapebook_wal::{ArchiveError, ArchiveFile, ArchiveFooter, LogIdentity, list_archive};

use crate::apply::next_hash;
use crate::{Layout, VerifyReport};

/// Reads every file; what is wrong is added to the report. Returns the archive's last entry, 0 where there is none.
pub(crate) fn verify_archive(
    vfs: &dyn Vfs,
    layout: &Layout,
    log: LogIdentity,
    report: &mut VerifyReport,
) -> u64 {
    let dir = layout.archive();
    let files = match list_archive(vfs, &dir) {
        Ok(files) => files,
        Err(error) => {
            report.problems.push(format!("{}: {}", dir.display(), without_path(&error, &dir)));
            return 0;
        }
    };
    let mut before: Option<ArchiveFooter> = None;
    for (place, first_index) in files.into_iter().enumerate() {
        report.archive_files += 1;
        let file = match ArchiveFile::open(vfs, &dir, log, first_index) {
            Ok(file) => file,
            Err(error) => {
                report.problems.push(error.to_string());
                before = None;
                continue;
            }
        };
        let joined = before.is_none_or(|before| {
            let header = file.header();
            header.previous == 0 || (header.previous == before.crc && header.before == before.through)
        });
        // What an oldest file follows was removed when it was old enough.
        if place > 0 && !joined {
            let path = file.path().display();
            report
                .problems
                .push(format!("{path}: does not follow the file before; one is missing between them"));
        }
        match verify_entries(&file) {
            Ok(entries) => report.archive_entries += entries,
            Err(problem) => report.problems.push(problem),
        }
        before = Some(*file.footer());
    }
    before.map_or(0, |newest| newest.through.entry.index)
}

/// Reads every entry and proves that the batches lead from the header's hash and sequence to the footer's.
pub(crate) fn verify_entries(file: &ArchiveFile) -> Result<u64, String> {
    let at_file = |reason: String| format!("{}: {reason}", file.path().display());
    let told = |error: ArchiveError| error.to_string();
    let (mut last_seq, mut hash, mut entries) =
        (file.header().before.last_seq, file.header().before.rolling_hash, 0);
    for entry in file.entries_from(0) {
        let entry = entry.map_err(told)?;
        entries += 1;
        if entry.first_seq == 0 {
            continue;
        }
        let index = entry.meta.index;
        if entry.first_seq != last_seq + 1 {
            return Err(at_file(format!(
                "entry {index} gives seq {}, expected {}",
                entry.first_seq,
                last_seq + 1
            )));
        }
        let batch = EncodedBatch::from_log(entry.payload.clone());
        let batch = batch.map_err(|error| at_file(format!("entry {index}: {error}")))?;
        last_seq += batch.len() as u64;
        hash = next_hash(hash, entry.first_seq, &entry.payload);
    }
    let through = file.footer().through;
    if (last_seq, hash) != (through.last_seq, through.rolling_hash) {
        return Err(at_file(format!("leads to seq {last_seq}, expected {} and its hash", through.last_seq)));
    }
    Ok(entries)
}
