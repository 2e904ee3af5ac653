//! Files of the archive: `docs/format/archive.md`.

use tapebook_record::{Crc32c, crc32c};

use super::{array, part, put, u32_at, u64_at};

const HEADER_BYTES: usize = 128;
const BLOCK_ENTRY_BYTES: usize = 48;
const FOOTER_BYTES: usize = 144;
const ENTRY_HEADER_BYTES: usize = 48;
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// Header, every block that the directory finds, directory and footer.
pub fn archive(bytes: &mut [u8]) {
    let Some(footer) = bytes.len().checked_sub(FOOTER_BYTES).filter(|at| *at >= HEADER_BYTES) else { return };
    header(bytes);
    let Some(seed) = seed(bytes) else { return };
    let directory = u64_at(bytes, footer).unwrap_or(0);
    let entries = directory.saturating_add(8);
    if let Some(length) = footer.checked_sub(entries).filter(|_| entries >= HEADER_BYTES + 8) {
        put(bytes, directory, &SKIPPABLE);
        put(bytes, directory + 4, &((length + FOOTER_BYTES) as u32).to_le_bytes());
        for at in
            (entries..entries + length / BLOCK_ENTRY_BYTES * BLOCK_ENTRY_BYTES).step_by(BLOCK_ENTRY_BYTES)
        {
            let (offset, bytes_in_block) =
                (u64_at(bytes, at).unwrap_or(0), u32_at(bytes, at + 8).unwrap_or(0));
            let Some(block) = part(bytes, offset, bytes_in_block) else { continue };
            let crc = placed(&seed, offset, block);
            put(bytes, at + 40, &crc.to_le_bytes());
        }
        let crc = placed(&seed, directory, &bytes[entries..footer]);
        put(bytes, footer + 12, &crc.to_le_bytes());
    }
    let header_crc: [u8; 4] = array(bytes, HEADER_BYTES - 4).unwrap_or_default();
    put(bytes, footer + 104, &header_crc);
    put(bytes, footer + 132, b"TBKARCHE");
    let mut crc = seed;
    crc.update(&bytes[footer..footer + 140]);
    put(bytes, footer + 140, &crc.finish().to_le_bytes());
}

/// A whole file around `entries`, one block, behind the entry of this index: what lies behind the decompressor is reached
/// at once.
pub fn archive_of(entries: &[u8], before: u64) -> Vec<u8> {
    let (mut count, mut at) = (0_u64, 0);
    while let Some(length) = u32_at(entries, at).filter(|_| at < entries.len()) {
        count += 1;
        at = at.saturating_add(ENTRY_HEADER_BYTES + length.next_multiple_of(16));
    }
    let count = count.max(1);
    let mut bytes = vec![0; HEADER_BYTES];
    put(&mut bytes, 24, &crate::CLUSTER_ID.to_le_bytes());
    put(&mut bytes, 40, &crate::LOG.node_id.to_le_bytes());
    put(&mut bytes, 80, &before.to_le_bytes());
    let compressed = zstd::bulk::compress(entries, 1).unwrap_or_default();
    bytes.extend_from_slice(&compressed);
    let directory = bytes.len();
    bytes.resize(directory + 8 + BLOCK_ENTRY_BYTES + FOOTER_BYTES, 0);
    let (block, footer) = (directory + 8, directory + 8 + BLOCK_ENTRY_BYTES);
    put(&mut bytes, block, &(HEADER_BYTES as u64).to_le_bytes());
    put(&mut bytes, block + 8, &(compressed.len() as u32).to_le_bytes());
    put(&mut bytes, block + 12, &(entries.len() as u32).to_le_bytes());
    put(&mut bytes, block + 16, &before.wrapping_add(1).to_le_bytes());
    put(&mut bytes, footer, &(directory as u64).to_le_bytes());
    put(&mut bytes, footer + 8, &1_u32.to_le_bytes());
    put(&mut bytes, footer + 16, &before.wrapping_add(1).to_le_bytes());
    put(&mut bytes, footer + 24, &count.to_le_bytes());
    put(&mut bytes, footer + 32, &(entries.len() as u64).to_le_bytes());
    put(&mut bytes, footer + 56, &before.wrapping_add(count).to_le_bytes());
    archive(&mut bytes);
    bytes
}

fn header(bytes: &mut [u8]) {
    put(bytes, 0, &[0x50, 0x2a, 0x4d, 0x18, 0x78, 0, 0, 0]);
    put(bytes, 8, b"TBKARCH1");
    put(bytes, 16, &1_u32.to_le_bytes());
    let crc = crc32c(&bytes[..HEADER_BYTES - 4]);
    put(bytes, HEADER_BYTES - 4, &crc.to_le_bytes());
}

/// Cluster, node, and the index of the first entry.
fn seed(bytes: &[u8]) -> Option<Crc32c> {
    let mut crc = Crc32c::seeded(&bytes[24..40]);
    crc.update(&bytes[40..48]);
    let before = u64::from_le_bytes(array(bytes, 80)?);
    crc.update(&before.checked_add(1)?.to_le_bytes());
    Some(crc)
}

fn placed(seed: &Crc32c, offset: usize, bytes: &[u8]) -> u32 {
    let mut crc = seed.clone();
    crc.update(&(offset as u64).to_le_bytes());
    crc.update(bytes);
    crc.finish()
}
