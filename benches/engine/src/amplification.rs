//! What reaches the disk for each byte that was written: log, zeroing, SSTables, state files and manifest.

use std::collections::VecDeque;

use tapebook::{Batch, Db, Options};
use tapebook_market::generator;

use crate::AnyError;
use crate::input::SYMBOLS;
use crate::measure::{Runs, device_bytes, io_counter};
use crate::report::Line;
use crate::setting::Setting;

const MEMTABLES: u64 = 10;
const BATCH_ROWS: usize = 1_000;
const IN_FLIGHT: usize = 16;

/// Bytes written for each byte of batches of in-order ticks: for the first ten MemTables, and for the ten behind them.
pub fn in_order_ticks(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let db = Db::open(dir.path())?;
    let mut ticks = generator::ticks(1, SYMBOLS, 1.0)?;
    let memtable_bytes = Options::default().memtable_bytes;
    for part in ["first ten MemTables of a new database", "ten MemTables after those"] {
        let (device, passed) = (device_bytes(dir.path()), io_counter("wchar"));
        let log_before = db.stats().wal;
        let mut waiting = VecDeque::new();
        let mut bytes = 0;
        while bytes < memtable_bytes * setting.size(MEMTABLES).max(2) {
            let mut batch = Batch::new();
            ticks.fill_batch(&mut batch, BATCH_ROWS)?;
            let batch = batch.encode();
            bytes += batch.bytes().len() as u64;
            waiting.push_back(db.submit(batch)?);
            if waiting.len() > IN_FLIGHT
                && let Some(first) = waiting.pop_front()
            {
                first.wait()?;
            }
        }
        for pending in waiting {
            pending.wait()?;
        }
        db.flush()?;
        let log = db.stats().wal;
        let device =
            device.zip(device_bytes(dir.path())).map_or("an unknown part".to_owned(), |(before, after)| {
                format!("{:.2} ×", (after - before) as f64 / bytes as f64)
            });
        let over = |counter: u64| Runs::from_iter([counter as f64 / bytes as f64]);
        Line {
            what: &format!("write amplification of in-order ticks, {part} ({} MiB of batches)", bytes >> 20),
            unit: "×",
            measured: &over(io_counter("wchar") - passed),
            baseline: None,
            note: format!(
                "by the lengths of all writes, of it the log {:.2}; the whole device was given {device}; {} segments \
                 zeroed, {} recycled; batches of 1,000; one run; neither history nor archive is part of it",
                (log.bytes - log_before.bytes) as f64 / bytes as f64,
                log.segments_zeroed - log_before.segments_zeroed,
                log.segments_recycled - log_before.segments_recycled,
            ),
        }
        .print();
    }
    Ok(())
}
