//! Batches that are written, made before the clock starts.

use std::sync::atomic::{AtomicU64, Ordering};

use tapebook::{Batch, EncodedBatch, Id, Producer};
use tapebook_market::Row;
use tapebook_market::generator::{self, Ticks};

use crate::AnyError;

/// Symbols of all inputs but those of one series.
pub const SYMBOLS: u32 = 1_000;

/// A batch of one trade of a symbol with a name of usual length.
pub fn one_trade(number: u64) -> Result<Batch, AnyError> {
    let mut batch = Batch::new();
    batch.push(tapebook::Trade {
        symbol: "BINANCE.BTCUSDT",
        ts: 1_723_161_600_000_000_000 + number as i64,
        price: Some(61_800.2),
        size: Some(0.006),
        trade_id: Some(Id::Number(number)),
        ..tapebook::Trade::default()
    })?;
    Ok(batch)
}

/// [`one_trade`], a nanosecond after the one before it, whoever asks.
pub fn next_trade() -> Result<Batch, AnyError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    one_trade(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Quotes and trades, four to one, by one producer; `late` is the share that comes up to 20 ms late.
pub fn ticks(rows: u64, batch_rows: usize, late: f64) -> Result<Vec<EncodedBatch>, AnyError> {
    let mut ticks = generator::ticks(1, SYMBOLS, 1.0)?.late(late, 20_000_000);
    let mut batches = Vec::new();
    let mut done = 0;
    while done < rows {
        let producer = Producer { id: 7, epoch: 1, batch_number: batches.len() as u64 + 1 };
        let mut batch = Batch::from_producer(producer);
        let at_most = batch_rows.min((rows - done) as usize);
        done += ticks.fill_batch(&mut batch, at_most)? as u64;
        batches.push(batch.encode());
    }
    Ok(batches)
}

/// Where a generated trade is.
#[derive(Clone, Copy)]
pub struct Key {
    /// Position of the symbol among [`Trades::symbols`].
    pub symbol: usize,
    /// Its event time.
    pub ts: i64,
    /// Its place in the journal of a new database, and its trade id.
    pub seq: u64,
}

/// Trades in order of time, with trade ids of their own: the n-th trade has the id n.
pub struct Trades {
    ticks: Ticks,
    names: Vec<String>,
    made: u64,
}

impl Trades {
    /// Trades of so many symbols.
    pub fn new(symbols: u32) -> Result<Self, AnyError> {
        let ticks = generator::ticks(2, symbols, 1.0)?.trades(1.0);
        let names = ticks.symbols().to_vec();
        Ok(Self { ticks, names, made: 0 })
    }

    /// The names of the symbols.
    pub fn symbols(&self) -> &[String] {
        &self.names
    }

    /// The next batch of `rows` trades; each trade is shown to `seen`.
    pub fn batch(&mut self, rows: usize, mut seen: impl FnMut(Key)) -> Result<EncodedBatch, AnyError> {
        let mut batch = Batch::new();
        while batch.len() < rows {
            let Row::Trade(trade) = self.ticks.next_row() else { continue };
            self.made += 1;
            batch.push(tapebook::Trade { trade_id: Some(Id::Number(self.made)), ..trade })?;
            // The generator names its symbols by rank, from 1.
            let rank: usize = trade.symbol.trim_start_matches(|c: char| !c.is_ascii_digit()).parse()?;
            seen(Key { symbol: rank - 1, ts: trade.ts, seq: self.made });
        }
        Ok(batch.encode())
    }
}
