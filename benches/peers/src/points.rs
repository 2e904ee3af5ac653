//! Point reads of what is cached: by key, the last one at a time, by id; of rows that are there and of others.

use std::time::Instant;

use crate::AnyError;
use crate::engine::{self, Reader};
use crate::histogram::Histogram;
use crate::input::Known;
use crate::loaded::Loaded;
use crate::measure::{Runs, median};
use crate::report::Table;
use crate::setting::Setting;

const CALLS_OF_SLICE: usize = 2_000;
const SLICES: usize = 20;
const HOT_KEYS: usize = 64;

/// One call: whether it found what it was to find.
type Read = fn(&mut dyn Reader, &Known) -> Result<bool, AnyError>;

/// What is asked, whether it is there, how to ask, and the budget of Tapebook's p50 in µs, where it has one.
const READS: [(&str, &str, Read, Option<f64>); 6] = [
    ("by key", "hit", key_hit, Some(1.0)),
    ("by key", "miss", key_miss, None),
    ("last at a time", "hit", last_hit, Some(1.0)),
    ("last at a time", "miss", last_miss, None),
    ("by id", "hit", id_hit, Some(5.0)),
    ("by id", "miss", id_miss, None),
];

fn key_hit(reader: &mut dyn Reader, known: &Known) -> Result<bool, AnyError> {
    Ok(reader.get(known)? == Some(known.price))
}

/// The time of one row with the number of another: both are within all ranges, together they are no row.
fn key_miss(reader: &mut dyn Reader, known: &Known) -> Result<bool, AnyError> {
    Ok(reader.get(&Known { seq: known.seq - 1, ..*known })?.is_none())
}

fn last_hit(reader: &mut dyn Reader, known: &Known) -> Result<bool, AnyError> {
    Ok(reader.last(known.symbol, known.ts)? == Some((known.ts, known.price)))
}

/// Before the first row.
fn last_miss(reader: &mut dyn Reader, known: &Known) -> Result<bool, AnyError> {
    Ok(reader.last(known.symbol, 0)?.is_none())
}

fn id_hit(reader: &mut dyn Reader, known: &Known) -> Result<bool, AnyError> {
    Ok(reader.by_id(known.id)? == Some((known.seq, known.price)))
}

/// Ids beyond the last one.
fn id_miss(reader: &mut dyn Reader, known: &Known) -> Result<bool, AnyError> {
    Ok(reader.by_id(known.id | 1 << 40)?.is_none())
}

/// What one engine took for one kind of read of some keys.
#[derive(Default)]
struct Outcome {
    /// Nanoseconds, one value for each round.
    p50: Vec<f64>,
    p99: Vec<f64>,
    round: Histogram,
}

/// Nanoseconds of single calls.
pub fn reads(setting: &Setting) -> Result<(), AnyError> {
    let loaded = Loaded::new(setting)?;
    let mut readers = loaded.engines.iter().map(|engine| engine.reader()).collect::<Result<Vec<_>, _>>()?;
    // A few that stay in the caches of the processor, and more than these hold.
    let sets = [&loaded.known[..HOT_KEYS.min(loaded.known.len())], &loaded.known];
    let cases: Vec<(usize, usize)> =
        (0..READS.len()).flat_map(|read| (0..sets.len()).map(move |set| (read, set))).collect();
    let mut outcomes: Vec<Vec<Outcome>> =
        cases.iter().map(|_| readers.iter().map(|_| Outcome::default()).collect()).collect();
    let mut timer = Histogram::default();
    // The first round touches everything once and is not counted.
    for round in 0..=setting.rounds {
        for slice in 0..SLICES {
            for _ in 0..CALLS_OF_SLICE {
                let begun = Instant::now();
                timer.record(begun.elapsed().as_nanos() as u64);
            }
            for ((read, set), outcomes) in cases.iter().zip(&mut outcomes) {
                for at in (0..readers.len()).map(|at| (at + slice) % engine::ALL.len()) {
                    let latencies = &mut outcomes[at].round;
                    ask(readers[at].as_mut(), *read, sets[*set], slice, latencies)
                        .map_err(|error| format!("{}: {error}", engine::ALL[at].name()))?;
                }
            }
        }
        for outcome in outcomes.iter_mut().flatten() {
            let latencies = std::mem::take(&mut outcome.round);
            if round > 0 {
                outcome.p50.push(latencies.quantile(0.5) as f64);
                outcome.p99.push(latencies.quantile(0.99) as f64);
            }
        }
    }
    let mut table = table();
    for ((read, set), outcomes) in cases.iter().zip(&outcomes) {
        table.row(row(*read, sets[*set].len(), outcomes));
    }
    table.note(format!(
        "p50 and p99 of single calls in ns, of {} trades; reading the clock twice, {} ns, is inside. *Ahead*: the best p50 of \
         the others divided by Tapebook's. Budget: p50 of hits ≤ 1 µs by key, ≤ 1 µs last at a time, ≤ 5 µs by id, ahead of all \
         three. Every answer is checked, price included.",
        loaded.rows,
        timer.quantile(0.5),
    ));
    table.note("Each database was compacted by its own means and read once from end to end before.");
    table.publish(setting)
}

fn ask(
    reader: &mut dyn Reader,
    read: usize,
    keys: &[Known],
    slice: usize,
    latencies: &mut Histogram,
) -> Result<(), AnyError> {
    let (what, hit, call, _) = READS[read];
    for number in 0..CALLS_OF_SLICE {
        let key = &keys[(slice * CALLS_OF_SLICE + number).wrapping_mul(0x9e37_79b9) % keys.len()];
        let begun = Instant::now();
        let right = call(reader, key)?;
        latencies.record(begun.elapsed().as_nanos() as u64);
        if !right {
            return Err(format!("{what}, {hit}: wrong answer for row {}", key.seq).into());
        }
    }
    Ok(())
}

fn table() -> Table {
    let mut head = vec!["read", "", "keys"];
    head.extend(engine::ALL.iter().map(|kind| kind.name()));
    head.extend(["ahead", "budget"]);
    Table::new("Point reads, cached", &head)
}

fn row(read: usize, keys: usize, outcomes: &[Outcome]) -> Vec<String> {
    let (what, hit, _, budget) = READS[read];
    let mut cells = vec![what.to_owned(), hit.to_owned(), keys.to_string()];
    let runs = |values: &[f64]| values.iter().copied().collect::<Runs>();
    cells.extend(
        outcomes.iter().map(|outcome| format!("{} / {:.0}", runs(&outcome.p50), median(&outcome.p99))),
    );
    let ours = median(&outcomes[0].p50);
    let best = outcomes[1..].iter().map(|outcome| median(&outcome.p50)).fold(f64::INFINITY, f64::min);
    cells.push(format!("{:.2}", best / ours));
    cells.push(budget.map_or("–".to_owned(), |micros| {
        let met = ours <= micros * 1e3 && ours < best;
        format!("≤ {micros} µs, ahead: {}", if met { "met" } else { "**missed**" })
    }));
    cells
}
