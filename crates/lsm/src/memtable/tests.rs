//! What every test of the MemTable needs: rows, batches of them, and a plain model of what is in there.

mod bytes;
mod concurrent;
mod model;

use std::collections::BTreeMap;

use tapebook_record::{
    Batch, EncodedBatch, Id, Quote, RawRecord, Record, StandardTable, Symbols, TableId, Trade,
};

use super::MemTable;
use crate::key::Series;

const TRADES: TableId = <Trade<'static> as StandardTable>::ID;
const QUOTES: TableId = <Quote<'static> as StandardTable>::ID;

/// One row to insert. Rows of the table of quotes have no id.
#[derive(Clone, Debug)]
struct Row {
    quote: bool,
    symbol: u32,
    ts: i64,
    trade_id: Option<String>,
}

/// Names in another order than their handles.
fn name(symbol: u32) -> String {
    format!("S{:08x}", symbol.wrapping_mul(2_654_435_761))
}

fn symbols(count: u32) -> Symbols {
    let mut symbols = Symbols::new();
    for symbol in 0..count {
        symbols.push(name(symbol).into());
    }
    symbols
}

/// A batch in which row `i` has the size `first_seq + i`, with the handles of its names.
fn batch(rows: &[Row], first_seq: u64) -> (EncodedBatch, Vec<u32>) {
    let mut batch = Batch::new();
    let mut handles: Vec<u32> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if !handles.contains(&row.symbol) {
            handles.push(row.symbol);
        }
        let (symbol, ts, size) = (&*name(row.symbol), row.ts, Some((first_seq + at as u64) as f64));
        let pushed = if row.quote {
            batch.push(Quote { symbol, ts, bid_size: size, ..Quote::default() })
        } else {
            let trade_id = row.trade_id.as_deref().map(Id::from);
            batch.push(Trade { symbol, ts, size, trade_id, ..Trade::default() })
        };
        pushed.unwrap();
    }
    (batch.encode(), handles)
}

/// The rows of a series, each with its id.
type Rows = BTreeMap<(i64, u64), Option<String>>;

/// What should be in the MemTable: `(ts, seq)` of each series' rows, and the ids of trades.
#[derive(Default)]
struct Model {
    rows: BTreeMap<(u16, u32), Rows>,
    next_seq: u64,
}

impl Model {
    fn new() -> Self {
        Self { next_seq: 1, ..Self::default() }
    }

    /// Inserts a batch here and there.
    fn insert(&mut self, table: &MemTable, rows: &[Row]) -> EncodedBatch {
        let (batch, handles) = batch(rows, self.next_seq);
        table.insert(batch.clone(), self.next_seq, &handles);
        for row in rows {
            let id = if row.quote { None } else { row.trade_id.clone() };
            let table = if row.quote { QUOTES } else { TRADES };
            self.rows.entry((table.0, row.symbol)).or_default().insert((row.ts, self.next_seq), id);
            self.next_seq += 1;
        }
        batch
    }

    /// The keys of a series up to `visible_seq`.
    fn keys(&self, series: Series, visible_seq: u64) -> Vec<(i64, u64)> {
        let rows = self.rows.get(&(series.table.0, series.symbol));
        rows.into_iter()
            .flat_map(|rows| rows.keys())
            .filter(|(_, seq)| *seq <= visible_seq)
            .copied()
            .collect()
    }
}

/// The key of a record, after a look at whether its row is the one that was inserted with this number.
fn key_of(series: Series, record: RawRecord<'_>) -> (i64, u64) {
    assert_eq!(record.symbol, name(series.symbol));
    let size = match series.table {
        TRADES => Record::<Trade<'static>>::new(record).unwrap().size(),
        _ => Record::<Quote<'static>>::new(record).unwrap().bid_size(),
    };
    assert_eq!(size, Some(record.seq as f64));
    (record.ts, record.seq)
}
