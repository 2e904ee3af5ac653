//! One atomic view of everything that is stored, up to one sequence number.
//!
//! *Invariant*: a snapshot is made in one place, from one version of the files and the MemTables that are not
//! yet among them. Nobody reads the MemTables first and the list of files second, so a record is seen exactly
//! once, whatever is flushed meanwhile.

mod count;
mod history_scan;
mod history_set;
mod merge;
mod piece;
mod scan;
mod watch;

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use tapebook_history::{HistoryError, HistoryFile};
use tapebook_record::projection::RowBlock;
use tapebook_record::{Id, ReadRecord, Record, Schemas, StandardTable, Symbols, TableId};

use crate::key::{Direction, Series, TimeRange};
use crate::memtable::{MemTable, Released};
use crate::retraction::{Hidden, Retractions, Shown};
use crate::sstable::{Table, TableError};

pub(crate) use history_scan::HistoryScan;
pub use history_set::HistorySet;
pub use scan::{RecordScan, SeriesScan, TableScan};

/// An immutable view of the database. Cloning shares it; what it reads stays readable while it lives.
#[derive(Clone)]
pub struct Snapshot {
    pieces: Arc<Pieces>,
    visible_seq: u64,
    symbols: Symbols,
    schemas: Schemas,
    retractions: Retractions,
}

/// What changes only when a MemTable is rotated or flushed.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Open SSTables, oldest first.
    pub tables: Vec<Arc<Table>>,
    /// MemTables, oldest first; the last one is being written.
    pub memtables: Vec<Arc<MemTable>>,
    /// Open history files.
    pub history: HistorySet,
}

/// A read that could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file is damaged or unreadable.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A history file is damaged or unreadable.
    #[error(transparent)]
    History(#[from] Box<HistoryError>),
    /// The table is not known.
    #[error("table {0:?} is not known")]
    UnknownTable(String),
    /// The table has no such id column.
    #[error("table {table} has no id column {column:?}; it has {known}")]
    UnknownIdColumn {
        /// The table.
        table: String,
        /// What was asked for.
        column: String,
        /// The id columns that it has.
        known: String,
    },
    /// The journal has not come as far as it is to be read.
    #[error("the journal has reached sequence {reached}, it cannot be read as of {asked}")]
    NotReached {
        /// The sequence that was asked for.
        asked: u64,
        /// The last sequence of the snapshot.
        reached: u64,
    },
    /// What the snapshot holds in memory is in files by now, and all that is held so is more than may be.
    #[error(
        "the query was ended: it is so old that what it reads of MemTables is in files by now, and such queries hold \
         {pinned_bytes} bytes in memory, more than pinned_bytes_max = {pinned_bytes_max} allows; \
         ask again, or raise the bound"
    )]
    Released {
        /// What was held.
        pinned_bytes: u64,
        /// What may be.
        pinned_bytes_max: u64,
    },
    /// A row is shorter than its table's fixed part.
    #[error("table {table}, sequence {seq}: the row is shorter than the table's columns")]
    ShortRow {
        /// The table.
        table: String,
        /// The row's place in the journal.
        seq: u64,
    },
}

impl Snapshot {
    /// A view of `pieces` that shows records up to `visible_seq`.
    pub fn new(pieces: Arc<Pieces>, visible_seq: u64, symbols: Symbols, schemas: Schemas) -> Self {
        Self { pieces, visible_seq, symbols, schemas, retractions: Retractions::default() }
    }

    /// The same view without the rows that `retractions` hide.
    #[must_use]
    pub fn with_retractions(self, retractions: Retractions) -> Self {
        Self { retractions, ..self }
    }

    /// What was known when the journal had reached `seq`: the rows up to it, and of the retractions those that had been
    /// made, and not been undone, when `seq` was given. A change that came after that row and before the next is not
    /// seen yet, so the answer never changes while its rows are kept, and what a retraction hides can be read as of the
    /// moment before.
    pub fn as_of(&self, seq: u64) -> Result<Self, ReadError> {
        if seq > self.visible_seq {
            return Err(ReadError::NotReached { asked: seq, reached: self.visible_seq });
        }
        Ok(Self { visible_seq: seq, retractions: self.retractions.as_of(seq), ..self.clone() })
    }

    /// The last sequence number that it shows; 0 where it shows nothing.
    pub fn visible_seq(&self) -> u64 {
        self.visible_seq
    }

    /// The symbols as of this snapshot.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The tables as of this snapshot.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// The retractions as of this snapshot, undone ones included.
    pub fn retractions(&self) -> &Retractions {
        &self.retractions
    }

    /// The files and MemTables that it reads.
    pub fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// Whether it may still be read: not once its MemTables were released. Every read begins with this, and long
    /// scans look again; whoever reads [`Snapshot::pieces`] at length does the same.
    ///
    /// *Invariant*: MemTables are released oldest first, so the first one speaks for all.
    #[inline]
    pub fn check_held(&self) -> Result<(), ReadError> {
        match self.pieces.memtables.first().and_then(|memtable| memtable.released()) {
            None => Ok(()),
            Some(why) => {
                why.count();
                let Released { pinned_bytes, pinned_bytes_max, .. } = *why;
                Err(ReadError::Released { pinned_bytes, pinned_bytes_max })
            }
        }
    }

    /// The record with that key.
    pub fn get(
        &self,
        table: TableId,
        symbol: &str,
        ts: i64,
        seq: u64,
    ) -> Result<Option<ReadRecord<'_>>, ReadError> {
        self.check_held()?;
        if self.hidden(table).contains(seq) {
            return Ok(None);
        }
        for memtable in self.pieces.memtables.iter().rev() {
            if let Some(series) = self.mem_series(memtable, table, symbol)
                && let Some(record) = series.get(ts, seq)
            {
                return Ok(Some(record.into()));
            }
        }
        for file in self.pieces.tables.iter().rev() {
            if file.time_range().contains(ts)
                && file.seq_range().is_some_and(|(first, last)| first <= seq && seq <= last)
                && let Some(series) = file.series(table, symbol)
                && let Some(record) = series.get(ts, seq)?
            {
                return Ok(Some(record.into()));
            }
        }
        let files = self.pieces.history.files_of(table);
        let at = files.partition_point(|file| *file.time_range().end() < ts);
        match files.get(at).filter(|file| file.seq_range().contains(&seq)) {
            Some(file) => Ok(file.get(symbol, ts, seq).map_err(Box::new)?.and_then(decoded)),
            None => Ok(None),
        }
    }

    /// The last record of a series by `(ts, seq)` whose time is at most `at`.
    ///
    /// Where retractions hide the end of a series, it goes back over the hidden rows.
    pub fn last(&self, table: TableId, symbol: &str, at: i64) -> Result<Option<ReadRecord<'_>>, ReadError> {
        self.check_held()?;
        let hidden = self.hidden(table);
        let mut last: Option<ReadRecord<'_>> = None;
        let later = |last: &Option<ReadRecord<'_>>, key: (i64, u64)| {
            last.as_ref().is_none_or(|last| last.key() < key)
        };
        for memtable in self.pieces.memtables.iter().rev() {
            if let Some(series) = self.mem_series(memtable, table, symbol)
                && let Some(record) = piece::last_in_memtable(&series, at, self.shown_in(memtable, hidden))
                && later(&last, (record.ts, record.seq))
            {
                last = Some(record.into());
            }
        }
        let nothing_later = |range: TimeRange, last: &Option<ReadRecord<'_>>| {
            range.first > at || last.as_ref().is_some_and(|last| range.last < last.ts())
        };
        for file in self.pieces.tables.iter().rev() {
            // The file's own range first: looking up the series in every file costs more than the rest.
            if nothing_later(file.time_range(), &last) {
                continue;
            }
            let Some(series) = file.series(table, symbol) else { continue };
            if nothing_later(series.time_range(), &last) {
                continue;
            }
            if let Some(record) = piece::last_in_file(&series, at, piece::shown_of(&series, hidden))?
                && later(&last, (record.ts, record.seq))
            {
                last = Some(record.into());
            }
        }
        for (file, span) in self.pieces.history.series(table, symbol).rev() {
            let range = TimeRange { first: span.ts_first, last: span.ts_last };
            if nothing_later(range, &last) || span.seq_min > self.visible_seq {
                continue;
            }
            let found = file.last(symbol, at, |seq| !hidden.contains(seq)).map_err(Box::new)?;
            if let Some(record) = found.and_then(decoded) {
                // What lies in files before this one is earlier.
                if later(&last, record.key()) {
                    last = Some(record);
                }
                break;
            }
        }
        Ok(last)
    }

    /// Every record of a table whose id column holds `id`, in journal order.
    pub fn by_id<'a>(
        &'a self,
        table: TableId,
        column: &str,
        id: Id<'a>,
    ) -> Result<Vec<ReadRecord<'a>>, ReadError> {
        self.check_held()?;
        let schema =
            self.schemas.get(table).ok_or_else(|| ReadError::UnknownTable(format!("number {}", table.0)))?;
        let Some(at) = schema.id_columns().find(|(_, known)| known.name == column).map(|(at, _)| at) else {
            let known: Vec<&str> = schema.id_columns().map(|(_, column)| &*column.name).collect();
            return Err(ReadError::UnknownIdColumn {
                table: schema.name.to_string(),
                column: column.to_owned(),
                known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            });
        };
        // A text that spells a number is that number.
        let id = if let Id::Text(text) = id { Id::from(text) } else { id };
        let mut found: Vec<ReadRecord<'a>> = Vec::new();
        for file in self.pieces.history.files_of(table) {
            found.extend(file.by_id(at, id).map_err(Box::new)?.into_iter().filter_map(decoded));
        }
        for file in &self.pieces.tables {
            for record in file.by_id(table, at, id)? {
                found.push(record?.into());
            }
        }
        for memtable in &self.pieces.memtables {
            let matches = memtable.by_id(schema, at, id, self.visible_seq, &self.symbols);
            found.extend(matches.map(|(_, record)| record.into()));
        }
        let hidden = self.hidden(table);
        found.retain(|record| !hidden.contains(record.seq()));
        found.sort_unstable_by_key(ReadRecord::seq);
        Ok(found)
    }

    /// The records of a series in a range of time, ordered by `(ts, seq)`.
    pub fn scan_series(
        &self,
        table: TableId,
        symbol: &str,
        range: TimeRange,
        direction: Direction,
    ) -> Result<SeriesScan<'_>, ReadError> {
        self.check_held()?;
        let mut scan = SeriesScan::of_snapshot(self, direction);
        if range.is_empty() {
            return Ok(scan);
        }
        let hidden = self.hidden(table);
        self.add_history(&mut scan, table, symbol, range, direction)?;
        for file in &self.pieces.tables {
            if file.time_range().overlaps(range)
                && let Some(series) = file.series(table, symbol)
                && series.time_range().overlaps(range)
            {
                scan.add_file(|| series.scan(range, direction), piece::shown_of(&series, hidden))?;
            }
        }
        for memtable in &self.pieces.memtables {
            if let Some(series) = self.mem_series(memtable, table, symbol) {
                scan.add_memtable(|| series.scan(range, direction), self.shown_in(memtable, hidden))?;
            }
        }
        scan.choose();
        Ok(scan)
    }

    /// The records of one symbol of a standard table in a range of time, read in place.
    pub fn scan<T: StandardTable>(
        &self,
        symbol: &str,
        range: impl RangeBounds<i64>,
    ) -> Result<RecordScan<'_, T>, ReadError> {
        let range = TimeRange::from_bounds(range);
        Ok(RecordScan::new(self.scan_series(T::ID, symbol, range, Direction::Forward)?))
    }

    /// [`Snapshot::scan`] from the latest record back.
    pub fn scan_back<T: StandardTable>(
        &self,
        symbol: &str,
        range: impl RangeBounds<i64>,
    ) -> Result<RecordScan<'_, T>, ReadError> {
        let range = TimeRange::from_bounds(range);
        Ok(RecordScan::new(self.scan_series(T::ID, symbol, range, Direction::Backward)?))
    }

    /// Every record of a table in a range of time, ordered by `(symbol name, ts, seq)`.
    pub fn scan_table(&self, table: TableId, range: TimeRange) -> TableScan<'_> {
        TableScan::new(self, table, range)
    }

    /// The last record of a series, typed.
    pub fn last_record<T: StandardTable>(
        &self,
        symbol: &str,
        at: i64,
    ) -> Result<Option<Record<'_, T>>, ReadError> {
        self.last(T::ID, symbol, at)?.map(scan::typed).transpose()
    }

    /// The names of a table's symbols in name order: those that have a row up to the snapshot's sequence, hidden or not.
    /// Whether one is left that is shown, only reading tells.
    pub fn symbols_of(&self, table: TableId) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for file in &self.pieces.tables {
            let there = file.series_of(table).filter(|series| series.seq_range().0 <= self.visible_seq);
            names.extend(there.map(|series| series.name()));
        }
        for memtable in &self.pieces.memtables {
            names.extend(
                memtable.series_of(table, self.visible_seq).filter_map(|symbol| self.symbols.name(symbol)),
            );
        }
        names.extend(self.pieces.history.symbols_of(table, self.visible_seq));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The number of records of a series that are stored, for planning: rows that retractions hide count, and as of an
    /// earlier sequence also later ones that lie in the same files. [`Snapshot::count_series`] counts what is shown.
    pub fn series_rows(&self, table: TableId, symbol: &str) -> u64 {
        let files = self.pieces.tables.iter().filter_map(|file| file.series(table, symbol));
        let memtables =
            self.pieces.memtables.iter().filter_map(|memtable| self.mem_series(memtable, table, symbol));
        files.map(|series| series.rows()).sum::<u64>()
            + memtables.map(|series| series.len() as u64).sum::<u64>()
            + self.pieces.history.rows_of(table, symbol)
    }

    /// The history files that have the first records of a series in a range of time, each of which can be read as it is: no
    /// record of another file or MemTable lies between, and nothing of the series in them is hidden; and the rest of the
    /// range. A reader of columns spares himself the rows.
    pub fn leading_history<'a>(
        &'a self,
        table: TableId,
        symbol: &'a str,
        range: TimeRange,
    ) -> (Vec<&'a HistoryFile>, TimeRange) {
        let others = self.first_outside_history(table, symbol, range);
        let (mut leading, mut rest) = (Vec::new(), range);
        for (file, span) in self.pieces.history.series(table, symbol) {
            if rest.is_empty() || span.ts_last < rest.first {
                continue;
            }
            let is_first = span.ts_first <= rest.last && span.ts_last.min(rest.last) < others;
            let shown = self.hidden(table).among(span.seq_min, span.seq_max);
            if !is_first || !matches!(shown, Shown::All) {
                break;
            }
            leading.push(&**file);
            rest = match span.ts_last.checked_add(1) {
                Some(first) => TimeRange { first, last: rest.last },
                None => TimeRange::EMPTY,
            };
        }
        (leading, rest)
    }

    /// Before this time the series has no record in the range but in history.
    fn first_outside_history(&self, table: TableId, symbol: &str, range: TimeRange) -> i64 {
        let files = self.pieces.tables.iter().filter(|file| file.time_range().overlaps(range));
        let files = files.filter_map(|file| file.series(table, symbol)).map(|series| series.time_range());
        let first = files.filter(|times| times.overlaps(range)).map(|times| times.first).min();
        let memtables = self.pieces.memtables.iter();
        let memtables = memtables.filter_map(|memtable| self.mem_series(memtable, table, symbol));
        let heads = memtables.filter_map(|series| series.scan(range, Direction::Forward).next());
        heads.map(|record| record.ts).chain(first).min().unwrap_or(i64::MAX)
    }

    fn add_history<'a>(
        &'a self,
        scan: &mut SeriesScan<'a>,
        table: TableId,
        symbol: &str,
        range: TimeRange,
        direction: Direction,
    ) -> Result<(), ReadError> {
        let hidden = self.hidden(table);
        let (mut files, mut seqs) = (Vec::new(), (u64::MAX, 0));
        for (file, span) in self.pieces.history.series(table, symbol) {
            let times = TimeRange { first: span.ts_first, last: span.ts_last };
            if times.overlaps(range) && !matches!(hidden.among(span.seq_min, span.seq_max), Shown::Nothing) {
                seqs = (seqs.0.min(span.seq_min), seqs.1.max(span.seq_max));
                files.push(Arc::clone(file));
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        if direction == Direction::Backward {
            files.reverse();
        }
        scan.add_history(HistoryScan::new(symbol, range, direction, files), hidden.among(seqs.0, seqs.1))
    }

    #[inline]
    fn hidden(&self, table: TableId) -> Hidden<'_> {
        self.retractions.hidden(table, self.visible_seq)
    }

    /// What a series of a MemTable, which is cut at the snapshot's sequence already, shows of its rows.
    #[inline]
    fn shown_in<'a>(&self, memtable: &MemTable, hidden: Hidden<'a>) -> Shown<'a> {
        if hidden.without_retractions() {
            return Shown::All;
        }
        let seqs = memtable.seq_range();
        seqs.map_or(Shown::All, |seqs| hidden.among(*seqs.start(), (*seqs.end()).min(self.visible_seq)))
    }

    fn mem_series<'a>(
        &'a self,
        memtable: &'a MemTable,
        table: TableId,
        symbol: &str,
    ) -> Option<crate::memtable::MemSeries<'a>> {
        let symbol = self.symbols.handle(symbol)?;
        memtable.series(Series { table, symbol }, self.visible_seq, &self.symbols)
    }
}

/// A row of a block as a record.
fn decoded<'a>((block, at): (Arc<RowBlock>, usize)) -> Option<ReadRecord<'a>> {
    ReadRecord::decoded(&block, at)
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("visible_seq", &self.visible_seq)
            .field("tables", &self.pieces.tables.len())
            .field("memtables", &self.pieces.memtables.len())
            .finish_non_exhaustive()
    }
}
