//! Finds rows by an id.

use tapebook_record::{Id, RawRecord};

use super::error::{Part, TableError, structure};
use super::id_columns::{self, IdColumn};
use super::search;
use super::table::Table;

/// The records with one id in one column, in key order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct IdMatches<'t, 'i> {
    table: &'t Table,
    column: Option<&'t IdColumn>,
    id: Id<'i>,
    hash: u32,
    next: u64,
}

impl<'t, 'i> IdMatches<'t, 'i> {
    pub(super) fn none(table: &'t Table, id: Id<'i>) -> Self {
        Self { table, column: None, id, hash: 0, next: 0 }
    }

    pub(super) fn new(
        table: &'t Table,
        column: &'t IdColumn,
        hash: u64,
        id: Id<'i>,
    ) -> Result<Self, TableError> {
        let hash = (hash >> 32) as u32;
        Ok(Self { table, column: Some(column), id, hash, next: lower_bound(table, column, hash)? })
    }

    fn find(&mut self, column: &'t IdColumn) -> Result<Option<RawRecord<'t>>, TableError> {
        while self.next < column.ids {
            let at = self.next;
            let (hash, row) = self.table.id_entry(column, at)?;
            if hash != self.hash {
                return Ok(None);
            }
            self.next += 1;
            let Some((_, record)) = self.table.record(row)?.filter(|(table, _)| *table == column.table)
            else {
                let offset = column.index_offset + at * id_columns::INDEX_ENTRY_BYTES as u64;
                let page = column.first_page + column.filter_pages() as u32;
                return Err(structure(&self.table.path, offset, Part::Page(page), "a row that is not there"));
            };
            if id_columns::id_at(record.row, column.slot_offset as usize) == Some(self.id) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

impl<'t> Iterator for IdMatches<'t, '_> {
    type Item = Result<RawRecord<'t>, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.find(self.column?).transpose();
        if !matches!(found, Some(Ok(_))) {
            self.column = None;
        }
        found
    }
}

/// The first entry whose hash is not below `hash`. Hashes are spread evenly, so the search begins where the entry
/// should be.
fn lower_bound(table: &Table, column: &IdColumn, hash: u32) -> Result<u64, TableError> {
    let guess = (u64::from(hash) * column.ids) >> 32;
    search::partition(column.ids, guess, 16, |at| Ok(table.id_entry(column, at)?.0 < hash))
}
