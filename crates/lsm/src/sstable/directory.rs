//! What the series directory says of one series.

use tapebook_record::TableId;

use super::layout::{i64_at, u16_at, u32_at, u64_at};

pub(super) const SERIES_ENTRY_BYTES: usize = 64;

/// One series: its rows are `rows` consecutive rows of the file, from `first_row` on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SeriesEntry {
    pub(super) table: TableId,
    pub(super) name_length: u16,
    pub(super) name_offset: u32,
    pub(super) first_row: u64,
    pub(super) rows: u64,
    pub(super) ts_first: i64,
    pub(super) ts_last: i64,
    pub(super) seq_min: u64,
    pub(super) seq_max: u64,
    pub(super) first_block: u32,
    pub(super) first_entry: u32,
}

impl SeriesEntry {
    pub(super) fn to_bytes(self) -> [u8; SERIES_ENTRY_BYTES] {
        let mut bytes = [0; SERIES_ENTRY_BYTES];
        bytes[..2].copy_from_slice(&self.table.0.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.name_length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.name_offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first_row.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.rows.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.ts_first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.ts_last.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.seq_min.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.seq_max.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.first_block.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.first_entry.to_le_bytes());
        bytes
    }

    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            table: TableId(u16_at(bytes, 0)),
            name_length: u16_at(bytes, 2),
            name_offset: u32_at(bytes, 4),
            first_row: u64_at(bytes, 8),
            rows: u64_at(bytes, 16),
            ts_first: i64_at(bytes, 24),
            ts_last: i64_at(bytes, 32),
            seq_min: u64_at(bytes, 40),
            seq_max: u64_at(bytes, 48),
            first_block: u32_at(bytes, 56),
            first_entry: u32_at(bytes, 60),
        }
    }

    /// The name's place in the names.
    #[inline]
    pub(super) fn name_range(&self) -> std::ops::Range<usize> {
        let start = self.name_offset as usize;
        start..start + usize::from(self.name_length)
    }
}
