//! Opening a database whose rows are all in the log, which is in the page cache.

use std::collections::VecDeque;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tapebook::{Db, crc32c};

use crate::AnyError;
use crate::input::{SYMBOLS, Trades, one_trade};
use crate::measure::{Runs, anonymous_mib, cost};
use crate::report::Line;
use crate::setting::{Setting, files_in, one_piece};

const GIB: f64 = (1_u64 << 30) as f64;

/// Seconds for each GiB of log.
pub fn open(setting: &Setting) -> Result<(), AnyError> {
    one_log(setting, "batches of 1,000 trades", 1 << 30, |trades, _| trades.batch(1_000, |_| {}))?;
    one_log(setting, "batches of one trade", 1 << 28, |_, number| Ok(one_trade(number)?.encode()))?;
    one_log(setting, "batches of one trade, 1,000 symbols", 1 << 28, |trades, _| trades.batch(1, |_| {}))
}

fn one_log(
    setting: &Setting,
    what: &str,
    bytes: u64,
    mut batch: impl FnMut(&mut Trades, u64) -> Result<tapebook::EncodedBatch, AnyError>,
) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let db = Db::open_with(dir.path(), one_piece())?;
    let mut trades = Trades::new(SYMBOLS)?;
    let mut waiting = VecDeque::new();
    let mut batches = 0;
    while db.stats().wal.bytes < setting.size(bytes) {
        for _ in 0..64 {
            let batch = batch(&mut trades, batches)?;
            batches += 1;
            waiting.push_back(db.submit(batch)?);
        }
        for pending in waiting.drain(..) {
            pending.wait()?;
        }
    }
    let log_bytes = db.stats().wal.bytes;
    let log = db.layout().wal();
    db.close()?;
    let files = files_in(&log)?;

    let (mut seconds, mut read, mut cpu) = (Runs::default(), Runs::default(), Runs::default());
    for run in 0..=setting.runs {
        let (read_cost, read_bytes) = cost(|| read_all(&files));
        let read_gib = read_bytes? as f64 / GIB;
        let (open_cost, db) = cost(|| Db::open_with(dir.path(), one_piece()));
        let db = db?;
        let report = db.open_report();
        // The first entry of a new database says who its members are.
        if report.replayed_entries != batches + 1 {
            return Err(
                format!("{} entries were replayed, expected {batches}", report.replayed_entries).into()
            );
        }
        if run > 0 {
            seconds.push(open_cost.wall_seconds / (log_bytes as f64 / GIB));
            cpu.push(open_cost.cpu_seconds / open_cost.wall_seconds * 100.0);
            read.push(read_cost.wall_seconds / read_gib);
        }
    }
    Line {
        what: &format!("recovery, {:.2} GiB of log, {what}, warm", log_bytes as f64 / GIB),
        unit: "s/GiB",
        measured: &seconds,
        baseline: Some(("reading the log's files and their CRC-32C, warm", &read)),
        note: format!(
            "{batches} entries, all replayed; CPU {cpu} % of a core; afterwards {:.0} MiB in memory of the process",
            anonymous_mib()
        ),
    }
    .print();
    Ok(())
}

fn read_all(files: &[impl AsRef<Path>]) -> Result<u64, AnyError> {
    let mut buffer = vec![0; 1 << 20];
    let mut all = 0;
    for path in files {
        let file = File::open(path)?;
        let mut offset = 0;
        loop {
            let read = file.read_at(&mut buffer, offset)?;
            if read == 0 {
                break;
            }
            black_box(crc32c(&buffer[..read]));
            offset += read as u64;
        }
        all += offset;
    }
    Ok(all)
}
