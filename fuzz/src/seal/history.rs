//! Files of history: `docs/format/history.md`.

use tapebook_record::Crc32c;

use super::put;
use crate::{CLUSTER_ID, HISTORY_FILE_ID};

const GRAIN_BYTES: usize = 16 * 1024;

/// What a checksum is of.
#[derive(Clone, Copy)]
enum Kind {
    Grain = 1,
    Tail = 2,
}

/// What a writer says of the end of its file.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its checksum.
    pub crc: u32,
}

/// The checksums of the grains, where the footer says that they stand. `None` where it does not.
pub fn history(bytes: &mut [u8]) -> Option<Tail> {
    let tail = number(bytes, b"tapebook.tail")?;
    let directory_bytes = number(bytes, b"tapebook.directory_bytes")?;
    if tail > bytes.len() {
        return None;
    }
    let (grains, behind) = bytes.split_at_mut(tail);
    let checksums = directory_bytes.min(behind.len());
    for (number, grain) in grains.chunks(GRAIN_BYTES).enumerate() {
        let crc = checksum(Kind::Grain, number as u64, grain);
        put(&mut behind[checksums..], number * 4, &crc.to_le_bytes());
    }
    Some(Tail { bytes: behind.len() as u64, crc: checksum(Kind::Tail, tail as u64, behind) })
}

/// The number in the value behind a key of the footer's metadata.
fn number(bytes: &[u8], key: &[u8]) -> Option<usize> {
    let at = bytes.windows(key.len()).rposition(|window| window == key)? + key.len();
    // The header of a field of text, and its length.
    let [_, length, rest @ ..] = &bytes[at..] else { return None };
    std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?.parse().ok()
}

fn checksum(kind: Kind, number: u64, bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::seeded(&CLUSTER_ID.to_le_bytes());
    crc.update(&HISTORY_FILE_ID.to_le_bytes());
    crc.update(&(kind as u32).to_le_bytes());
    crc.update(&number.to_le_bytes());
    crc.update(bytes);
    crc.finish()
}
