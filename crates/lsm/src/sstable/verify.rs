//! The full check of a file: every checksum, every row, and that the parts agree with each other.

use tapebook_record::{RawRecord, Schemas, TableSchema};

use super::block::{Block, BlockEntry};
use super::entry::{self, ENTRY_BYTES};
use super::error::{Part, TableError, structure};
use super::id_columns::{self, IdColumn};
use super::layout::PAGE_BYTES;
use super::meta::{TableStats, Totals};
use super::row_check::check_row;
use super::series::TableSeries;
use super::table::Table;
use crate::key::TimeRange;

impl Table {
    /// Reads the whole file and checks all of it against itself and against `schemas`; the first error otherwise.
    ///
    /// Checksums are verified again even where that was done before.
    pub fn verify(&self, schemas: &Schemas) -> Result<(), TableError> {
        self.verify_blocks(schemas)?;
        self.verify_series()?;
        self.verify_tables(schemas)?;
        let mut counts = vec![0_u64; self.id_columns.len()];
        self.verify_ids(schemas, &mut counts)?;
        for (column, found) in self.id_columns.iter().zip(counts) {
            if found != column.ids {
                return self.bad_index(column, "it does not have one entry for each id");
            }
        }
        Ok(())
    }

    fn verify_blocks(&self, schemas: &Schemas) -> Result<(), TableError> {
        for number in 0..self.block_count() {
            let index = self.block_entry(number);
            let start = index.offset as usize;
            let bytes = &self.source[start..start + index.length as usize];
            self.verify_block(number, &index, bytes)?;
            let fail =
                |at, reason| Err(structure(&self.path, index.offset + at, Part::Block(number), reason));
            let Some(schema) = schemas.get(index.table) else {
                return fail(0, "its table is not known");
            };
            if index.layout == 0 || index.layout > schema.layout {
                return fail(0, "its layout version is not known");
            }
            self.verify_rows(&index, &Block::new(number, &index, bytes), schema)?;
        }
        Ok(())
    }

    fn verify_rows(
        &self,
        index: &BlockEntry,
        block: &Block<'_>,
        schema: &TableSchema,
    ) -> Result<(), TableError> {
        let mut found = Totals::NONE;
        let mut next = (block.entries.len() * ENTRY_BYTES).next_multiple_of(schema.row_align);
        let mut padding = block.entries.len() * ENTRY_BYTES..next;
        for (at, entry) in block.entries.iter().enumerate() {
            let fail = |reason| {
                let offset = index.offset + (at * ENTRY_BYTES) as u64;
                Err(structure(&self.path, offset, Part::Block(block.number), reason))
            };
            let Some(record) = block.record(at, "") else {
                return fail("a row outside its block");
            };
            if entry::offset(entry) != next || !record.row.len().is_multiple_of(schema.row_align) {
                return fail("a row that does not follow the one before");
            }
            next += record.row.len();
            if index.layout == schema.layout
                && let Err(reason) = check_row(schema, record.row)
            {
                return fail(reason);
            }
            found.add(1, TimeRange { first: record.ts, last: record.ts }, record.seq..=record.seq);
        }
        let first = block.entries.first().map(|entry| (entry::ts(entry), entry::seq(entry)));
        let ranges = (found.ts, found.seq_min, found.seq_max);
        if ranges != (TimeRange { first: index.ts_min, last: index.ts_max }, index.seq_min, index.seq_max)
            || first != Some((index.first_ts, index.first_seq))
        {
            let reason = "the block index says something else of its records";
            return Err(structure(&self.path, index.offset, Part::Block(block.number), reason));
        }
        let zeros = |range: std::ops::Range<usize>| block.bytes[range].iter().all(|byte| *byte == 0);
        padding.end = padding.end.min(block.bytes.len());
        if !zeros(padding) || !zeros(next.min(block.bytes.len())..block.bytes.len()) {
            let reason = "bytes where zeros should be";
            return Err(structure(&self.path, index.offset, Part::Block(block.number), reason));
        }
        Ok(())
    }

    fn verify_series(&self) -> Result<(), TableError> {
        for at in 0..self.series_count() {
            let (Some(series), Some(entry)) = (TableSeries::new(self, at), self.series_entry(at)) else {
                continue;
            };
            let offset = self.footer.sections[1].offset + (at * super::directory::SERIES_ENTRY_BYTES) as u64;
            let fail = |reason| Err(structure(&self.path, offset, Part::Directory, reason));
            let mut found = Totals::NONE;
            let mut last = None;
            let mut row = entry.first_row;
            let end = entry.first_row + entry.rows;
            while row < end {
                let number = self.block_of_row(row);
                let index = self.block_entry(number);
                if index.table != entry.table {
                    return fail("a block of another table among its blocks");
                }
                let block = self.block(number)?;
                let (from, to) = series.entries_in(number, block.entries.len());
                for entry in block.entries.get(from..to).unwrap_or_default() {
                    let key = (entry::ts(entry), entry::seq(entry));
                    if last.is_some_and(|last| last >= key) {
                        return fail("records out of order");
                    }
                    last = Some(key);
                    found.add(1, TimeRange { first: key.0, last: key.0 }, key.1..=key.1);
                }
                row = index.first_row + u64::from(index.entries);
            }
            if found.rows != entry.rows
                || found.ts != series.time_range()
                || (found.seq_min, found.seq_max) != series.seq_range()
            {
                return fail("counts or ranges that are not those of its records");
            }
        }
        Ok(())
    }

    fn verify_tables(&self, schemas: &Schemas) -> Result<(), TableError> {
        let mut found: Vec<TableStats> = Vec::new();
        for block in (0..self.block_count()).map(|number| self.block_entry(number)) {
            if found.last().is_none_or(|last| last.table != block.table) {
                found.push(TableStats {
                    table: block.table,
                    layout_first: block.layout,
                    layout_last: block.layout,
                    row_align: schemas.get(block.table).map_or(0, |schema| schema.row_align as u16),
                    rows: 0,
                    series: self.series_of(block.table).count() as u32,
                    blocks: 0,
                });
            }
            if let Some(last) = found.last_mut() {
                last.layout_first = last.layout_first.min(block.layout);
                last.layout_last = last.layout_last.max(block.layout);
                last.rows += u64::from(block.entries);
                last.blocks += 1;
            }
        }
        if found != self.tables() {
            let offset = self.footer.sections[5].offset;
            return Err(structure(
                &self.path,
                offset,
                Part::Meta,
                "counts of tables that are not those of the blocks",
            ));
        }
        Ok(())
    }

    fn verify_ids(&self, schemas: &Schemas, counts: &mut [u64]) -> Result<(), TableError> {
        for column in &self.id_columns {
            self.verify_pages(column.first_page, column.filter_offset, column.filter_length)?;
            let first_page = column.first_page + column.filter_pages() as u32;
            self.verify_pages(first_page, column.index_offset, column.index_length)?;
            self.verify_index(column)?;
        }
        for number in 0..self.block_count() {
            let index = self.block_entry(number);
            let block = self.block(number)?;
            let Some(schema) = schemas.get(index.table) else { continue };
            for (at, _) in block.entries.iter().enumerate() {
                let Some(record) = block.record(at, "") else { continue };
                self.verify_ids_of(schema, &record, counts)?;
            }
        }
        Ok(())
    }

    /// Every id of a row passes its filter. That the index has it as well follows from the counts: its entries are
    /// different and each is right.
    fn verify_ids_of(
        &self,
        schema: &TableSchema,
        record: &RawRecord<'_>,
        counts: &mut [u64],
    ) -> Result<(), TableError> {
        for (position, _) in schema.id_columns() {
            let Some(id) = record.id(schema, position) else { continue };
            let key = |column: &IdColumn| (column.table, usize::from(column.column));
            let known = self.id_columns.binary_search_by_key(&(schema.id, position), key);
            let Ok(at) = known else {
                let offset = self.footer.sections[3].offset;
                return Err(structure(&self.path, offset, Part::IdColumns, "a column with ids is missing"));
            };
            counts[at] += 1;
            if !self.filter_contains(&self.id_columns[at], id_columns::hash(id))? {
                let column = &self.id_columns[at];
                let part = Part::Page(column.first_page);
                return Err(structure(&self.path, column.filter_offset, part, "a filter that denies an id"));
            }
        }
        Ok(())
    }

    fn verify_pages(&self, first_page: u32, offset: u64, length: u64) -> Result<(), TableError> {
        let bytes = &self.source[offset as usize..(offset + length) as usize];
        for (at, page) in bytes.chunks(PAGE_BYTES).enumerate() {
            self.verify_page(first_page + at as u32, offset + (at * PAGE_BYTES) as u64, page)?;
        }
        Ok(())
    }

    fn verify_index(&self, column: &IdColumn) -> Result<(), TableError> {
        let (mut last, mut distinct) = (None, 0);
        for at in 0..column.ids {
            let (half, row) = self.id_entry(column, at)?;
            let record = self.record(row)?.filter(|(table, _)| *table == column.table);
            let id =
                record.and_then(|(_, record)| id_columns::id_at(record.row, column.slot_offset as usize));
            let Some(hash) = id.map(id_columns::hash) else {
                return self.bad_index(column, "an entry whose row has no id");
            };
            if (hash >> 32) as u32 != half {
                return self.bad_index(column, "an entry whose row has another id");
            }
            if last.is_some_and(|last| last >= (hash, row)) {
                return self.bad_index(column, "entries out of order");
            }
            distinct += u64::from(last.is_none_or(|(last, _)| last != hash));
            last = Some((hash, row));
        }
        if distinct != column.distinct {
            return self.bad_index(column, "it does not have as many different ids");
        }
        Ok(())
    }

    fn bad_index(&self, column: &IdColumn, reason: &'static str) -> Result<(), TableError> {
        let part = Part::Page(column.first_page + column.filter_pages() as u32);
        Err(structure(&self.path, column.index_offset, part, reason))
    }
}
