//! redb 4.
//!
//! * Durability: `Durability::Immediate` in one phase, its default: one `fdatasync` for each transaction, and one
//!   transaction at a time.
//! * A cache of 4 GiB instead of 1 GiB. Keys are arrays, which it stores without their length; rows and what leads to them
//!   by id are two tables of one file, written in one transaction.
//! * A B-tree that is written in place: it has no log, nothing to flush and nothing that happens in the background.
//! * Reads go through tables that are opened once. Bulk load: one transaction with sorted entries; sorting is part of the
//!   time.

use std::path::Path;
use std::sync::RwLock;

use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition};
use tapebook::{StandardTable, Trade};

use super::{CACHE_BYTES, Engine, Reader, Sum, f64_at, sorted};
use crate::AnyError;
use crate::input::{Known, Rows, offset_in_value};
use crate::key::{ID_KEY_BYTES, IdKey, ROW_KEY_BYTES, RowKey, id_key, row_key, row_of_id, seq_of, ts_of};
use crate::small::SmallTrade;

const ROWS: TableDefinition<&[u8; ROW_KEY_BYTES], &[u8]> = TableDefinition::new("rows");
const IDS: TableDefinition<&[u8; ID_KEY_BYTES], &[u8]> = TableDefinition::new("ids");

/// An open database.
pub struct RedbEngine {
    /// Its compaction wants it alone.
    db: RwLock<Database>,
    price: usize,
}

impl RedbEngine {
    /// Opens it.
    pub fn open(dir: &Path) -> Result<Self, AnyError> {
        let mut builder = Database::builder();
        let db = builder.set_cache_size(CACHE_BYTES).create(dir.join("data.redb"))?;
        let engine = Self { db: RwLock::new(db), price: offset_in_value("price")? };
        engine.write_synced(std::iter::empty())?;
        Ok(engine)
    }

    fn write_synced<'a>(&self, entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<(), AnyError> {
        let db = self.db.read().map_err(|_| "a writer panicked")?;
        let mut transaction = db.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut rows = transaction.open_table(ROWS)?;
            let mut ids = transaction.open_table(IDS)?;
            for (key, value) in entries {
                if let Ok(key) = <&RowKey>::try_from(key) {
                    rows.insert(key, value)?;
                } else {
                    ids.insert(<&IdKey>::try_from(key)?, value)?;
                }
            }
        }
        Ok(transaction.commit()?)
    }
}

impl Engine for RedbEngine {
    fn append(&self, trades: &[SmallTrade]) -> Result<(), AnyError> {
        let db = self.db.read().map_err(|_| "a writer panicked")?;
        let mut transaction = db.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut rows = transaction.open_table(ROWS)?;
            for trade in trades {
                rows.insert(&trade.key(), trade.value().as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn write(&self, rows: &Rows) -> Result<(), AnyError> {
        self.write_synced(rows.entries())
    }

    fn load(&self, all: &[Rows]) -> Result<(), AnyError> {
        self.write_synced(sorted(all).into_iter())
    }

    fn flush(&self) -> Result<(), AnyError> {
        Ok(())
    }

    fn compact(&self) -> Result<(), AnyError> {
        self.db.write().map_err(|_| "a writer panicked")?.compact()?;
        Ok(())
    }

    fn is_log(&self, _: &Path) -> bool {
        false
    }

    fn reader(&self) -> Result<Box<dyn Reader + '_>, AnyError> {
        let transaction = self.db.read().map_err(|_| "a writer panicked")?.begin_read()?;
        let (rows, ids) = (transaction.open_table(ROWS)?, transaction.open_table(IDS)?);
        Ok(Box::new(RedbReader { rows, ids, price: self.price }))
    }
}

struct RedbReader {
    rows: ReadOnlyTable<&'static [u8; ROW_KEY_BYTES], &'static [u8]>,
    ids: ReadOnlyTable<&'static [u8; ID_KEY_BYTES], &'static [u8]>,
    price: usize,
}

impl RedbReader {
    fn scan(&self, first: &RowKey, end: &RowKey) -> Result<Sum, AnyError> {
        let mut sum = Sum::default();
        for entry in self.rows.range::<&RowKey>(first..end)? {
            let (key, value) = entry?;
            sum.add(ts_of(key.value()), f64_at(value.value(), self.price));
        }
        Ok(sum)
    }
}

impl Reader for RedbReader {
    fn get(&mut self, of: &Known) -> Result<Option<f64>, AnyError> {
        let found = self.rows.get(&row_key(Trade::ID.0, of.symbol, of.ts, of.seq))?;
        Ok(found.map(|value| f64_at(value.value(), self.price)))
    }

    fn last(&mut self, symbol: u32, at: i64) -> Result<Option<(i64, f64)>, AnyError> {
        let first = row_key(Trade::ID.0, symbol, i64::MIN, 0);
        let last = row_key(Trade::ID.0, symbol, at, u64::MAX);
        match self.rows.range::<&RowKey>(&first..=&last)?.next_back() {
            Some(entry) => {
                let (key, value) = entry?;
                Ok(Some((ts_of(key.value()), f64_at(value.value(), self.price))))
            }
            None => Ok(None),
        }
    }

    fn by_id(&mut self, id: u64) -> Result<Option<(u64, f64)>, AnyError> {
        let Some(value) = self.ids.get(&id_key(id))? else { return Ok(None) };
        let key = row_of_id(Trade::ID.0, value.value()).ok_or("an id leads to no key")?;
        let row = self.rows.get(&key)?;
        Ok(row.map(|value| (seq_of(&key), f64_at(value.value(), self.price))))
    }

    fn scan_series(&mut self, symbol: u32, first: i64, last: i64) -> Result<Sum, AnyError> {
        let end = row_key(Trade::ID.0, symbol, last.saturating_add(1), 0);
        self.scan(&row_key(Trade::ID.0, symbol, first, 0), &end)
    }

    fn scan_table(&mut self) -> Result<Sum, AnyError> {
        let end = row_key(Trade::ID.0 + 1, 0, i64::MIN, 0);
        self.scan(&row_key(Trade::ID.0, 0, i64::MIN, 0), &end)
    }
}
