//! What a file must be before anything in it is used.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::block::{BLOCK_ENTRY_BYTES, BlockEntry};
use super::bloom::PROBES_MAX;
use super::directory::{SERIES_ENTRY_BYTES, SeriesEntry};
use super::entry::ENTRY_BYTES;
use super::error::{Part, TableError, checksum, structure};
use super::footer::{FOOTER_BYTES, Footer, SECTIONS};
use super::header::{FileHeader, HEADER_BYTES};
use super::id_columns::{ID_COLUMN_BYTES, INDEX_ENTRY_BYTES, IdColumn};
use super::identity::{ChecksumKind, TableIdentity};
use super::layout::{ALIGN, aligned};
use super::meta::{Properties, Totals};
use super::source::Source;
use super::table::Table;
use super::verified::Verified;
use crate::key::TimeRange;

impl Table {
    /// Everything but the rows, the filters and the id indexes, whose checksums wait until somebody touches them.
    pub(super) fn check(
        path: Arc<Path>,
        source: Source,
        identity: TableIdentity,
    ) -> Result<Arc<Self>, TableError> {
        let file: &[u8] = &source;
        let header =
            FileHeader::read(&path, &file[..file.len().min(HEADER_BYTES)]).map_err(|error| match error {
                TableError::NotATable { path, .. } => {
                    TableError::NotATable { path, length: file.len() as u64 }
                }
                other => other,
            })?;
        if header.identity != identity {
            let path = path.to_path_buf();
            return Err(TableError::WrongIdentity { path, expected: identity, found: header.identity });
        }
        let footer = Footer::read(&path, file, identity)?;
        let opening = Opening { path: &path, file, footer: &footer };
        opening.section_checksums(identity)?;
        let (blocks_end, totals) = opening.block_index()?;
        opening.directory(totals.rows)?;
        let (id_columns, pages) = opening.id_columns(blocks_end)?;
        let properties = opening.properties(&totals)?;
        let verified_blocks = Verified::new(footer.sections[0].length as usize / BLOCK_ENTRY_BYTES);
        let verified_pages = Verified::new(pages);
        Ok(Arc::new(Self {
            path,
            identity,
            footer,
            properties,
            id_columns,
            verified_blocks,
            verified_pages,
            series_names: OnceLock::new(),
            source,
        }))
    }
}

struct Opening<'a> {
    path: &'a Arc<Path>,
    file: &'a [u8],
    footer: &'a Footer,
}

impl<'a> Opening<'a> {
    fn fail<T>(&self, part: Part, offset: u64, reason: &'static str) -> Result<T, TableError> {
        Err(structure(self.path, offset, part, reason))
    }

    fn zeros(&self, from: u64, to: u64) -> Result<(), TableError> {
        let between = self.file.get(from as usize..to as usize).unwrap_or_default();
        match between.iter().position(|byte| *byte != 0) {
            Some(at) => self.fail(Part::Padding, from + at as u64, "bytes where zeros should be"),
            None => Ok(()),
        }
    }

    fn section_checksums(&self, identity: TableIdentity) -> Result<(), TableError> {
        let footer_at = (self.file.len() - FOOTER_BYTES) as u64;
        for (number, section) in self.footer.sections.iter().enumerate() {
            let mut crc = identity.checksum(ChecksumKind::Section, number as u32);
            crc.update(section.of(self.file));
            if crc.finish() != section.crc {
                let part = SECTIONS[number];
                return Err(checksum(self.path, section.offset, part, section.crc, crc.finish()));
            }
            let end = section.offset + section.length;
            self.zeros(end, aligned(end).min(footer_at))?;
        }
        Ok(())
    }

    /// The entries of a section, each of `N` bytes.
    fn entries<const N: usize>(&self, number: usize) -> Result<&'a [[u8; N]], TableError> {
        let section = self.footer.sections[number];
        let (entries, rest) = section.of(self.file).as_chunks::<N>();
        if !rest.is_empty() || u32::try_from(entries.len()).is_err() {
            return self.fail(SECTIONS[number], section.offset, "its length is not possible");
        }
        Ok(entries)
    }

    /// Where an entry of a section lies in the file.
    fn entry_offset<const N: usize>(&self, number: usize, at: usize) -> u64 {
        self.footer.sections[number].offset + (at * N) as u64
    }

    /// Where the last block ends, and the sums over all blocks.
    fn block_index(&self) -> Result<(u64, Totals), TableError> {
        let (mut end, mut totals, mut table) = (HEADER_BYTES as u64, Totals::NONE, 0);
        for (at, bytes) in self.entries::<BLOCK_ENTRY_BYTES>(0)?.iter().enumerate() {
            let block = BlockEntry::read(bytes);
            let fail =
                |reason| self.fail(Part::BlockIndex, self.entry_offset::<BLOCK_ENTRY_BYTES>(0, at), reason);
            if block.offset != end || !(block.length as usize).is_multiple_of(ALIGN) {
                return fail("a block does not follow the one before");
            }
            end += u64::from(block.length);
            if end > self.footer.sections[0].offset {
                return fail("a block outside the file");
            }
            if block.entries == 0 || u64::from(block.entries) * ENTRY_BYTES as u64 > u64::from(block.length) {
                return fail("a block with more entries than bytes, or none");
            }
            if block.layout == 0 {
                return fail("a block without a layout version, which begin with 1");
            }
            if block.first_row != totals.rows || totals.rows + u64::from(block.entries) > u64::from(u32::MAX)
            {
                return fail("the rows of a block do not follow those before");
            }
            let ts = TimeRange { first: block.ts_min, last: block.ts_max };
            if !ts.contains(block.first_ts)
                || !(block.seq_min..=block.seq_max).contains(&block.first_seq)
                || block.table.0 < table
            {
                return fail("a block whose first record cannot be");
            }
            table = block.table.0;
            totals.add(u64::from(block.entries), ts, block.seq_min..=block.seq_max);
        }
        Ok((end, totals))
    }

    fn directory(&self, rows: u64) -> Result<(), TableError> {
        let names = self.footer.sections[2];
        let names_bytes = names.of(self.file);
        let blocks = self.entries::<BLOCK_ENTRY_BYTES>(0)?;
        let (mut next_row, mut next_name, mut last_key) = (0_u64, 0, None);
        for (at, bytes) in self.entries::<SERIES_ENTRY_BYTES>(1)?.iter().enumerate() {
            let series = SeriesEntry::read(bytes);
            let fail =
                |reason| self.fail(Part::Directory, self.entry_offset::<SERIES_ENTRY_BYTES>(1, at), reason);
            let name = names_bytes.get(series.name_range()).map(std::str::from_utf8);
            let (Some(Ok(name)), true) = (name, series.name_range().start == next_name) else {
                return fail("a symbol that is not there");
            };
            next_name = series.name_range().end;
            let key = (series.table, name);
            if name.is_empty() || last_key.is_some_and(|last| last >= key) {
                return fail("series out of order");
            }
            last_key = Some(key);
            let in_rows = series.rows > 0
                && series.first_row == next_row
                && series.first_row.checked_add(series.rows).is_some_and(|end| end <= rows);
            let block = blocks.get(series.first_block as usize).map(|bytes| BlockEntry::read(bytes));
            let (Some(block), true) = (block, in_rows) else {
                return fail("rows that are not there");
            };
            if block.first_row + u64::from(series.first_entry) != series.first_row
                || series.first_entry >= block.entries
                || block.table != series.table
            {
                return fail("a first block that does not hold the first row");
            }
            if series.ts_first > series.ts_last || series.seq_min > series.seq_max {
                return fail("a range that ends before it begins");
            }
            next_row = series.first_row + series.rows;
        }
        if next_row != rows || next_name != names_bytes.len() {
            return self.fail(
                Part::Directory,
                self.footer.sections[1].offset,
                "rows or names without a series",
            );
        }
        Ok(())
    }

    /// The id columns, and the number of their pages.
    fn id_columns(&self, blocks_end: u64) -> Result<(Vec<IdColumn>, usize), TableError> {
        let entries = self.entries::<ID_COLUMN_BYTES>(3)?;
        let pages_known = self.entries::<4>(4)?.len();
        let limit = self.footer.sections[0].offset;
        let (mut end, mut pages, mut last_key) = (blocks_end, 0, None);
        let mut columns = Vec::with_capacity(entries.len());
        for (at, bytes) in entries.iter().enumerate() {
            let column = IdColumn::read(bytes);
            let fail =
                |reason| self.fail(Part::IdColumns, self.entry_offset::<ID_COLUMN_BYTES>(3, at), reason);
            for (offset, length) in
                [(column.filter_offset, column.filter_length), (column.index_offset, column.index_length)]
            {
                if offset != aligned(end) || length == 0 || length > limit.saturating_sub(offset) {
                    return fail("a filter or index outside the file");
                }
                self.zeros(end, offset)?;
                end = offset + length;
            }
            if !column.filter_length.is_multiple_of(ALIGN as u64)
                || !column.index_length.is_multiple_of(INDEX_ENTRY_BYTES as u64)
                || column.ids != column.index_length / INDEX_ENTRY_BYTES as u64
                || column.distinct > column.ids
                || !(1..=PROBES_MAX).contains(&column.probes)
            {
                return fail("sizes that do not fit each other");
            }
            if column.first_page as usize != pages {
                return fail("its pages do not follow those before");
            }
            pages += column.filter_pages() + column.index_pages();
            let key = (column.table, column.column);
            if last_key.is_some_and(|last| last >= key) {
                return fail("columns out of order");
            }
            last_key = Some(key);
            columns.push(column);
        }
        if pages != pages_known {
            return self.fail(Part::PageChecksums, self.footer.sections[4].offset, "not one for each page");
        }
        if aligned(end) != limit {
            return self.fail(Part::BlockIndex, limit, "it does not follow what is before it");
        }
        self.zeros(end, limit)?;
        Ok((columns, pages))
    }

    fn properties(&self, totals: &Totals) -> Result<Properties, TableError> {
        let section = self.footer.sections[5];
        let properties = Properties::decode(section.of(self.file))
            .or_else(|error| self.fail(Part::Meta, section.offset + error.offset as u64, error.reason))?;
        let rows: u64 = properties.tables.iter().fold(0, |sum, table| sum.saturating_add(table.rows));
        if properties.totals != *totals || rows != totals.rows {
            return self.fail(Part::Meta, section.offset, "totals that are not those of the blocks");
        }
        Ok(properties)
    }
}
