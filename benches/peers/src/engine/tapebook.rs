//! Tapebook with its default options.
//!
//! Every synced write is `append(…, Synced)?.wait()`. It has no bulk load: [`Engine::load`] keeps sixteen batches in
//! flight, each durable before it counts, and indexes ids by itself. Reads go through one snapshot.

use std::collections::VecDeque;
use std::path::Path;

use tapebook::{
    Batch, CompactionGoal, Db, Durability, Id, ReadRecord, Record, Snapshot, StandardTable, TimeRange, Trade,
};

use super::{Engine, Reader, Sum};
use crate::AnyError;
use crate::input::{Known, Rows, SYMBOLS, symbol_name};
use crate::small::SmallTrade;

const IN_FLIGHT: usize = 16;

/// An open database.
pub struct TapebookEngine {
    db: Db,
}

impl TapebookEngine {
    /// Opens it.
    pub fn open(dir: &Path) -> Result<Self, AnyError> {
        Ok(Self { db: Db::open(dir)? })
    }
}

impl Engine for TapebookEngine {
    fn append(&self, trades: &[SmallTrade]) -> Result<(), AnyError> {
        let mut batch = Batch::new();
        trades.iter().try_for_each(|trade| trade.push_to(&mut batch))?;
        self.db.append(batch, Durability::Synced)?.wait()?;
        Ok(())
    }

    fn write(&self, rows: &Rows) -> Result<(), AnyError> {
        self.db.append_encoded(rows.batch.clone(), Durability::Synced)?.wait()?;
        Ok(())
    }

    fn load(&self, all: &[Rows]) -> Result<(), AnyError> {
        let mut waiting = VecDeque::with_capacity(IN_FLIGHT);
        for rows in all {
            if waiting.len() == IN_FLIGHT
                && let Some(first) = waiting.pop_front()
            {
                tapebook::PendingAppend::wait(first)?;
            }
            waiting.push_back(self.db.submit(rows.batch.clone())?);
        }
        for pending in waiting {
            pending.wait()?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), AnyError> {
        Ok(self.db.flush()?)
    }

    fn compact(&self) -> Result<(), AnyError> {
        self.db.flush()?;
        self.db.compact(CompactionGoal::Settled)?;
        Ok(())
    }

    fn is_log(&self, path: &Path) -> bool {
        path.starts_with(self.db.layout().wal())
    }

    fn reader(&self) -> Result<Box<dyn Reader + '_>, AnyError> {
        let names = (0..=SYMBOLS).map(symbol_name).collect();
        Ok(Box::new(SnapshotReader { snapshot: self.db.snapshot(), names }))
    }

    fn tapebook(&self) -> Option<&Db> {
        Some(&self.db)
    }
}

struct SnapshotReader {
    snapshot: Snapshot,
    /// By number.
    names: Vec<String>,
}

impl Reader for SnapshotReader {
    fn get(&mut self, of: &Known) -> Result<Option<f64>, AnyError> {
        let found = self.snapshot.get(Trade::ID, &self.names[of.symbol as usize], of.ts, of.seq)?;
        Ok(found.map(price))
    }

    fn last(&mut self, symbol: u32, at: i64) -> Result<Option<(i64, f64)>, AnyError> {
        let found = self.snapshot.last(Trade::ID, &self.names[symbol as usize], at)?;
        Ok(found.map(|record| (record.ts(), price(record))))
    }

    fn by_id(&mut self, id: u64) -> Result<Option<(u64, f64)>, AnyError> {
        let found = self.snapshot.by_id(Trade::ID, "trade_id", Id::Number(id))?;
        Ok(found.first().map(|record| (record.seq(), price(record.clone()))))
    }

    fn scan_series(&mut self, symbol: u32, first: i64, last: i64) -> Result<Sum, AnyError> {
        let mut sum = Sum::default();
        for trade in self.snapshot.scan::<Trade>(&self.names[symbol as usize], first..=last)? {
            let trade = trade?;
            sum.add(trade.ts(), trade.price().unwrap_or(f64::NAN));
        }
        Ok(sum)
    }

    fn scan_table(&mut self) -> Result<Sum, AnyError> {
        let mut sum = Sum::default();
        for record in self.snapshot.scan_table(Trade::ID, TimeRange::ALL) {
            let record = record?;
            sum.add(record.ts(), price(record));
        }
        Ok(sum)
    }
}

#[inline]
fn price(record: ReadRecord<'_>) -> f64 {
    Record::<Trade>::new(record).and_then(|trade| trade.price()).unwrap_or(f64::NAN)
}
