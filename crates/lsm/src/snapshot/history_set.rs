//! The open history files of a version, and which of them have rows of a series.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tapebook_history::{HistoryFile, SeriesSpan};
use tapebook_record::TableId;

/// Open history files. Immutable; cloning shares it, and a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct HistorySet {
    tables: BTreeMap<TableId, Arc<TableHistory>>,
}

/// The files of one table, by time. They lie in partitions of their own and therefore do not overlap.
#[derive(Debug)]
struct TableHistory {
    files: Vec<Arc<HistoryFile>>,
    /// Built when it is first asked for: with years of files, looking into each of them for every read would cost more
    /// than the read.
    series: OnceLock<BTreeMap<String, SeriesHistory>>,
}

/// What the files of a table have of one symbol.
#[derive(Debug)]
struct SeriesHistory {
    /// Positions among the table's files, ascending.
    files: Vec<u32>,
    rows: u64,
    seq_min: u64,
}

impl HistorySet {
    /// These files.
    pub fn new(files: impl IntoIterator<Item = Arc<HistoryFile>>) -> Self {
        Self::default().changed(&[], files)
    }

    /// Without the files of these numbers, and with those.
    #[must_use]
    pub fn changed(&self, removed: &[u64], added: impl IntoIterator<Item = Arc<HistoryFile>>) -> Self {
        let mut new: BTreeMap<TableId, Vec<Arc<HistoryFile>>> = BTreeMap::new();
        for file in added {
            new.entry(file.schema().id).or_default().push(file);
        }
        let mut tables = self.tables.clone();
        let stays = |file: &&Arc<HistoryFile>| !removed.contains(&file.identity().file_id);
        for (table, known) in &self.tables {
            if !new.contains_key(table) && !known.files.iter().all(|file| stays(&file)) {
                new.insert(*table, Vec::new());
            }
        }
        for (table, mut files) in new {
            files.extend(self.files_of(table).iter().filter(stays).cloned());
            files.sort_unstable_by_key(|file| *file.time_range().start());
            if files.is_empty() {
                tables.remove(&table);
            } else {
                tables.insert(table, Arc::new(TableHistory { files, series: OnceLock::new() }));
            }
        }
        Self { tables }
    }

    /// All files, by table and time.
    pub fn files(&self) -> impl Iterator<Item = &Arc<HistoryFile>> {
        self.tables.values().flat_map(|table| &table.files)
    }

    /// The files of a table, by time; no two overlap.
    pub fn files_of(&self, table: TableId) -> &[Arc<HistoryFile>] {
        self.tables.get(&table).map_or(&[], |table| &table.files)
    }

    /// The file with that number.
    pub fn file(&self, file_id: u64) -> Option<&Arc<HistoryFile>> {
        self.files().find(|file| file.identity().file_id == file_id)
    }

    /// The files that have rows of a series, and what they have of it, by time.
    pub(crate) fn series<'a>(
        &'a self,
        table: TableId,
        symbol: &'a str,
    ) -> impl DoubleEndedIterator<Item = (&'a Arc<HistoryFile>, &'a SeriesSpan)> {
        let table = self.tables.get(&table);
        let found = table.and_then(|table| Some((table, table.series().get(symbol)?)));
        let files =
            found.into_iter().flat_map(|(table, series)| series.files.iter().map(move |at| (table, *at)));
        files.filter_map(move |(table, at)| {
            let file = table.files.get(at as usize)?;
            Some((file, file.series(symbol)?))
        })
    }

    /// The symbols of a table that have rows up to a sequence number.
    pub(crate) fn symbols_of(&self, table: TableId, visible_seq: u64) -> impl Iterator<Item = &str> {
        let series = self.tables.get(&table).into_iter().flat_map(|table| table.series());
        series.filter(move |(_, series)| series.seq_min <= visible_seq).map(|(name, _)| name.as_str())
    }

    /// The number of rows of a series.
    pub(crate) fn rows_of(&self, table: TableId, symbol: &str) -> u64 {
        let series = self.tables.get(&table).and_then(|table| table.series().get(symbol));
        series.map_or(0, |series| series.rows)
    }
}

impl TableHistory {
    fn series(&self) -> &BTreeMap<String, SeriesHistory> {
        self.series.get_or_init(|| {
            let mut all: BTreeMap<String, SeriesHistory> = BTreeMap::new();
            for (at, file) in (0..).zip(&self.files) {
                for span in file.all_series() {
                    if !all.contains_key(&span.symbol) {
                        let none = SeriesHistory { files: Vec::new(), rows: 0, seq_min: u64::MAX };
                        all.insert(span.symbol.clone(), none);
                    }
                    let Some(series) = all.get_mut(&span.symbol) else { continue };
                    series.files.push(at);
                    series.rows += span.rows;
                    series.seq_min = series.seq_min.min(span.seq_min);
                }
            }
            all
        })
    }
}
