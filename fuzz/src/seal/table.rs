//! SSTables: `docs/format/sstable.md`.

use tapebook_record::{Crc32c, crc32c};

use super::{array, part, put, u32_at, u64_at};
use crate::TABLE;

const MAGIC: &[u8; 8] = b"TBKSST01";
const HEADER_BYTES: usize = 64;
const FOOTER_BYTES: usize = 192;
const BLOCK_ENTRY_BYTES: usize = 80;
const ID_COLUMN_BYTES: usize = 64;
const PAGE_BYTES: usize = 64 * 1024;
const SECTION_BYTES: usize = 24;
const BLOCK_INDEX: usize = 0;
const ID_COLUMNS: usize = 3;
const PAGE_CHECKSUMS: usize = 4;

/// What a checksum is of.
#[derive(Clone, Copy)]
enum Kind {
    Block = 1,
    Page = 2,
    Section = 3,
    Footer = 4,
}

/// Header, blocks, pages, sections and footer, wherever the file says that they lie.
pub fn table(bytes: &mut [u8]) {
    let Some(footer) = bytes.len().checked_sub(FOOTER_BYTES).filter(|footer| *footer >= HEADER_BYTES) else {
        return;
    };
    let length = bytes.len() as u64;
    put(bytes, 0, MAGIC);
    put(bytes, 16, &TABLE.cluster_id.to_le_bytes());
    put(bytes, 32, &TABLE.file_id.to_le_bytes());
    let crc = crc32c(&bytes[..HEADER_BYTES - 4]);
    put(bytes, HEADER_BYTES - 4, &crc.to_le_bytes());
    let sections: [(usize, usize); 6] = std::array::from_fn(|number| {
        let at = footer + number * SECTION_BYTES;
        (u64_at(bytes, at).unwrap_or(0), u64_at(bytes, at + 8).unwrap_or(0))
    });
    blocks(bytes, sections[BLOCK_INDEX]);
    pages(bytes, sections[ID_COLUMNS], sections[PAGE_CHECKSUMS]);
    for (number, (offset, length)) in sections.into_iter().enumerate() {
        let Some(section) = part(bytes, offset, length) else { continue };
        let crc = checksum(Kind::Section, number as u32, section);
        put(bytes, footer + number * SECTION_BYTES + 16, &crc.to_le_bytes());
    }
    put(bytes, footer + 144, &length.to_le_bytes());
    put(bytes, footer + 184, MAGIC);
    let crc = checksum(Kind::Footer, 0, &bytes[footer..footer + 180]);
    put(bytes, footer + 180, &crc.to_le_bytes());
}

fn blocks(bytes: &mut [u8], (index, length): (usize, usize)) {
    let length = length.min(bytes.len());
    for (number, at) in (index..index.saturating_add(length)).step_by(BLOCK_ENTRY_BYTES).enumerate() {
        let (Some(offset), Some(length)) = (u64_at(bytes, at), u32_at(bytes, at.saturating_add(8))) else {
            return;
        };
        let Some(block) = part(bytes, offset, length) else { continue };
        let crc = checksum(Kind::Block, number as u32, block);
        put(bytes, at.saturating_add(12), &crc.to_le_bytes());
    }
}

fn pages(bytes: &mut [u8], (columns, length): (usize, usize), (checksums, _): (usize, usize)) {
    let length = length.min(bytes.len());
    for at in (columns..columns.saturating_add(length)).step_by(ID_COLUMN_BYTES) {
        let Some(mut number) = array(bytes, at.saturating_add(56)).map(u32::from_le_bytes) else { return };
        for place in [at.saturating_add(24), at.saturating_add(40)] {
            let (Some(offset), Some(length)) = (u64_at(bytes, place), u64_at(bytes, place.saturating_add(8)))
            else {
                return;
            };
            for from in (0..length.min(bytes.len())).step_by(PAGE_BYTES) {
                let Some(page) = part(bytes, offset.saturating_add(from), PAGE_BYTES.min(length - from))
                else {
                    break;
                };
                let crc = checksum(Kind::Page, number, page);
                put(bytes, checksums.saturating_add(number as usize * 4), &crc.to_le_bytes());
                number = number.wrapping_add(1);
            }
        }
    }
}

fn checksum(kind: Kind, number: u32, bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::seeded(&TABLE.cluster_id.to_le_bytes());
    crc.update(&TABLE.file_id.to_le_bytes());
    crc.update(&(kind as u32).to_le_bytes());
    crc.update(&number.to_le_bytes());
    crc.update(bytes);
    crc.finish()
}
