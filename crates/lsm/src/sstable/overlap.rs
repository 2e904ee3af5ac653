//! How files lie to each other in time, from their directories and block indexes alone.

use std::cmp::Ordering;
use std::sync::Arc;

use super::TableSeries;
use super::table::Table;
use crate::key::TimeRange;

impl Table {
    /// True where some series has rows in both files and their times overlap. Times that only touch do not: one
    /// file's rows then come after the other's, but for those of the very moment.
    ///
    /// Walks both directories once.
    pub fn overlaps(&self, other: &Table) -> bool {
        let (mut at, mut other_at) = (0, 0);
        while let (Some(mine), Some(theirs)) = (self.series_entry(at), other.series_entry(other_at)) {
            let name = &self.names()[mine.name_range()];
            let other_name = &other.names()[theirs.name_range()];
            match (mine.table, name).cmp(&(theirs.table, other_name)) {
                Ordering::Less => at += 1,
                Ordering::Greater => other_at += 1,
                Ordering::Equal => {
                    if mine.ts_first < theirs.ts_last && theirs.ts_first < mine.ts_last {
                        return true;
                    }
                    at += 1;
                    other_at += 1;
                }
            }
        }
        false
    }

    /// True where some series has rows here whose times overlap those from its first to its last row in all of `group`.
    pub fn overlaps_together<'t>(&self, group: impl IntoIterator<Item = &'t Arc<Table>> + Clone) -> bool {
        self.all_series().any(|series| {
            let ranges = group
                .clone()
                .into_iter()
                .filter_map(|table| table.series(series.table_id(), series.name()))
                .map(|other| other.time_range());
            let (mine, all) = (series.time_range(), ranges.reduce(TimeRange::hull));
            all.is_some_and(|all| mine.first < all.last && all.first < mine.last)
        })
    }

    /// For each block its latest event time and its bytes.
    pub fn block_times(&self) -> impl Iterator<Item = (i64, u64)> {
        (0..self.block_count()).map(|number| {
            let block = self.block_entry(number);
            (block.ts_max, u64::from(block.length))
        })
    }

    /// Every series of every table, in the order of the file: by table, then by name.
    pub fn all_series(&self) -> impl Iterator<Item = TableSeries<'_>> {
        (0..self.series_count()).filter_map(|at| TableSeries::new(self, at))
    }
}
