//! What reaches the disk for each byte that was written: log, zeroing, SSTables, state files and manifest.

use std::collections::VecDeque;

use tapebook::{Batch, Db, Options};
use tapebook_market::generator;

use crate::input::SYMBOLS;
use crate::measure::{Runs, io_counter};
use crate::report::Line;
use crate::setting::Setting;
use crate::AnyError;

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
        let (dirtied, passed) = (io_counter("write_bytes"), io_counter("wchar"));
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
        let over = |counter: u64| Runs::from_iter([counter as f64 / bytes as f64]);
        Line {
            what: &format!("write amplification of in-order ticks, {part} ({} MiB of batches)", bytes >> 20),
            unit: "×",
            measured: &over(io_counter("write_bytes") - dirtied),
            baseline: None,
            note: format!(
                "of it the log {:.2}; {} segments zeroed, {} recycled; {:.2} × by the lengths of the writes; \
                 batches of 1,000; one run; neither history nor archive is part of it",
                (log.bytes - log_before.bytes) as f64 / bytes as f64,
                log.segments_zeroed - log_before.segments_zeroed,
                log.segments_recycled - log_before.segments_recycled,
                (io_counter("wchar") - passed) as f64 / bytes as f64,
            ),
        }
        .print();
    }
    Ok(())
}
