//! What a file knows about the ids in one column: a filter and an index.

use tapebook_record::slot::{ID_TEXT_BIT, NULL_ID};
use tapebook_record::{Id, TableId};
use xxhash_rust::xxh3::xxh3_64;

use super::bloom::LINE_BYTES;
use super::layout::{pages, u16_at, u32_at, u64_at};

pub(super) const ID_COLUMN_BYTES: usize = 64;
/// One entry of an id index: the row's number, and above it the upper half of the id's hash.
pub(super) const INDEX_ENTRY_BYTES: usize = 8;

/// What the file says about one id column of one table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct IdColumn {
    pub(super) table: TableId,
    /// Position among the table's columns.
    pub(super) column: u16,
    /// Where the column's slot lies in a row.
    pub(super) slot_offset: u32,
    /// Rows whose id is not NULL.
    pub(super) ids: u64,
    /// Different ids among them, as far as their hashes tell.
    pub(super) distinct: u64,
    pub(super) filter_offset: u64,
    pub(super) filter_length: u64,
    pub(super) index_offset: u64,
    pub(super) index_length: u64,
    /// The number of the filter's first page; the index's pages follow.
    pub(super) first_page: u32,
    pub(super) probes: u32,
}

impl IdColumn {
    pub(super) fn to_bytes(self) -> [u8; ID_COLUMN_BYTES] {
        let mut bytes = [0; ID_COLUMN_BYTES];
        bytes[..2].copy_from_slice(&self.table.0.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.column.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.slot_offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ids.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.distinct.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.filter_offset.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.filter_length.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.index_offset.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.index_length.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.first_page.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.probes.to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            table: TableId(u16_at(bytes, 0)),
            column: u16_at(bytes, 2),
            slot_offset: u32_at(bytes, 4),
            ids: u64_at(bytes, 8),
            distinct: u64_at(bytes, 16),
            filter_offset: u64_at(bytes, 24),
            filter_length: u64_at(bytes, 32),
            index_offset: u64_at(bytes, 40),
            index_length: u64_at(bytes, 48),
            first_page: u32_at(bytes, 56),
            probes: u32_at(bytes, 60),
        }
    }

    pub(super) fn lines(&self) -> usize {
        self.filter_length as usize / LINE_BYTES
    }

    pub(super) fn filter_pages(&self) -> usize {
        pages(self.filter_length as usize)
    }

    pub(super) fn index_pages(&self) -> usize {
        pages(self.index_length as usize)
    }
}

/// The id that is meant: a text that spells a number below 2^63 is that number.
pub(super) fn canonical(id: Id<'_>) -> Id<'_> {
    match id {
        Id::Text(text) => Id::from(text),
        number => number,
    }
}

/// The hash of a canonical id: of a number's eight bytes, little endian, or of a text's bytes.
#[inline]
pub(super) fn hash(id: Id<'_>) -> u64 {
    match id {
        Id::Number(number) => xxh3_64(&number.to_le_bytes()),
        Id::Text(text) => xxh3_64(text.as_bytes()),
    }
}

/// The id in the slot at `offset` of a row; `None` for NULL, and where slot or text lie outside the row.
pub(super) fn id_at(row: &[u8], offset: usize) -> Option<Id<'_>> {
    if row.len() < offset.checked_add(8)? {
        return None;
    }
    let slot = u64_at(row, offset);
    if slot < ID_TEXT_BIT {
        return Some(Id::Number(slot));
    }
    if slot == NULL_ID {
        return None;
    }
    let start = slot as u32 as usize;
    let length = (slot >> 32) as usize & 0x7fff_ffff;
    std::str::from_utf8(row.get(start..start.checked_add(length)?)?).ok().map(Id::Text)
}
