//! Measures the MemTable on one core: inserting, point reads, scans. Prints medians over several tables.
//!
//! `cargo run --release -p tapebook-lsm --example memtable_speed`

use std::hint::black_box;
use std::time::{Duration, Instant};

use tapebook_lsm::key::{Direction, Series, TimeRange};
use tapebook_lsm::memtable::MemTable;
use tapebook_record::{Batch, EncodedBatch, Id, Quote, StandardTable, Symbols, Trade};

const SYMBOLS: u32 = 1_000;
const ROWS: u64 = 500_000;
const ROUNDS: usize = 15;

struct Input {
    batches: Vec<(EncodedBatch, Vec<u32>)>,
    symbols: Symbols,
}

fn input(batch_rows: u64, late_percent: u64) -> Input {
    let mut symbols = Symbols::new();
    let names: Vec<String> = (0..SYMBOLS).map(|symbol| format!("VENUE.SYM{symbol:04}")).collect();
    for name in &names {
        symbols.push(name.as_str().into());
    }
    let mut state = 1_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut batches = Vec::new();
    for first in (0..ROWS).step_by(batch_rows as usize) {
        let mut batch = Batch::new();
        let mut handles: Vec<u32> = Vec::new();
        let mut seen = vec![false; SYMBOLS as usize];
        for row in first..first + batch_rows {
            let handle = (random() % u64::from(SYMBOLS)) as u32;
            if !std::mem::replace(&mut seen[handle as usize], true) {
                handles.push(handle);
            }
            let symbol = &*names[handle as usize];
            let late = if random() % 100 < late_percent { random() % 20_000_000 } else { 0 };
            let (ts, price) = ((row * 1_000) as i64 - late as i64, Some(1.5));
            let pushed = if random().is_multiple_of(2) {
                batch.push(Trade { symbol, ts, price, trade_id: Some(Id::Number(row)), ..Trade::default() })
            } else {
                batch.push(Quote { symbol, ts, bid_price: price, ask_price: price, ..Quote::default() })
            };
            pushed.expect("a batch of this size fits");
        }
        batches.push((batch.encode(), handles));
    }
    Input { batches, symbols }
}

fn fill(input: &Input) -> (MemTable, Duration) {
    let handles: Vec<Box<[u32]>> =
        input.batches.iter().map(|(_, handles)| handles.clone().into_boxed_slice()).collect();
    let table = MemTable::new(1);
    let begun = on_cpu();
    let mut seq = 1;
    for ((batch, _), handles) in input.batches.iter().zip(handles) {
        table.insert(batch, seq, handles);
        seq += batch.len() as u64;
    }
    (table, on_cpu() - begun)
}

/// How long this thread has run, waiting for a processor excluded: what remains comparable on a busy machine.
fn on_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanos = stat.split_ascii_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("its first field is a number"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median of the time that one call takes, in nanoseconds.
fn each(calls: u64, mut call: impl FnMut(u64)) -> f64 {
    let per_call = (0..calls).map(|at| {
        let begun = Instant::now();
        call(at);
        begun.elapsed().as_nanos() as f64
    });
    median(per_call.collect())
}

fn main() {
    for (batch_rows, late_percent) in [(100, 0), (1_000, 0), (100, 5), (1_000, 5), (1_000, 50)] {
        let input = input(batch_rows, late_percent);
        let rates: Vec<f64> = (0..ROUNDS).map(|_| ROWS as f64 / fill(&input).1.as_secs_f64() / 1e6).collect();
        let best = rates.iter().copied().fold(0.0, f64::max);
        let rate = median(rates);
        let (table, _) = fill(&input);
        println!(
            "insert, batches of {batch_rows}, {late_percent} % late: {rate:.1} M rows/s, best {best:.1}; batches {} MiB, index {} MiB",
            table.batch_bytes() >> 20,
            table.index_bytes() >> 20,
        );
        if batch_rows == 1_000 {
            reads(&table, &input.symbols);
        }
    }
}

fn reads(table: &MemTable, symbols: &Symbols) {
    let trades = <Trade<'static> as StandardTable>::schema();
    let series = |at: u64| Series { table: trades.id, symbol: (at * 7 % u64::from(SYMBOLS)) as u32 };
    let seqs: Vec<(Series, i64, u64)> = (0..u64::from(SYMBOLS))
        .flat_map(|at| {
            let found = table.series(series(at), ROWS, symbols).expect("every symbol has trades");
            let rows: Vec<_> = found.scan(TimeRange::ALL, Direction::Forward).step_by(29).collect();
            rows.into_iter().map(move |row| (series(at), row.ts, row.seq))
        })
        .collect();
    // A few keys again and again, and keys all over a table that is larger than the caches.
    for (kind, keys) in [("64 keys", 64), ("all keys", seqs.len())] {
        let get = each(20_000, |at| {
            let (series, ts, seq) = seqs[(at as usize * 31) % keys];
            let found = table.series(series, ROWS, symbols).and_then(|found| found.get(ts, seq));
            black_box(found.expect("it is there").row[0]);
        });
        let last = each(20_000, |at| {
            let (series, ts, _) = seqs[(at as usize * 31) % keys];
            let found = table.series(series, ROWS, symbols).and_then(|found| found.last_at(ts + 1));
            black_box(found.expect("it is there").row[0]);
        });
        println!("  {kind}: get {get:.0} ns, last at {last:.0} ns (medians)");
    }
    let column = trades.column_index("trade_id").expect("trades have it");
    let begun = Instant::now();
    black_box(table.by_id(trades, column, Id::Number(1), ROWS, symbols).next());
    let first = begun.elapsed();
    let by_id = each(20_000, |at| {
        let found = table.by_id(trades, column, Id::Number(at * 9_973 % ROWS), ROWS, symbols).next();
        black_box(found.map(|(_, record)| record.row[0]));
    });
    println!("  by id {by_id:.0} ns after {first:.0?} for the first (median)");
    let rates = (0..ROUNDS).map(|_| {
        let begun = on_cpu();
        let mut rows = 0_u64;
        for series in table.series_in_key_order(symbols) {
            let found = table.series(series, ROWS, symbols).expect("it was listed");
            for record in found.scan(TimeRange::ALL, Direction::Forward) {
                black_box(record.row[0]);
                rows += 1;
            }
        }
        assert_eq!(rows, ROWS);
        rows as f64 / (on_cpu() - begun).as_secs_f64() / 1e6
    });
    println!("  all series in key order: {:.1} M rows/s", median(rates.collect()));
}
