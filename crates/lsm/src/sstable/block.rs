//! A block of rows, and what the block index says of it.

use tapebook_record::{RawRecord, TableId};

use super::entry::{self, ENTRY_BYTES, EntryBytes};
use super::layout::{i64_at, u16_at, u32_at, u64_at};
use super::search;

pub(super) const BLOCK_ENTRY_BYTES: usize = 80;

/// What the block index says of one block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BlockEntry {
    pub(super) offset: u64,
    /// Bytes, padding included.
    pub(super) length: u32,
    pub(super) crc: u32,
    pub(super) table: TableId,
    pub(super) layout: u16,
    pub(super) entries: u32,
    /// How many rows stand in the blocks before.
    pub(super) first_row: u64,
    pub(super) first_ts: i64,
    pub(super) first_seq: u64,
    pub(super) ts_min: i64,
    pub(super) ts_max: i64,
    pub(super) seq_min: u64,
    pub(super) seq_max: u64,
}

impl BlockEntry {
    pub(super) fn to_bytes(self) -> [u8; BLOCK_ENTRY_BYTES] {
        let mut bytes = [0; BLOCK_ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.crc.to_le_bytes());
        bytes[16..18].copy_from_slice(&self.table.0.to_le_bytes());
        bytes[18..20].copy_from_slice(&self.layout.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.entries.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_row.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_ts.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.ts_min.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.ts_max.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.seq_min.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.seq_max.to_le_bytes());
        bytes
    }

    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            offset: u64_at(bytes, 0),
            length: u32_at(bytes, 8),
            crc: u32_at(bytes, 12),
            table: TableId(u16_at(bytes, 16)),
            layout: u16_at(bytes, 18),
            entries: u32_at(bytes, 20),
            first_row: u64_at(bytes, 24),
            first_ts: i64_at(bytes, 32),
            first_seq: u64_at(bytes, 40),
            ts_min: i64_at(bytes, 48),
            ts_max: i64_at(bytes, 56),
            seq_min: u64_at(bytes, 64),
            seq_max: u64_at(bytes, 72),
        }
    }
}

/// The bytes of a block whose checksum was verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) number: u32,
    pub(super) bytes: &'a [u8],
    pub(super) entries: &'a [EntryBytes],
    pub(super) layout: u16,
}

impl<'a> Block<'a> {
    /// The block index was checked: the entries fit into the bytes.
    pub(super) fn new(number: u32, index: &BlockEntry, bytes: &'a [u8]) -> Self {
        let (entries, _) = bytes[..index.entries as usize * ENTRY_BYTES].as_chunks();
        Self { number, bytes, entries, layout: index.layout }
    }

    /// The first entry from `from` up to `to` whose key is not below `(ts, seq)`; `to` where there is none.
    pub(super) fn lower_bound(&self, from: usize, to: usize, ts: i64, seq: u64) -> usize {
        let entries = self.entries.get(from..to).unwrap_or_default();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return from;
        };
        let guess = search::interpolate(entry::ts(first), entry::ts(last), ts, entries.len());
        let before = |at: usize| (entry::ts(&entries[at]), entry::seq(&entries[at])) < (ts, seq);
        from + search::partition_at(entries.len(), guess, 2, before)
    }

    /// The record of an entry, `None` where there is no such entry or its row lies outside.
    #[inline]
    pub(super) fn record(&self, at: usize, symbol: &'a str) -> Option<RawRecord<'a>> {
        entry::record(self.entries.get(at)?, self.bytes, self.layout, symbol)
    }
}
