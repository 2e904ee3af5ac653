//! Records of backups: `docs/format/backup.md`.

use tapebook_record::crc32c;

use super::put;

/// Magic, version and checksum.
pub fn backup(bytes: &mut [u8]) {
    let Some(end) = bytes.len().checked_sub(4).filter(|end| *end >= 16) else { return };
    put(bytes, 0, b"TBKBKUP1");
    put(bytes, 8, &1_u32.to_le_bytes());
    put(bytes, 12, &0_u32.to_le_bytes());
    let crc = crc32c(&bytes[..end]);
    put(bytes, end, &crc.to_le_bytes());
}
