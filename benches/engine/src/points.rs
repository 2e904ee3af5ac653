//! Point reads through a snapshot, of an SSTable and of a MemTable, and the Bloom filter behind the one by id.

use std::hint::black_box;
use std::time::Instant;

use tapebook::{Db, Id, RawRecord, Snapshot, SsTable, StandardTable, Trade};

use crate::AnyError;
use crate::input::{Key, SYMBOLS, Trades};
use crate::measure::{Runs, cost, median, quantile};
use crate::report::Line;
use crate::setting::{Setting, one_piece};

const ROWS: u64 = 2_000_000;
const CALLS_OF_SLICE: usize = 2_000;
const SLICES: usize = 20;
/// Every so many rows is one that is asked for: more than the caches hold.
const KEY_EVERY: u64 = 37;
const HOT_KEYS: usize = 64;
/// Two places, three reads, hot keys and all keys.
const VARIANTS: usize = 12;
const FOREIGN_IDS: u64 = 1_000_000;

/// A database whose rows are all in one place, and what can be asked of it.
struct Place {
    name: &'static str,
    snapshot: Snapshot,
    symbols: Vec<String>,
    keys: Vec<Key>,
    _db: Db,
}

/// Nanoseconds of each read, and of a Bloom filter check.
pub fn reads(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let rows = setting.size(ROWS);
    let places = [
        place("SSTable", Db::open_with(dir.path().join("file"), one_piece())?, rows, true)?,
        place("MemTable", Db::open_with(dir.path().join("memory"), one_piece())?, rows, false)?,
    ];
    type Read = fn(&Place, Key) -> Result<bool, AnyError>;
    let kinds: [(&str, Read, f64); 3] =
        [("`get`, by key", get, 1.0), ("`last`, last at a time", last, 1.0), ("`by_id`", by_id, 5.0)];
    let mut timer = Runs::default();
    let mut p50 = vec![Runs::default(); VARIANTS];
    let mut p99 = vec![Runs::default(); VARIANTS];
    for run in 0..=setting.runs {
        let mut nanos: Vec<Vec<f64>> = vec![Vec::new(); VARIANTS];
        let mut empty = Vec::new();
        for slice in 0..SLICES {
            for _ in 0..CALLS_OF_SLICE {
                let begun = Instant::now();
                empty.push(begun.elapsed().as_nanos() as f64);
            }
            for (at, nanos) in nanos.iter_mut().enumerate() {
                let (place, (_, read, _)) = (&places[at / 6], kinds[at / 2 % 3]);
                let keys = asked(place, at);
                for call in 0..CALLS_OF_SLICE {
                    let number = (slice * CALLS_OF_SLICE + call).wrapping_mul(0x9e37_79b9) % keys.len();
                    let key = keys[number];
                    let begun = Instant::now();
                    let found = read(place, key)?;
                    nanos.push(begun.elapsed().as_nanos() as f64);
                    if !found {
                        return Err(format!("{}: row {} was not found", place.name, key.seq).into());
                    }
                }
            }
        }
        // The first round touches everything once.
        if run > 0 {
            timer.push(median(&empty));
            for (at, nanos) in nanos.iter().enumerate() {
                p50[at].push(median(nanos));
                p99[at].push(quantile(nanos, 0.99));
            }
        }
    }
    for at in 0..VARIANTS {
        let (place, (what, _, budget_us)) = (&places[at / 6], kinds[at / 2 % 3]);
        let keys = asked(place, at).len();
        Line {
            what: &format!("point read {what}, {}, {keys} keys: p50", place.name),
            unit: "ns",
            measured: &p50[at],
            baseline: Some(("reading the clock twice", &timer)),
            note: format!(
                "p99 {} ns; budget {budget_us} µs; the clock's share is not subtracted; of {rows} trades, {SYMBOLS} symbols",
                p99[at],
            ),
        }
        .print();
    }
    let table = places[0].snapshot.pieces().tables.first().ok_or("nothing was flushed")?;
    filter(setting, table, rows)
}

/// The keys of a variant: a few that stay in the caches of the processor, or more than these hold.
fn asked(place: &Place, variant: usize) -> &[Key] {
    if variant.is_multiple_of(2) { &place.keys[..HOT_KEYS] } else { &place.keys }
}

fn place(name: &'static str, db: Db, rows: u64, flush: bool) -> Result<Place, AnyError> {
    let mut trades = Trades::new(SYMBOLS)?;
    let symbols = trades.symbols().to_vec();
    let (mut keys, mut done) = (Vec::new(), 0);
    while done < rows {
        let batch = trades.batch(1_000, |key| {
            if key.seq % KEY_EVERY == 0 {
                keys.push(key);
            }
        })?;
        done += batch.len() as u64;
        let pending = db.submit(batch)?;
        if done >= rows {
            pending.wait()?;
        }
    }
    if flush {
        db.flush()?;
    }
    Ok(Place { name, snapshot: db.snapshot(), symbols, keys, _db: db })
}

fn get(place: &Place, key: Key) -> Result<bool, AnyError> {
    let found = place.snapshot.get(Trade::ID, &place.symbols[key.symbol], key.ts, key.seq)?;
    Ok(found.is_some_and(|record| touched(&record.raw()) && record.seq() == key.seq))
}

fn last(place: &Place, key: Key) -> Result<bool, AnyError> {
    let found = place.snapshot.last(Trade::ID, &place.symbols[key.symbol], key.ts)?;
    Ok(found.is_some_and(|record| touched(&record.raw()) && record.ts() == key.ts))
}

/// Reads the first byte of the row, so that it is fetched and not only found.
fn touched(record: &RawRecord<'_>) -> bool {
    record.row.first().map(|byte| black_box(*byte)).is_some()
}

fn by_id(place: &Place, key: Key) -> Result<bool, AnyError> {
    let found = place.snapshot.by_id(Trade::ID, "trade_id", Id::Number(key.seq))?;
    Ok(found.first().is_some_and(|record| touched(&record.raw()) && record.seq() == key.seq))
}

fn filter(setting: &Setting, table: &SsTable, rows: u64) -> Result<(), AnyError> {
    let column = Trade::schema().column_index("trade_id").ok_or("trades have no trade_id")?;
    let contains = |id: u64| table.may_contain_id(Trade::ID, column, Id::Number(id));
    let mut passed = 0;
    for id in 0..FOREIGN_IDS {
        passed += u64::from(contains(rows + 1 + id)?);
    }
    // A table as large as the filter: what one read of a line that is not in the nearest cache takes by itself.
    let lines = vec![1_u8; rows as usize * 10 / 8];
    let mut nanos: [Runs; 3] = Default::default();
    for _ in 0..setting.runs {
        let mut slices = [const { Vec::new() }; 3];
        for slice in 0..400_u64 {
            let ids = slice * 1_000..(slice + 1) * 1_000;
            let mut check = |at: usize, run: &mut dyn FnMut() -> u64| {
                let (took, sum) = cost(run);
                black_box(sum);
                slices[at].push(took.wall_seconds * 1e6);
            };
            check(0, &mut || {
                ids.clone().map(|id| u64::from(contains(rows + 1 + id % 64).unwrap_or(true))).sum()
            });
            check(1, &mut || {
                ids.clone().map(|id| u64::from(contains(rows + 1 + scattered(id)).unwrap_or(true))).sum()
            });
            check(2, &mut || {
                ids.clone().map(|id| u64::from(lines[scattered(id) as usize % lines.len()])).sum()
            });
        }
        for (nanos, slices) in nanos.iter_mut().zip(&slices) {
            nanos.push(median(slices));
        }
    }
    let share = passed as f64 / FOREIGN_IDS as f64 * 100.0;
    for (at, what) in ["64 ids again and again", "ids all over the filter"].into_iter().enumerate() {
        Line {
            what: &format!("Bloom filter check, foreign id, {what}"),
            unit: "ns",
            measured: &nanos[at],
            baseline: Some(("one byte at a random place of as many bytes", &nanos[2])),
            note: format!("10 bits a key, {rows} keys; false positives {share:.2} % of {FOREIGN_IDS}"),
        }
        .print();
    }
    Ok(())
}

fn scattered(step: u64) -> u64 {
    step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24
}
