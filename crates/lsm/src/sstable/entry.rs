//! What a block keeps of a row apart from its bytes: its key, times and place.

use tapebook_record::RawRecord;

use super::layout::{i64_at, u32_at, u64_at};

pub(super) const ENTRY_BYTES: usize = 40;
/// The longest row that an entry can describe.
pub(super) const ROW_LENGTH_MAX: usize = (1 << 24) - 1;

/// The entry of one row, as it lies in its block.
pub(super) type EntryBytes = [u8; ENTRY_BYTES];

/// Encodes an entry; `offset` counts from the start of the block.
pub(super) fn encode(record: &RawRecord<'_>, offset: u32) -> EntryBytes {
    let mut bytes = [0; ENTRY_BYTES];
    bytes[..8].copy_from_slice(&record.ts.to_le_bytes());
    bytes[8..16].copy_from_slice(&record.seq.to_le_bytes());
    bytes[16..24].copy_from_slice(&record.recv_ts.to_le_bytes());
    bytes[24..32].copy_from_slice(&record.feed_seq.to_le_bytes());
    bytes[32..36].copy_from_slice(&offset.to_le_bytes());
    let length_and_flags = record.row.len() as u32 | u32::from(record.flags) << 24;
    bytes[36..].copy_from_slice(&length_and_flags.to_le_bytes());
    bytes
}

#[inline]
pub(super) fn ts(entry: &EntryBytes) -> i64 {
    i64_at(entry, 0)
}

#[inline]
pub(super) fn seq(entry: &EntryBytes) -> u64 {
    u64_at(entry, 8)
}

#[inline]
pub(super) fn offset(entry: &EntryBytes) -> usize {
    u32_at(entry, 32) as usize
}

#[inline]
pub(super) fn length(entry: &EntryBytes) -> usize {
    (u32_at(entry, 36) & 0x00ff_ffff) as usize
}

#[inline]
pub(super) fn flags(entry: &EntryBytes) -> u8 {
    entry[39]
}

/// The record that `entry` describes, `None` where its row does not lie in `block`.
#[inline]
pub(super) fn record<'a>(
    entry: &EntryBytes,
    block: &'a [u8],
    layout: u16,
    symbol: &'a str,
) -> Option<RawRecord<'a>> {
    let start = offset(entry);
    let row = block.get(start..start + length(entry))?;
    Some(RawRecord {
        ts: ts(entry),
        seq: seq(entry),
        recv_ts: i64_at(entry, 16),
        feed_seq: u64_at(entry, 24),
        flags: flags(entry),
        layout,
        symbol,
        row,
    })
}
