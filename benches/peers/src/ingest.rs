//! Ticks in batches of 1,000, each durable before the next, over several MemTables: how fast, and what it makes the disk
//! write.

use std::process::Command;
use std::time::Instant;

use crate::AnyError;
use crate::engine::{self, Engine, Kind, Sum};
use crate::histogram::Histogram;
use crate::input::{BATCH_ROWS, Rows, Source};
use crate::measure::{Runs, cost, device_bytes, io_counter};
use crate::report::Table;
use crate::setting::Setting;

/// Some 340 MB of keys and values.
const ROWS: u64 = 3_000_000;
/// The share of rows that come late, and by how much at most: more than a MemTable spans here.
const LATE: f64 = 0.05;
const LATE_NS_MAX: u64 = 2_000_000_000;

/// In order of time.
pub fn in_order(setting: &Setting) -> Result<(), AnyError> {
    let rows = Source::ticks(0.0, 1)?.batches(setting.size(ROWS))?;
    compare(setting, "Ingest of ticks in order of time", &rows)
}

/// With late rows.
pub fn late(setting: &Setting) -> Result<(), AnyError> {
    let rows = Source::ticks(LATE, LATE_NS_MAX)?.batches(setting.size(ROWS))?;
    let late = format!(
        "Ingest of ticks, {:.0} % of them up to {} s late",
        LATE * 100.0,
        LATE_NS_MAX / 1_000_000_000
    );
    compare(setting, &late, &rows)
}

/// What one engine came to.
#[derive(Default)]
struct Outcome {
    /// Thousands of rows a second up to the last receipt, and up to the moment that everything had settled.
    receipts: Vec<f64>,
    settled: Vec<f64>,
    latencies: Histogram,
    /// Microseconds of processor time for each row.
    cpu: Vec<f64>,
    /// Bytes of write calls, and of the device, for each byte of keys and values.
    passed: Vec<f64>,
    device: Vec<f64>,
    /// Bytes of tables for each row, and MiB of log, on the disk.
    tables: Vec<f64>,
    log: Vec<f64>,
}

fn compare(setting: &Setting, what: &str, all: &[Rows]) -> Result<(), AnyError> {
    let mut outcomes: Vec<Outcome> = engine::ALL.iter().map(|_| Outcome::default()).collect();
    let mut expected = None;
    for round in 0..setting.rounds {
        for at in (0..outcomes.len()).map(|at| (at + round) % engine::ALL.len()) {
            let sum = ingest(setting, engine::ALL[at], all, &mut outcomes[at])?;
            // The first one sets what all others must have; that it is right is known from the number of its rows.
            if *expected.get_or_insert(sum) != sum {
                return Err(
                    format!("{} holds other rows than the first engine", engine::ALL[at].name()).into()
                );
            }
        }
    }
    publish(setting, what, all, &outcomes)
}

fn ingest(setting: &Setting, kind: Kind, all: &[Rows], outcome: &mut Outcome) -> Result<Sum, AnyError> {
    let dir = setting.scratch()?;
    let user_bytes = all.iter().map(|rows| rows.user_bytes).sum::<u64>() as f64;
    let rows = (all.len() * BATCH_ROWS) as f64;
    sync()?;
    let (passed, device) = (io_counter("wchar"), device_bytes(dir.path()));
    let engine = kind.open(dir.path())?;
    let mut until_receipt = 0.0;
    let (took, settled) = cost(|| -> Result<f64, AnyError> {
        let begun = Instant::now();
        for rows in all {
            let since = Instant::now();
            engine.write(rows)?;
            outcome.latencies.record(since.elapsed().as_nanos() as u64);
        }
        until_receipt = begun.elapsed().as_secs_f64();
        Ok(until_receipt + engine::settle(engine.as_ref())?.as_secs_f64())
    });
    let settled = settled?;
    sync()?;
    outcome.passed.push((io_counter("wchar") - passed) as f64 / user_bytes);
    if let Some((before, after)) = device.zip(device_bytes(dir.path())) {
        outcome.device.push((after - before) as f64 / user_bytes);
    }
    outcome.receipts.push(rows / until_receipt / 1e3);
    outcome.settled.push(rows / settled / 1e3);
    outcome.cpu.push(took.cpu_seconds * 1e6 / rows);
    let (log, tables) = engine::on_disk(engine.as_ref(), dir.path())?;
    outcome.log.push(log as f64 / f64::from(1 << 20));
    outcome.tables.push(tables as f64 / rows);
    proof(engine.as_ref(), all)
}

/// What the database holds, after a look at the number of its rows.
pub fn proof(engine: &dyn Engine, all: &[Rows]) -> Result<Sum, AnyError> {
    let sum = engine.reader()?.scan_table()?;
    let trades: u64 = all.iter().map(|rows| rows.trades).sum();
    if sum.rows == trades { Ok(sum) } else { Err(format!("{} trades, expected {trades}", sum.rows).into()) }
}

/// Everything that is dirty goes to the disk, so that the device's counter belongs to one engine.
pub fn sync() -> Result<(), AnyError> {
    if Command::new("sync").status()?.success() { Ok(()) } else { Err("`sync` failed".into()) }
}

fn publish(setting: &Setting, what: &str, all: &[Rows], outcomes: &[Outcome]) -> Result<(), AnyError> {
    let mut table = Table::new(
        what,
        &[
            "engine",
            "k rows/s",
            "settled k rows/s",
            "batch p50 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "CPU µs/row",
            "written",
            "device",
            "tables B/row",
            "log MiB",
        ],
    );
    let runs = |values: &[f64]| values.iter().copied().collect::<Runs>().to_string();
    for (kind, outcome) in engine::ALL.iter().zip(outcomes) {
        let millis = |nanos: u64| format!("{:.2}", nanos as f64 / 1e6);
        table.row(vec![
            kind.name().to_owned(),
            runs(&outcome.receipts),
            runs(&outcome.settled),
            millis(outcome.latencies.quantile(0.5)),
            millis(outcome.latencies.quantile(0.99)),
            millis(outcome.latencies.quantile(0.999)),
            millis(outcome.latencies.greatest()),
            runs(&outcome.cpu),
            runs(&outcome.passed),
            runs(&outcome.device),
            runs(&outcome.tables),
            runs(&outcome.log),
        ]);
    }
    let bytes: u64 = all.iter().map(|rows| rows.user_bytes).sum();
    let own: usize = all.iter().map(|rows| rows.batch.bytes().len()).sum();
    table.note(format!(
        "{} M rows in batches of {BATCH_ROWS}, quotes and trades four to one; keys and values are {:.0} bytes a row, Tapebook's \
         batches {:.0}. One batch in flight; every engine keeps a look-up by trade id.",
        (all.len() * BATCH_ROWS) as f64 / 1e6,
        bytes as f64 / (all.len() * BATCH_ROWS) as f64,
        own as f64 / (all.len() * BATCH_ROWS) as f64,
    ));
    table.note(
        "*Settled* is when everything is flushed and nothing is written any more. *Written* is the length of all write calls \
         of the process from opening an empty directory to that moment, *device* what the whole device was given, both for \
         each byte of keys and values; budget of Tapebook's in-order ticks: ≤ 3. Bytes on disk are allocated blocks; the \
         log's include what is prepared or reserved for what comes next.",
    );
    table.note("Afterwards every trade is read from each engine: the same number, times in the same order, and sum of prices.");
    table.publish(setting)
}
