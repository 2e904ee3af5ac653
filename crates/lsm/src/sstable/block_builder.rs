//! Gathers the rows of one block.

use tapebook_record::{Crc32c, RawRecord, TableId};

use super::block::BlockEntry;
use super::entry::{self, ENTRY_BYTES, EntryBytes};
use super::layout::ALIGN;

/// A block that is being filled: rows of one table and one layout version.
#[derive(Debug)]
pub(super) struct BlockBuilder {
    table: TableId,
    layout: u16,
    row_align: usize,
    first_row: u64,
    entries: Vec<EntryBytes>,
    rows: Vec<u8>,
}

impl BlockBuilder {
    pub(super) fn new() -> Self {
        let (entries, rows) = (Vec::new(), Vec::new());
        Self { table: TableId(0), layout: 0, row_align: ALIGN, first_row: 0, entries, rows }
    }

    /// Begins anew and keeps the memory.
    pub(super) fn begin(&mut self, table: TableId, layout: u16, row_align: usize, first_row: u64) {
        (self.table, self.layout, self.row_align, self.first_row) = (table, layout, row_align, first_row);
        self.entries.clear();
        self.rows.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn table(&self) -> TableId {
        self.table
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of the block so far.
    pub(super) fn bytes(&self) -> usize {
        self.entries.len() * ENTRY_BYTES + self.rows.len()
    }

    /// True where the row may go into this block. An empty block takes any row of its table.
    pub(super) fn takes(&self, table: TableId, layout: u16, row_bytes: usize, block_bytes: usize) -> bool {
        let bytes = (self.entries.len() + 1) * ENTRY_BYTES + self.rows.len() + row_bytes;
        self.table == table && self.layout == layout && (self.is_empty() || bytes <= block_bytes)
    }

    /// Adds a row whose length is a multiple of the row alignment.
    pub(super) fn push(&mut self, record: &RawRecord<'_>) {
        // Offsets count from the first row until the number of entries, which stand before it, is known.
        self.entries.push(entry::encode(record, self.rows.len() as u32));
        self.rows.extend_from_slice(record.row);
    }

    /// Appends the block to `out` and says what the block index must know of it.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, mut crc: Crc32c, offset: u64) -> BlockEntry {
        let start = out.len();
        let rows_at = (self.entries.len() * ENTRY_BYTES).next_multiple_of(self.row_align);
        let mut block = BlockEntry {
            offset,
            length: (rows_at + self.rows.len()).next_multiple_of(ALIGN) as u32,
            crc: 0,
            table: self.table,
            layout: self.layout,
            entries: self.entries.len() as u32,
            first_row: self.first_row,
            first_ts: self.entries.first().map_or(0, entry::ts),
            first_seq: self.entries.first().map_or(0, entry::seq),
            ts_min: i64::MAX,
            ts_max: i64::MIN,
            seq_min: u64::MAX,
            seq_max: 0,
        };
        for entry in &mut self.entries {
            let row_at = (entry::offset(entry) + rows_at) as u32;
            entry[32..36].copy_from_slice(&row_at.to_le_bytes());
            block.ts_min = block.ts_min.min(entry::ts(entry));
            block.ts_max = block.ts_max.max(entry::ts(entry));
            block.seq_min = block.seq_min.min(entry::seq(entry));
            block.seq_max = block.seq_max.max(entry::seq(entry));
        }
        out.extend_from_slice(self.entries.as_flattened());
        out.resize(start + rows_at, 0);
        out.extend_from_slice(&self.rows);
        out.resize(start + block.length as usize, 0);
        crc.update(&out[start..]);
        block.crc = crc.finish();
        block
    }
}
