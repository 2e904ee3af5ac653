//! An open table.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use tapebook_record::{AlignedBytes, Id, RawRecord, TableId};
use tapebook_vfs::{OpenMode, Vfs};

use super::block::{BLOCK_ENTRY_BYTES, Block, BlockEntry};
use super::bloom;
use super::by_id::IdMatches;
use super::directory::{SERIES_ENTRY_BYTES, SeriesEntry};
use super::entry::ENTRY_BYTES;
use super::error::{Part, TableError, checksum, io_error, structure};
use super::footer::Footer;
use super::id_columns::{self, IdColumn};
use super::identity::{ChecksumKind, TableIdentity};
use super::layout::{PAGE_BYTES, u16_at, u32_at};
use super::meta::{Properties, TableMeta, TableStats};
use super::search;
use super::series::TableSeries;
use super::series_names::SeriesNames;
use super::source::Source;
use super::verified::Verified;
use crate::key::TimeRange;

/// An open table, shared between threads. Records are read in place and borrow it.
///
/// *Invariants*, checked when it is opened: every part lies inside the file; the rows of the blocks, and likewise of
/// the series, follow each other without a gap; block index and directory are in key order.
/// *Trust*: a block's rows are trusted once its checksum was verified; even so no row is read from outside its block.
#[derive(Debug)]
pub struct Table {
    pub(super) path: Arc<Path>,
    pub(super) identity: TableIdentity,
    pub(super) source: Source,
    pub(super) footer: Footer,
    pub(super) properties: Properties,
    pub(super) id_columns: Vec<IdColumn>,
    pub(super) verified_blocks: Verified,
    pub(super) verified_pages: Verified,
    pub(super) series_names: OnceLock<SeriesNames>,
}

impl Table {
    /// Maps a file and checks all of it but its rows, filters and id indexes.
    pub fn open(vfs: &dyn Vfs, path: &Path, identity: TableIdentity) -> Result<Arc<Self>, TableError> {
        let shared: Arc<Path> = path.into();
        let open = || {
            let file = vfs.open(path, OpenMode::Read)?;
            let len = file.len()?;
            // Nothing can be mapped of an empty file.
            if len == 0 { Ok(Source::Memory(AlignedBytes::new())) } else { file.map(len).map(Source::Map) }
        };
        let source = open().map_err(|source| io_error(&shared, source))?;
        Self::check(shared, source, identity)
    }

    /// Opens a file that somebody else read; `path` is only for errors.
    pub fn from_bytes(
        path: &Path,
        bytes: AlignedBytes,
        identity: TableIdentity,
    ) -> Result<Arc<Self>, TableError> {
        Self::check(path.into(), Source::Memory(bytes), identity)
    }

    /// The series of one table and symbol.
    pub fn series(&self, table: TableId, name: &str) -> Option<TableSeries<'_>> {
        let names = self.names();
        let by_name = self.series_names.get_or_init(|| {
            let entries = self.series_entries().iter().map(|bytes| SeriesEntry::read(bytes));
            SeriesNames::new(entries, names)
        });
        let entries = self.series_entries();
        let at = by_name.find(table, name, |at| {
            let entry = SeriesEntry::read(&entries[at]);
            entry.table == table && names.get(entry.name_range()) == Some(name.as_bytes())
        })?;
        TableSeries::new(self, at)
    }

    /// All series of a table, in the order of their names.
    pub fn series_of(&self, table: TableId) -> impl Iterator<Item = TableSeries<'_>> {
        let start = self.partition_series(|bytes| TableId(u16_at(bytes, 0)) < table);
        (start..self.series_count())
            .map_while(|at| TableSeries::new(self, at))
            .take_while(move |series| series.table_id() == table)
    }

    /// What the file holds of each table, by table.
    pub fn tables(&self) -> &[TableStats] {
        &self.properties.tables
    }

    /// Where the file comes from.
    pub fn meta(&self) -> &TableMeta {
        &self.properties.meta
    }

    /// The rows of all tables.
    pub fn rows(&self) -> u64 {
        self.properties.totals.rows
    }

    /// The event times of all rows; empty where there are none.
    pub fn time_range(&self) -> TimeRange {
        self.properties.totals.ts
    }

    /// The lowest and the highest sequence number, `None` where there are no rows.
    pub fn seq_range(&self) -> Option<(u64, u64)> {
        let totals = &self.properties.totals;
        (totals.rows > 0).then_some((totals.seq_min, totals.seq_max))
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which file it is.
    pub fn identity(&self) -> TableIdentity {
        self.identity
    }

    /// The file's length in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.source.len() as u64
    }

    /// The checksum that the footer ends with; through the parts' checksums it stands for the whole file.
    pub fn footer_checksum(&self) -> u32 {
        Footer::checksum(&self.source)
    }

    /// False where no row of `table` has that id in the column at that position; true where one may.
    pub fn may_contain_id(&self, table: TableId, column: usize, id: Id<'_>) -> Result<bool, TableError> {
        match self.id_column(table, column) {
            Some(column) => self.filter_contains(column, id_columns::hash(id_columns::canonical(id))),
            None => Ok(false),
        }
    }

    /// The records of `table` whose column at that position has that id, in key order. A column that is not one of
    /// [`TableSchema::id_columns`](tapebook_record::TableSchema::id_columns) has none.
    pub fn by_id<'t, 'i>(
        &'t self,
        table: TableId,
        column: usize,
        id: Id<'i>,
    ) -> Result<IdMatches<'t, 'i>, TableError> {
        let id = id_columns::canonical(id);
        let hash = id_columns::hash(id);
        match self.id_column(table, column) {
            Some(column) if self.filter_contains(column, hash)? => IdMatches::new(self, column, hash, id),
            _ => Ok(IdMatches::none(self, id)),
        }
    }

    pub(super) fn id_column(&self, table: TableId, column: usize) -> Option<&IdColumn> {
        let at = self
            .id_columns
            .binary_search_by(|known| (known.table, usize::from(known.column)).cmp(&(table, column)))
            .ok()?;
        Some(&self.id_columns[at])
    }

    #[inline]
    pub(super) fn filter_contains(&self, column: &IdColumn, hash: u64) -> Result<bool, TableError> {
        let at = bloom::line(hash, column.lines()) * bloom::LINE_BYTES;
        let line = self.page_bytes(column.first_page, column.filter_offset, column.filter_length, at)?;
        Ok(bloom::contains(line, hash, column.probes))
    }

    /// An entry of an id index: the upper half of a hash, and a row's number.
    #[inline]
    pub(super) fn id_entry(&self, column: &IdColumn, at: u64) -> Result<(u32, u32), TableError> {
        let first_page = column.first_page + column.filter_pages() as u32;
        let at = at as usize * id_columns::INDEX_ENTRY_BYTES;
        let entry = self.page_bytes(first_page, column.index_offset, column.index_length, at)?;
        let entry = u64::from_le_bytes(*entry);
        Ok(((entry >> 32) as u32, entry as u32))
    }

    /// `N` bytes at `at` of a part that has pages, after the checksum of their page was verified. They must lie in one
    /// page of the part.
    #[inline]
    fn page_bytes<const N: usize>(
        &self,
        first_page: u32,
        offset: u64,
        length: u64,
        at: usize,
    ) -> Result<&[u8; N], TableError> {
        let file: &[u8] = &self.source;
        let page = first_page + (at / PAGE_BYTES) as u32;
        if !self.verified_pages.contains(page as usize) {
            let part = &file[offset as usize..(offset + length) as usize];
            let start = at / PAGE_BYTES * PAGE_BYTES;
            self.verify_page(page, offset + start as u64, &part[start..part.len().min(start + PAGE_BYTES)])?;
        }
        let at = offset as usize + at;
        Ok(file[at..at + N].as_array().expect("a slice of N bytes"))
    }

    #[cold]
    pub(super) fn verify_page(&self, page: u32, offset: u64, bytes: &[u8]) -> Result<(), TableError> {
        let [.., checksums, _] = self.footer.sections;
        let expected = u32_at(checksums.of(&self.source), page as usize * 4);
        let mut crc = self.identity.checksum(ChecksumKind::Page, page);
        crc.update(bytes);
        if crc.finish() != expected {
            return Err(checksum(&self.path, offset, Part::Page(page), expected, crc.finish()));
        }
        self.verified_pages.insert(page as usize);
        Ok(())
    }

    #[inline]
    pub(super) fn block_count(&self) -> u32 {
        (self.footer.sections[0].length as usize / BLOCK_ENTRY_BYTES) as u32
    }

    /// What the block index says of a block. `number` must be below [`Table::block_count`].
    #[inline]
    pub(super) fn block_entry(&self, number: u32) -> BlockEntry {
        let at = number as usize * BLOCK_ENTRY_BYTES;
        BlockEntry::read(&self.footer.sections[0].of(&self.source)[at..at + BLOCK_ENTRY_BYTES])
    }

    /// A block, after its checksum was verified. `number` must be below [`Table::block_count`].
    pub(super) fn block(&self, number: u32) -> Result<Block<'_>, TableError> {
        let index = self.block_entry(number);
        let start = index.offset as usize;
        let bytes = &self.source[start..start + index.length as usize];
        if !self.verified_blocks.contains(number as usize) {
            self.verify_block(number, &index, bytes)?;
        }
        Ok(Block::new(number, &index, bytes))
    }

    #[cold]
    pub(super) fn verify_block(
        &self,
        number: u32,
        index: &BlockEntry,
        bytes: &[u8],
    ) -> Result<(), TableError> {
        let mut crc = self.identity.checksum(ChecksumKind::Block, number);
        crc.update(bytes);
        if crc.finish() != index.crc {
            return Err(checksum(&self.path, index.offset, Part::Block(number), index.crc, crc.finish()));
        }
        self.verified_blocks.insert(number as usize);
        Ok(())
    }

    /// The error for an entry whose row does not lie in its block.
    #[cold]
    pub(super) fn row_outside(&self, block: u32, entry: usize) -> TableError {
        let offset = self.block_entry(block).offset + (entry * ENTRY_BYTES) as u64;
        structure(&self.path, offset, Part::Block(block), "a row outside its block")
    }

    #[inline]
    pub(super) fn series_count(&self) -> usize {
        self.footer.sections[1].length as usize / SERIES_ENTRY_BYTES
    }

    pub(super) fn series_entry(&self, at: usize) -> Option<SeriesEntry> {
        let entries = self.footer.sections[1].of(&self.source);
        Some(SeriesEntry::read(entries.get(at * SERIES_ENTRY_BYTES..(at + 1) * SERIES_ENTRY_BYTES)?))
    }

    fn series_entries(&self) -> &[[u8; SERIES_ENTRY_BYTES]] {
        self.footer.sections[1].of(&self.source).as_chunks().0
    }

    /// The symbols' names, one behind the other.
    pub(super) fn names(&self) -> &[u8] {
        self.footer.sections[2].of(&self.source)
    }

    /// The number of series at the front of the directory for which `before` holds.
    pub(super) fn partition_series(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        self.series_entries().partition_point(|entry| before(entry))
    }

    /// The last block from `from` up to `to` for which `before` holds; `from` where it holds for none behind it.
    /// `guess` gives, for the number of blocks behind `from`, where among them that should be.
    #[inline]
    pub(super) fn last_block(
        &self,
        from: u32,
        to: u32,
        guess: impl Fn(usize) -> usize,
        before: impl Fn(&BlockEntry) -> bool,
    ) -> u32 {
        let (entries, _) = self.footer.sections[0].of(&self.source).as_chunks::<BLOCK_ENTRY_BYTES>();
        let behind = entries.get(from as usize + 1..=to as usize).unwrap_or_default();
        let before = |at: usize| before(&BlockEntry::read(&behind[at]));
        from + search::partition_at(behind.len(), guess(behind.len()), 1, before) as u32
    }

    /// The block that holds the row with that number, which must be below [`Table::rows`].
    pub(super) fn block_of_row(&self, row: u64) -> u32 {
        let rows = self.rows();
        let guess = |blocks: usize| (u128::from(row) * blocks as u128 / u128::from(rows)) as usize;
        self.last_block(0, self.block_count() - 1, guess, |block| block.first_row <= row)
    }

    /// The record with that number, counted over the whole file, and the table that it belongs to.
    pub(super) fn record(&self, row: u32) -> Result<Option<(TableId, RawRecord<'_>)>, TableError> {
        let row = u64::from(row);
        if row >= self.rows() {
            return Ok(None);
        }
        let series_at = self.partition_series(|bytes| SeriesEntry::read(bytes).first_row <= row) - 1;
        let number = self.block_of_row(row);
        let first_row = self.block_entry(number).first_row;
        let (Some(series), block) = (TableSeries::new(self, series_at), self.block(number)?) else {
            return Ok(None);
        };
        let at = (row - first_row) as usize;
        match block.record(at, series.name()) {
            Some(record) => Ok(Some((series.table_id(), record))),
            None => Err(self.row_outside(number, at)),
        }
    }
}
