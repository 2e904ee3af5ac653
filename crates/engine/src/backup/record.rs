//! The record of a backup: what it is, and every object that it needs. Written last, so that a backup that has one is whole.
//!
//! The byte map is in `docs/format/backup.md`.

use tapebook_record::codec::{DecodeError, Decoder, Encoder};
use tapebook_record::crc32c;
use tapebook_wal::{JournalPoint, LogId, LogIdentity};

use super::BackupFile;

const MAGIC: &[u8; 8] = b"TBKBKUP1";
const FORMAT_VERSION: u32 = 1;
/// The longest record that is read.
pub const BACKUP_RECORD_BYTES_MAX: u64 = 256 << 20;

/// No backup is longer, so that lengths can be added.
const BACKUP_BYTES_MAX: u64 = 1 << 56;

/// A backup: one moment of a database, and as much of its journal as was archived by then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backup {
    /// Its number, from 1.
    pub number: u64,
    /// Whose database it is.
    pub log: LogIdentity,
    /// The epoch of the journal.
    pub epoch: u64,
    /// When it was made, nanoseconds since the epoch.
    pub created_at: i64,
    /// What it holds: the last entry, its sequence number, and the rolling hash.
    pub through: JournalPoint,
    /// The commit clock of that entry.
    pub commit_clock: i64,
    /// A restart replays the log in it from this entry on.
    pub log_start: u64,
    /// The files of the data directory.
    pub files: Vec<BackupFile>,
    /// Files of the archive, oldest first, with their first and last entry.
    pub archive: Vec<BackupArchiveFile>,
}

/// A file of the archive, in a backup.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackupArchiveFile {
    /// The object.
    pub file: BackupFile,
    /// The index of its first entry.
    pub first_index: u64,
    /// The index of its last entry.
    pub last_index: u64,
    /// The last sequence number in it.
    pub last_seq: u64,
}

impl Backup {
    /// Bytes of everything that it needs, shared with other backups or not.
    pub fn bytes(&self) -> u64 {
        self.objects().map(|file| file.bytes).sum()
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode_record(self)
    }

    /// Decodes a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_record(bytes)
    }

    /// Every object that it needs.
    pub fn objects(&self) -> impl Iterator<Item = &BackupFile> {
        self.files.iter().chain(self.archive.iter().map(|archived| &archived.file))
    }
}

/// The object that a backup's record is.
pub(super) fn record_name(number: u64) -> String {
    format!("backups/{number:06}.backup")
}

/// The number in the name of a record.
pub(super) fn record_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("backups/")?.strip_suffix(".backup")?.parse().ok()?;
    (record_name(number) == name).then_some(number)
}

fn put_file(out: &mut Encoder, file: &BackupFile) {
    out.text(&file.name).text(&file.object).u64(file.bytes).raw(&file.hash);
}

fn take_file(fields: &mut Decoder<'_>) -> Result<BackupFile, DecodeError> {
    let (name, object) = (fields.text()?.to_owned(), fields.text()?.to_owned());
    let plain = |path: &str| path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if !plain(&name) || !plain(&object) || !object.starts_with("objects/") {
        return Err(fields.error("plain names"));
    }
    let bytes = fields.u64()?;
    let mut hash = [0; 16];
    hash.copy_from_slice(fields.raw(16)?);
    Ok(BackupFile { name, object, bytes, hash })
}

pub(super) fn encode_record(backup: &Backup) -> Vec<u8> {
    let mut out = Encoder::new();
    out.raw(MAGIC).u32(FORMAT_VERSION).u32(0).u64(backup.number);
    out.u128(backup.log.cluster_id).u64(backup.log.node_id).u64(backup.epoch).i64(backup.created_at);
    let JournalPoint { entry, last_seq, rolling_hash } = backup.through;
    out.u64(entry.term).u64(entry.leader_node).u64(entry.index).u64(last_seq).raw(&rolling_hash);
    out.i64(backup.commit_clock).u64(backup.log_start);
    out.u32(backup.files.len() as u32);
    for file in &backup.files {
        put_file(&mut out, file);
    }
    out.u32(backup.archive.len() as u32);
    for archived in &backup.archive {
        put_file(&mut out, &archived.file);
        out.u64(archived.first_index).u64(archived.last_index).u64(archived.last_seq);
    }
    let crc = crc32c(out.as_slice());
    out.u32(crc);
    out.into_bytes()
}

pub(super) fn decode_record(bytes: &[u8]) -> Result<Backup, DecodeError> {
    let bad = |offset, reason| Err(DecodeError { offset, reason });
    let Some(content) = bytes.len().checked_sub(4).map(|end| &bytes[..end]) else {
        return bad(0, "a record; it is cut off");
    };
    let mut fields = Decoder::new(content);
    if fields.raw(8)? != MAGIC {
        return bad(0, "the record of a backup");
    }
    if bytes[content.len()..] != crc32c(content).to_le_bytes() {
        return bad(content.len(), "the checksum of what stands before; it is cut off or damaged");
    }
    if fields.u32()? != FORMAT_VERSION {
        return bad(8, "a version that this program knows; a newer program wrote it");
    }
    if fields.u32()? != 0 {
        return Err(fields.error("zeros at byte 12"));
    }
    let number = fields.u64()?;
    let log = LogIdentity { cluster_id: fields.u128()?, node_id: fields.u64()? };
    let (epoch, created_at) = (fields.u64()?, fields.i64()?);
    let entry = LogId { term: fields.u64()?, leader_node: fields.u64()?, index: fields.u64()? };
    let last_seq = fields.u64()?;
    let mut rolling_hash = [0; 16];
    rolling_hash.copy_from_slice(fields.raw(16)?);
    let through = JournalPoint { entry, last_seq, rolling_hash };
    if entry.index == u64::MAX || last_seq == u64::MAX {
        return Err(fields.error("an entry and a sequence with one behind them"));
    }
    let (commit_clock, log_start) = (fields.i64()?, fields.u64()?);
    let count = fields.count(32)?;
    let files: Vec<_> = (0..count).map(|_| take_file(&mut fields)).collect::<Result<_, _>>()?;
    let mut archive = Vec::new();
    for _ in 0..fields.count(56)? {
        let file = take_file(&mut fields)?;
        let (first_index, last_index, last_seq) = (fields.u64()?, fields.u64()?, fields.u64()?);
        if first_index == 0 || last_index < first_index || last_index == u64::MAX || last_seq == u64::MAX {
            return Err(fields.error("a range of entries"));
        }
        archive.push(BackupArchiveFile { file, first_index, last_index, last_seq });
    }
    let lengths = files.iter().chain(archive.iter().map(|archived: &BackupArchiveFile| &archived.file));
    let total = lengths.map(|file: &BackupFile| u128::from(file.bytes)).sum::<u128>();
    if total > u128::from(BACKUP_BYTES_MAX) {
        return Err(fields.error("lengths of objects that a store could hold"));
    }
    fields.finish()?;
    Ok(Backup { number, log, epoch, created_at, through, commit_clock, log_start, files, archive })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/format/backup.md");

    fn backup() -> Backup {
        let file = |name: &str, object: &str, fill: u8| BackupFile {
            name: name.to_owned(),
            object: object.to_owned(),
            bytes: 4096,
            hash: [fill; 16],
        };
        Backup {
            number: 2,
            log: LogIdentity { cluster_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff, node_id: 1 },
            epoch: 1,
            created_at: 1000,
            through: JournalPoint {
                entry: LogId { term: 1, leader_node: 1, index: 42 },
                last_seq: 110,
                rolling_hash: [0x2a; 16],
            },
            commit_clock: 900,
            log_start: 42,
            files: vec![file("tables/000001.sst", "objects/a.sst", 7)],
            archive: vec![BackupArchiveFile {
                file: file("archive/1.tape", "objects/b.tape", 9),
                first_index: 1,
                last_index: 41,
                last_seq: 100,
            }],
        }
    }

    #[test]
    fn a_record_comes_back() {
        assert_eq!(decode_record(&encode_record(&backup())), Ok(backup()));
        assert_eq!(record_number(&record_name(7)), Some(7));
        assert_eq!(record_number("backups/7.backup"), None);
    }

    #[test]
    fn every_byte_of_a_record_counts() {
        let whole = encode_record(&backup());
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            assert!(decode_record(&bytes).is_err(), "{at}");
            assert!(decode_record(&whole[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["../IDENTITY", "/etc/passwd", "tables//x", "a/./b", ""] {
            let mut other = backup();
            other.files[0].name = name.to_owned();
            assert!(decode_record(&encode_record(&other)).is_err(), "{name}");
        }
    }

    /// Found by fuzzing: the sum of all lengths overflowed where somebody asked for it.
    #[test]
    fn lengths_that_nothing_has_are_refused() {
        for (bytes, sound) in [(BACKUP_BYTES_MAX / 2, true), (BACKUP_BYTES_MAX, false), (u64::MAX, false)] {
            let mut other = backup();
            other.files[0].bytes = bytes;
            other.archive[0].file.bytes = bytes;
            assert_eq!(decode_record(&encode_record(&other)).is_ok(), sound, "{bytes}");
        }
    }

    #[test]
    fn what_has_nothing_behind_it_is_refused() {
        for change in 0..4 {
            let mut other = backup();
            match change {
                0 => other.through.entry.index = u64::MAX,
                1 => other.through.last_seq = u64::MAX,
                2 => other.archive[0].last_index = u64::MAX,
                _ => other.archive[0].last_seq = u64::MAX,
            }
            assert!(decode_record(&encode_record(&other)).is_err(), "{change}");
        }
    }

    #[test]
    fn the_page_shows_these_bytes() {
        let lines: String = encode_record(&backup())
            .chunks(16)
            .enumerate()
            .map(|(row, bytes)| {
                let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{:04x}  {}\n", row * 16, digits.join(" "))
            })
            .collect();
        let block = format!("```text backup-record\n{lines}```");
        assert!(PAGE.contains(&block), "the page should show:\n{block}");
    }
}
