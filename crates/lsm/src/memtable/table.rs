//! The MemTable: inserting batches, and finding what is in them.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use tapebook_record::{EncodedBatch, Id, Symbols, TableId, TableSchema};

use super::directory::Directory;
use super::held_batch::HeldBatches;
use super::id_index::{IdIndexes, IdMatches};
use super::released::Released;
use super::series::MemSeries;
use super::writer::Writer;
use crate::key::{Series, TimeRange};

/// Records in memory, indexed; the bytes are those of the batches that brought them.
///
/// Every read takes the sequence number up to which rows are visible to it; rows behind it do not exist for this
/// read, whatever the writer does meanwhile. Reads take no lock, [`MemTable::by_id`] excepted.
///
/// Whoever reads with a `visible_seq` must have learnt it after the rows up to it were inserted, for example from an
/// atomic or a lock that the inserting thread has released. His [`Symbols`] must know the symbols of these rows.
pub struct MemTable {
    id: u64,
    held: HeldBatches,
    directory: Directory,
    ids: IdIndexes,
    writer: Mutex<Writer>,
    rows: AtomicU64,
    first_seq: AtomicU64,
    last_seq: AtomicU64,
    first_ts: AtomicI64,
    last_ts: AtomicI64,
    batch_bytes: AtomicUsize,
    index_bytes: AtomicUsize,
    released: OnceLock<Released>,
}

impl MemTable {
    /// An empty MemTable; `id` tells it from others.
    pub fn new(id: u64) -> Self {
        let writer = Writer::new();
        Self {
            id,
            held: writer.held(),
            directory: Directory::default(),
            ids: IdIndexes::default(),
            writer: Mutex::new(writer),
            rows: AtomicU64::new(0),
            first_seq: AtomicU64::new(0),
            last_seq: AtomicU64::new(0),
            first_ts: AtomicI64::new(TimeRange::EMPTY.first),
            last_ts: AtomicI64::new(TimeRange::EMPTY.last),
            batch_bytes: AtomicUsize::new(0),
            index_bytes: AtomicUsize::new(0),
            released: OnceLock::new(),
        }
    }

    /// What tells this MemTable from others.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Adds the rows of a batch: row `i` has the sequence number `first_seq + i`, and `handles[i]` is the global
    /// handle of name `i` of the batch's dictionary.
    ///
    /// # Panics
    /// Where `first_seq` is not behind every row that is there, or where the number of handles is not the number of
    /// names.
    pub fn insert(&self, batch: EncodedBatch, first_seq: u64, handles: &[u32]) {
        let mut writer = self.writer.lock().expect("an insert that panicked may have left rows out");
        let (rows_added, batch_bytes) = (batch.len() as u64, batch.bytes().len());
        let inserted = writer.insert(&self.directory, batch, first_seq, handles);
        // Only the lock's owner stores these, so a load and a store are as good as an exchange.
        let add = |counter: &AtomicUsize, bytes: isize| {
            counter.store(counter.load(Ordering::Relaxed).saturating_add_signed(bytes), Ordering::Relaxed);
        };
        add(&self.batch_bytes, batch_bytes.cast_signed());
        add(&self.index_bytes, inserted.index_bytes);
        let times = self.ts_range();
        self.first_ts.store(times.first.min(inserted.times.first), Ordering::Relaxed);
        self.last_ts.store(times.last.max(inserted.times.last), Ordering::Relaxed);
        let rows = self.rows();
        if rows == 0 {
            self.first_seq.store(first_seq, Ordering::Relaxed);
        }
        self.rows.store(rows + rows_added, Ordering::Relaxed);
        self.last_seq.store(writer.last_seq, Ordering::Release);
    }

    /// One series up to `visible_seq`; `None` where it has no row.
    #[inline]
    pub fn series<'a>(
        &'a self,
        series: Series,
        visible_seq: u64,
        symbols: &'a Symbols,
    ) -> Option<MemSeries<'a>> {
        let index = self.directory.series(series)?;
        if index.first_seq > visible_seq {
            return None;
        }
        let name = symbols.name(series.symbol)?;
        Some(MemSeries::new(&self.held.batches, index, series, name, visible_seq))
    }

    /// The symbol handles of a table's series that have a row up to `visible_seq`, in order of their first row.
    pub fn series_of(&self, table: TableId, visible_seq: u64) -> impl Iterator<Item = u32> {
        let table = self.directory.table(table);
        table.into_iter().flat_map(move |table| table.visible(visible_seq)).map(|series| series.symbol)
    }

    /// The tables that have a row up to `visible_seq`, by number.
    pub fn tables(&self, visible_seq: u64) -> impl Iterator<Item = TableId> {
        let tables = self.directory.tables();
        tables.filter(move |table| table.visible(visible_seq).next().is_some()).map(|table| table.id)
    }

    /// Every series, ordered by table and by the bytes of the symbol's name: the order of a file.
    ///
    /// # Panics
    /// Where `symbols` does not know a symbol that was inserted.
    pub fn series_in_key_order(&self, symbols: &Symbols) -> Vec<Series> {
        let mut ordered = Vec::new();
        for table in self.directory.tables() {
            let first = ordered.len();
            ordered.extend(
                table.visible(u64::MAX).map(|series| Series { table: table.id, symbol: series.symbol }),
            );
            ordered[first..].sort_unstable_by_key(|series| {
                symbols.rank(series.symbol).expect("a symbol is interned before its rows are inserted")
            });
        }
        ordered
    }

    /// The rows of a table that have `id` in a column, newest first. `schema` is the table's, `column` a position
    /// among its columns; a column that holds no ids has no matches.
    ///
    /// The first call for a column reads all rows, later ones those that came since; both happen under a lock that
    /// only calls for the same column share. Going through the matches takes no lock.
    pub fn by_id<'a>(
        &'a self,
        schema: &'a TableSchema,
        column: usize,
        id: Id<'a>,
        visible_seq: u64,
        symbols: &'a Symbols,
    ) -> IdMatches<'a> {
        let chain = self.ids.find(&self.held.batches, schema, column, id);
        IdMatches::new(&self.held, chain, schema, column, id, visible_seq, symbols)
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// True where no row was inserted.
    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// The sequence numbers of the first and the newest row; `None` where there is no row.
    pub fn seq_range(&self) -> Option<RangeInclusive<u64>> {
        // Pairs with the last store of an insert, so that the first number is there with the last.
        let last_seq = self.last_seq.load(Ordering::Acquire);
        (last_seq > 0).then(|| self.first_seq.load(Ordering::Relaxed)..=last_seq)
    }

    /// The event times of the rows; [`TimeRange::EMPTY`] where there is no row.
    pub fn ts_range(&self) -> TimeRange {
        TimeRange { first: self.first_ts.load(Ordering::Relaxed), last: self.last_ts.load(Ordering::Relaxed) }
    }

    /// Bytes of the batches, as encoded.
    pub fn batch_bytes(&self) -> usize {
        self.batch_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of everything that finds the rows: runs, directories, and the id indexes that were asked for.
    pub fn index_bytes(&self) -> usize {
        self.index_bytes.load(Ordering::Relaxed) + self.ids.bytes()
    }

    /// Asks whoever still reads it to let go; for a MemTable whose rows are in files. The first reason stays.
    pub fn release(&self, why: Released) {
        let _ = self.released.set(why);
    }

    /// Why its readers are to let go, where they are.
    #[inline]
    pub fn released(&self) -> Option<&Released> {
        self.released.get()
    }
}

impl std::fmt::Debug for MemTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemTable(#{}, {} rows)", self.id, self.rows())
    }
}
