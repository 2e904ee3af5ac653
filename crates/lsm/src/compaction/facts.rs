//! What a choice needs to know of files beyond their manifest records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::manifest::TableFile;
use crate::sstable::Table;

/// Facts about files, which never change.
pub trait Facts {
    /// True where some series has overlapping times in both files.
    fn overlap(&self, a: &TableFile, b: &TableFile) -> bool;

    /// True where some series has times in `other` that lie between its first and its last in all of `group`: a file
    /// with the rows of the group would overlap it.
    fn overlap_together(&self, group: &[&Arc<TableFile>], other: &TableFile) -> bool;

    /// How a file's bytes are spread over time: pairs of an event time that it has and bytes of rows up to it.
    fn weights(&self, file: &TableFile) -> Vec<(i64, u64)>;
}

/// Facts read from the directories and block indexes of open tables; what was compared once is remembered.
#[derive(Debug, Default)]
pub struct OpenTables {
    tables: HashMap<u64, Arc<Table>>,
    compared: Mutex<HashMap<(u64, u64), bool>>,
}

impl OpenTables {
    /// Takes these tables in place of those from before.
    pub fn replace(&mut self, tables: impl IntoIterator<Item = Arc<Table>>) {
        self.tables = tables.into_iter().map(|table| (table.identity().file_id, table)).collect();
        let (known, compared) = (&self.tables, &mut self.compared);
        let compared = compared.get_mut().unwrap_or_else(PoisonError::into_inner);
        compared.retain(|(a, b), _| known.contains_key(a) && known.contains_key(b));
    }

    /// The table with that file number.
    pub fn get(&self, file_id: u64) -> Option<&Arc<Table>> {
        self.tables.get(&file_id)
    }
}

impl Facts for OpenTables {
    fn overlap(&self, a: &TableFile, b: &TableFile) -> bool {
        if a.times.first > b.times.last || b.times.first > a.times.last {
            return false;
        }
        let pair = (a.file_id.min(b.file_id), a.file_id.max(b.file_id));
        let (Some(first), Some(second)) = (self.tables.get(&pair.0), self.tables.get(&pair.1)) else {
            // Of a file that is not open nothing is known; whoever merges will be told that it is missing.
            return true;
        };
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        *compared.entry(pair).or_insert_with(|| first.overlaps(second))
    }

    fn overlap_together(&self, group: &[&Arc<TableFile>], other: &TableFile) -> bool {
        let Some(other) = self.tables.get(&other.file_id) else { return true };
        let group = group.iter().map(|file| self.tables.get(&file.file_id));
        // As above for a file that is not open.
        group.collect::<Option<Vec<_>>>().is_none_or(|group| other.overlaps_together(group))
    }

    fn weights(&self, file: &TableFile) -> Vec<(i64, u64)> {
        self.tables.get(&file.file_id).map(|table| table.block_times().collect()).unwrap_or_default()
    }
}
