//! The records: generated from a seed, each handed to an engine in the form that it takes.

use std::ops::Range;

use tapebook::{Batch, EncodedBatch, Id, StandardTable, Trade};
use tapebook_market::Row;
use tapebook_market::generator::{self, Ticks};

use crate::AnyError;
use crate::key::{VALUE_HEAD_BYTES, id_key, id_value, row_key};

/// Symbols of all inputs.
pub const SYMBOLS: u32 = 1_000;
/// Rows of a batch.
pub const BATCH_ROWS: usize = 1_000;

/// A batch of rows in both forms: as Tapebook writes it, and as entries of a key-value engine.
pub struct Rows {
    /// For Tapebook.
    pub batch: EncodedBatch,
    /// Keys and values of the rows as the key-value engines get them, without ids.
    pub user_bytes: u64,
    /// How many of the rows are trades.
    pub trades: u64,
    entries: Vec<(Range<usize>, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Rows {
    /// `ids` has the id of each row that has one; the first row has the sequence number `first_seq`.
    fn new(batch: EncodedBatch, ids: &[Option<u64>], first_seq: u64) -> Result<Self, AnyError> {
        let symbols: Vec<u32> = batch.symbols().map(symbol_number).collect::<Result<_, _>>()?;
        let mut rows = Self { batch, user_bytes: 0, trades: 0, entries: Vec::new(), bytes: Vec::new() };
        for (at, id) in ids.iter().enumerate() {
            let header = rows.batch.row_header(at);
            let symbol = symbols[header.symbol as usize];
            let key = row_key(header.table.0, symbol, header.ts, first_seq + at as u64);
            let value = value_of(&rows.batch, at);
            rows.user_bytes += (key.len() + value.len()) as u64;
            rows.push(&key, &value);
            if let Some(id) = id {
                rows.trades += 1;
                rows.push(&id_key(*id), &id_value(&key));
            }
        }
        Ok(rows)
    }

    /// Keys and values for a key-value engine: the rows, and what leads to them by id.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| (&self.bytes[key.clone()], &self.bytes[value.clone()]))
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend(key);
        let middle = self.bytes.len();
        self.bytes.extend(value);
        self.entries.push((begin..middle, middle..self.bytes.len()));
    }
}

/// What a key-value engine keeps of a row: what Tapebook's row header holds beside the key, and the row's bytes.
pub fn value_of(batch: &EncodedBatch, row: usize) -> Vec<u8> {
    let header = batch.row_header(row);
    let row = batch.row(&header);
    let mut value = Vec::with_capacity(VALUE_HEAD_BYTES + row.len());
    value.extend(header.recv_ts.to_le_bytes());
    value.extend(header.feed_seq.to_le_bytes());
    value.push(header.layout as u8);
    value.push(header.flags);
    value.extend(row);
    value
}

/// The generator numbers its symbols by rank, from 1, in names that sort like the numbers.
fn symbol_number(name: &str) -> Result<u32, AnyError> {
    Ok(name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse()?)
}

/// The name of a symbol by its number, as the generator names it.
pub fn symbol_name(number: u32) -> String {
    format!("GEN.S{number:06}")
}

/// Where a trade is, and what proves that it was read.
#[derive(Clone, Copy)]
pub struct Known {
    /// The number of its symbol.
    pub symbol: u32,
    /// Its event time.
    pub ts: i64,
    /// Its place in the journal of a new database.
    pub seq: u64,
    /// Its trade id, unlike that of every other trade.
    pub id: u64,
    /// Its price.
    pub price: f64,
}

/// Quotes and trades in the order of their arrival.
pub struct Source {
    ticks: Ticks,
    rows: u64,
    trades: u64,
}

impl Source {
    /// One row in five is a trade; `late` is the share of rows that come up to `late_ns_max` late.
    pub fn ticks(late: f64, late_ns_max: u64) -> Result<Self, AnyError> {
        let ticks = generator::ticks(1, SYMBOLS, 1.0)?.late(late, late_ns_max);
        Ok(Self { ticks, rows: 0, trades: 0 })
    }

    /// Trades only.
    pub fn trades() -> Result<Self, AnyError> {
        Ok(Self { ticks: generator::ticks(2, SYMBOLS, 1.0)?.trades(1.0), rows: 0, trades: 0 })
    }

    /// The next batch; each trade is shown to `seen`.
    pub fn batch(&mut self, mut seen: impl FnMut(Known)) -> Result<Rows, AnyError> {
        let first_seq = self.rows + 1;
        let mut batch = Batch::new();
        let mut ids = Vec::with_capacity(BATCH_ROWS);
        while ids.len() < BATCH_ROWS {
            match self.ticks.next_row() {
                Row::Trade(trade) => {
                    self.trades += 1;
                    let id = self.trades;
                    batch.push(Trade { trade_id: Some(Id::Number(id)), ..trade })?;
                    seen(Known {
                        symbol: symbol_number(trade.symbol)?,
                        ts: trade.ts,
                        seq: first_seq + ids.len() as u64,
                        id,
                        price: trade.price.unwrap_or(f64::NAN),
                    });
                    ids.push(Some(id));
                }
                row => {
                    batch.push(row)?;
                    ids.push(None);
                }
            }
        }
        self.rows += ids.len() as u64;
        Rows::new(batch.encode(), &ids, first_seq)
    }

    /// At least so many rows, in whole batches.
    pub fn batches(&mut self, rows: u64) -> Result<Vec<Rows>, AnyError> {
        (0..rows.div_ceil(BATCH_ROWS as u64)).map(|_| self.batch(|_| {})).collect()
    }
}

/// Where a column of trades begins in the value of a key-value engine.
pub fn offset_in_value(column: &str) -> Result<usize, AnyError> {
    let schema = Trade::schema();
    let at = schema.column_index(column).ok_or_else(|| format!("trades have no column {column}"))?;
    Ok(VALUE_HEAD_BYTES + schema.columns[at].offset)
}
