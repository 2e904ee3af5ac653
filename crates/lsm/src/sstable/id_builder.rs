//! Gathers the ids of one column and writes their filter and index.

use std::io;

use tapebook_record::{RawRecord, TableId, TableSchema};

use super::bloom::{self, LINE_BYTES};
use super::id_columns::{INDEX_ENTRY_BYTES, IdColumn, hash};
use super::layout::PAGE_BYTES;
use super::output::Output;

/// The ids of one column of one table: 16 bytes of memory for each, until the file is finished.
#[derive(Debug)]
pub(super) struct IdBuilder {
    table: TableId,
    column: usize,
    slot_offset: usize,
    ids: Vec<(u64, u32)>,
}

impl IdBuilder {
    pub(super) fn new(schema: &TableSchema, column: usize) -> Self {
        let slot_offset = schema.columns[column].offset;
        Self { table: schema.id, column, slot_offset, ids: Vec::new() }
    }

    /// Notes the id that a row has in this column.
    #[inline]
    pub(super) fn add(&mut self, schema: &TableSchema, record: &RawRecord<'_>, row: u32) {
        if let Some(id) = record.id(schema, self.column) {
            self.ids.push((hash(id), row));
        }
    }

    /// Writes filter and index; `None` where every id was NULL.
    pub(super) fn write(mut self, out: &mut Output, bits_per_key: u32) -> io::Result<Option<IdColumn>> {
        if self.ids.is_empty() {
            return Ok(None);
        }
        self.ids.sort_unstable();
        let distinct = self.ids.chunk_by(|a, b| a.0 == b.0).count();
        let first_page = out.page_count();
        let probes = bloom::probes(bits_per_key);
        let (filter_offset, filter_length) =
            self.write_filter(out, bloom::lines(distinct, bits_per_key), probes)?;
        let mut rest = self.ids.as_slice();
        let (index_offset, index_length) = out.pages(|page| {
            let (now, later) = rest.split_at(rest.len().min(PAGE_BYTES / INDEX_ENTRY_BYTES));
            rest = later;
            for (hash, row) in now {
                let entry = hash >> 32 << 32 | u64::from(*row);
                page.extend_from_slice(&entry.to_le_bytes());
            }
        })?;
        Ok(Some(IdColumn {
            table: self.table,
            column: self.column as u16,
            slot_offset: self.slot_offset as u32,
            ids: self.ids.len() as u64,
            distinct: distinct as u64,
            filter_offset,
            filter_length,
            index_offset,
            index_length,
            first_page,
            probes,
        }))
    }

    /// The line of a key grows with its hash, so one pass over the sorted ids fills the lines in order.
    fn write_filter(&self, out: &mut Output, lines: usize, probes: u32) -> io::Result<(u64, u64)> {
        let mut ids = self.ids.iter().map(|(hash, _)| *hash).peekable();
        let mut next_line = 0;
        out.pages(|page| {
            for line in next_line..lines.min(next_line + PAGE_BYTES / LINE_BYTES) {
                let start = page.len();
                page.resize(start + LINE_BYTES, 0);
                while let Some(hash) = ids.next_if(|hash| bloom::line(*hash, lines) == line) {
                    bloom::insert(&mut page[start..], hash, probes);
                }
            }
            next_line += page.len() / LINE_BYTES;
        })
    }
}
