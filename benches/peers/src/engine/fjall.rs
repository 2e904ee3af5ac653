//! fjall 3.
//!
//! * Durability: a batch with `PersistMode::SyncData`, which is `fdatasync` of its journal before the batch is applied.
//!   It has no group commit: its journal has one writer at a time, who syncs alone.
//! * Its defaults otherwise: MemTables of 64 MiB, leveled compaction, LZ4 below the second level, Bloom filters, two
//!   worker threads on two cores; a cache of 4 GiB instead of 32 MiB.
//! * Rows and what leads to them by id are in one keyspace, apart by the first bytes of the key, as for RocksDB.
//! * Reads go through one snapshot. Bulk load: `start_ingestion` with sorted entries; sorting is part of the time.

use std::path::Path;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use tapebook::{StandardTable, Trade};

use super::{CACHE_BYTES, Engine, MEMTABLE_BYTES, Reader, Sum, f64_at, sorted};
use crate::AnyError;
use crate::input::{Known, Rows, offset_in_value};
use crate::key::{id_key, row_key, row_of_id, seq_of, ts_of};
use crate::small::SmallTrade;

/// An open database.
pub struct FjallEngine {
    db: Database,
    rows: Keyspace,
    price: usize,
}

impl FjallEngine {
    /// Opens it.
    pub fn open(dir: &Path) -> Result<Self, AnyError> {
        let db = Database::builder(dir).cache_size(CACHE_BYTES as u64).open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES as u64);
        let rows = db.keyspace("rows", options)?;
        Ok(Self { db, rows, price: offset_in_value("price")? })
    }

    fn write_synced<'a>(&self, entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<(), AnyError> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        entries.for_each(|(key, value)| batch.insert(&self.rows, key, value));
        Ok(batch.commit()?)
    }
}

impl Engine for FjallEngine {
    fn append(&self, trades: &[SmallTrade]) -> Result<(), AnyError> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        trades.iter().for_each(|trade| batch.insert(&self.rows, trade.key(), trade.value()));
        Ok(batch.commit()?)
    }

    fn write(&self, rows: &Rows) -> Result<(), AnyError> {
        self.write_synced(rows.entries())
    }

    fn load(&self, all: &[Rows]) -> Result<(), AnyError> {
        let mut ingestion = self.rows.start_ingestion()?;
        for (key, value) in sorted(all) {
            ingestion.write(key, value)?;
        }
        Ok(ingestion.finish()?)
    }

    fn flush(&self) -> Result<(), AnyError> {
        self.rows.rotate_memtable_and_wait()?;
        while self.db.outstanding_flushes() > 0 || self.db.active_compactions() > 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn compact(&self) -> Result<(), AnyError> {
        self.flush()?;
        Ok(self.rows.major_compact()?)
    }

    fn is_log(&self, path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jnl")
    }

    fn reader(&self) -> Result<Box<dyn Reader + '_>, AnyError> {
        Ok(Box::new(FjallReader { snapshot: self.db.snapshot(), rows: &self.rows, price: self.price }))
    }
}

struct FjallReader<'a> {
    snapshot: Snapshot,
    rows: &'a Keyspace,
    price: usize,
}

impl FjallReader<'_> {
    fn scan(&self, first: &[u8], end: &[u8]) -> Result<Sum, AnyError> {
        let mut sum = Sum::default();
        for entry in self.snapshot.range(self.rows, first..end) {
            let (key, value) = entry.into_inner()?;
            sum.add(ts_of(&key), f64_at(&value, self.price));
        }
        Ok(sum)
    }
}

impl Reader for FjallReader<'_> {
    fn get(&mut self, of: &Known) -> Result<Option<f64>, AnyError> {
        let found = self.snapshot.get(self.rows, row_key(Trade::ID.0, of.symbol, of.ts, of.seq))?;
        Ok(found.map(|value| f64_at(&value, self.price)))
    }

    fn last(&mut self, symbol: u32, at: i64) -> Result<Option<(i64, f64)>, AnyError> {
        let range = row_key(Trade::ID.0, symbol, i64::MIN, 0)..=row_key(Trade::ID.0, symbol, at, u64::MAX);
        match self.snapshot.range(self.rows, range).next_back() {
            Some(entry) => {
                let (key, value) = entry.into_inner()?;
                Ok(Some((ts_of(&key), f64_at(&value, self.price))))
            }
            None => Ok(None),
        }
    }

    fn by_id(&mut self, id: u64) -> Result<Option<(u64, f64)>, AnyError> {
        let Some(value) = self.snapshot.get(self.rows, id_key(id))? else { return Ok(None) };
        let key = row_of_id(Trade::ID.0, &value).ok_or("an id leads to no key")?;
        let row = self.snapshot.get(self.rows, key)?;
        Ok(row.map(|value| (seq_of(&key), f64_at(&value, self.price))))
    }

    fn scan_series(&mut self, symbol: u32, first: i64, last: i64) -> Result<Sum, AnyError> {
        let end = row_key(Trade::ID.0, symbol, last.saturating_add(1), 0);
        self.scan(&row_key(Trade::ID.0, symbol, first, 0), &end)
    }

    fn scan_table(&mut self) -> Result<Sum, AnyError> {
        self.scan(&Trade::ID.0.to_be_bytes(), &(Trade::ID.0 + 1).to_be_bytes())
    }
}
