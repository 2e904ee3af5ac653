//! A long run under mixed load: nothing may grow but the data itself.
//!
//! Quotes and trades of 2,000 symbols come at a fixed rate, 5 % of them late by up to a day, and now and then a batch is
//! sent again. Event time runs so fast that the run covers some days. Every minute's figures make a row of a CSV table; at
//! the end stands how each figure changed in ten minutes, as a share of its mean, from the fifth minute on.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use tapebook::{Batch, Db, Durability, EncodedBatch, Producer};
use tapebook_market::generator;

use crate::AnyError;
use crate::measure::{anonymous_mib, io_counter, quantile};
use crate::setting::Setting;

const SYMBOLS: u32 = 2_000;
const LATE_SHARE: f64 = 0.05;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const BATCH_ROWS: usize = 200;
const ROWS_PER_SECOND: u64 = 40_000;
/// So much event time passes in a second, so that half an hour covers two days.
const EVENT_SECONDS: u64 = 96;
/// Every so many batches one is sent again.
const RESENT_EVERY: u64 = 50;
const MINUTES: u64 = 30;
/// Until then files and memory fill up.
const SETTLED_MINUTES: usize = 5;

/// One minute.
struct Figures {
    minute: u64,
    rows: u64,
    resident_mib: f64,
    files: f64,
    level_0_files: f64,
    bytes_per_row: f64,
    p50_micros: f64,
    p99_micros: f64,
    amplification: f64,
}

const COLUMNS: &str = "minute,rows,anonymous_mib,files,level_0_files,bytes_per_row,append_p50_us,append_p99_us,write_amplification";

/// Runs for half an hour, or four minutes where it is to be quick.
pub fn mixed_load(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let db = Db::open(dir.path())?;
    let mut load = Load::new()?;
    let began = Instant::now();
    let mut minutes: Vec<Figures> = Vec::new();
    println!("{COLUMNS}");
    let last = if setting.quick { 4 } else { MINUTES };
    for minute in 1..=last {
        let mut micros = Vec::new();
        while began.elapsed() < Duration::from_secs(minute * 60) {
            load.send(&db, &mut micros)?;
            let due = Duration::from_secs_f64(load.rows as f64 / ROWS_PER_SECOND as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        let figures = load.figures(&db, dir.path(), minute, &micros)?;
        println!("{}", figures.row());
        minutes.push(figures);
    }
    print_slopes(&minutes);
    Ok(())
}

struct Load {
    ticks: generator::Ticks,
    batches: u64,
    rows: u64,
    batch_bytes: u64,
    written_before: u64,
}

impl Load {
    fn new() -> Result<Self, AnyError> {
        let gap_nanos = (EVENT_SECONDS * 1_000_000_000 / ROWS_PER_SECOND) as u32;
        let ticks = generator::ticks(1, SYMBOLS, 1.0)?.gap(gap_nanos).late(LATE_SHARE, DAY.as_nanos() as u64);
        Ok(Self { ticks, batches: 0, rows: 0, batch_bytes: 0, written_before: io_counter("wchar") })
    }

    fn send(&mut self, db: &Db, micros: &mut Vec<f64>) -> Result<(), AnyError> {
        self.batches += 1;
        let mut batch = Batch::from_producer(Producer { id: 1, epoch: 1, batch_number: self.batches });
        self.rows += self.ticks.fill_batch(&mut batch, BATCH_ROWS)? as u64;
        let batch = batch.encode();
        self.batch_bytes += batch.bytes().len() as u64;
        let first = append(db, batch.clone(), micros)?;
        if self.batches.is_multiple_of(RESENT_EVERY) {
            let again = append(db, batch, &mut Vec::new())?;
            if !again.duplicate || (again.first_seq, again.last_seq) != (first.first_seq, first.last_seq) {
                return Err(format!("a batch that was sent again got {again:?} after {first:?}").into());
            }
        }
        Ok(())
    }

    fn figures(&self, db: &Db, dir: &Path, minute: u64, micros: &[f64]) -> Result<Figures, AnyError> {
        let version = db.version();
        let written = io_counter("wchar") - self.written_before;
        Ok(Figures {
            minute,
            rows: self.rows,
            resident_mib: anonymous_mib() as f64,
            files: version.tables().count() as f64,
            level_0_files: version.level(0).len() as f64,
            bytes_per_row: disk_bytes(dir)? as f64 / self.rows as f64,
            p50_micros: quantile(micros, 0.5),
            p99_micros: quantile(micros, 0.99),
            amplification: written as f64 / self.batch_bytes as f64,
        })
    }
}

fn append(db: &Db, batch: EncodedBatch, micros: &mut Vec<f64>) -> Result<tapebook::Receipt, AnyError> {
    let began = Instant::now();
    let receipt = db.append_encoded(batch, Durability::Synced)?.wait()?;
    micros.push(began.elapsed().as_secs_f64() * 1e6);
    Ok(receipt)
}

impl Figures {
    fn row(&self) -> String {
        let mut row = format!("{},{}", self.minute, self.rows);
        for value in self.values() {
            let _ = write!(row, ",{value:.2}");
        }
        row
    }

    fn values(&self) -> [f64; 7] {
        [
            self.resident_mib,
            self.files,
            self.level_0_files,
            self.bytes_per_row,
            self.p50_micros,
            self.p99_micros,
            self.amplification,
        ]
    }
}

/// Bytes of all files below a directory.
fn disk_bytes(dir: &Path) -> Result<u64, AnyError> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // A file may be removed while they are counted.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

fn print_slopes(minutes: &[Figures]) {
    let settled = minutes.get(SETTLED_MINUTES..).unwrap_or_default();
    if settled.len() < 2 {
        return;
    }
    for (at, name) in COLUMNS.split(',').skip(2).enumerate() {
        let values: Vec<f64> = settled.iter().map(|figures| figures.values()[at]).collect();
        println!("# {name}: {:+.2} % in ten minutes", slope(&values) * 1_000.0);
    }
}

/// By how much of their mean the values grow from one to the next: least squares.
fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let (mean_at, mean) = ((count - 1.0) / 2.0, values.iter().sum::<f64>() / count);
    let (mut over, mut under) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        let at = at as f64 - mean_at;
        over += at * (value - mean);
        under += at * at;
    }
    over / under / mean
}
