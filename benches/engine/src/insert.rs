//! Inserting into the MemTable on one core, in order and with late rows.
//!
//! Applying is private to the engine. So three variants take the same batches: the MemTable alone with its symbols
//! resolved before, the log alone, and a whole database, log and database on a disk that swallows the log. The
//! database's time less that of the log is what applying takes: refusing what is too far ahead or too much, the
//! producer check, interning, the rolling hash, the insert, and publishing a snapshot for each batch.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use tapebook::{Db, Durability, EncodedBatch, Options, Symbols};
use tapebook_lsm::memtable::MemTable;
use tapebook_vfs::Vfs;
use tapebook_wal::WalOptions;

use crate::measure::{Runs, cost};
use crate::report::Line;
use crate::setting::Setting;
use crate::swallow::SwallowVfs;
use crate::{AnyError, input, log};

const ROWS: u64 = 500_000;
const BATCH_ROWS: usize = 1_000;
const LATE: [f64; 2] = [0.0, 0.05];

/// Millions of records a second of one thread's processor time.
pub fn through_apply(setting: &Setting) -> Result<(), AnyError> {
    let rows = setting.size(ROWS);
    let inputs = LATE.map(|late| input::ticks(rows, BATCH_ROWS, late));
    let mut alone: [Runs; 2] = Default::default();
    let mut applied: [Runs; 2] = Default::default();
    let mut whole: [Runs; 2] = Default::default();
    for run in 0..2 * setting.runs {
        for (at, batches) in inputs.iter().enumerate() {
            let batches = batches.as_ref().map_err(ToString::to_string)?;
            let memtable = memtable_seconds(batches);
            let log = log_seconds(batches)?;
            let db = db_seconds(batches)?;
            // The first two are spent on first touches of memory and code.
            if run >= 2 || setting.quick {
                let rate = |seconds: f64| rows as f64 / seconds / 1e6;
                alone[at].push(rate(memtable));
                applied[at].push(rate(db - log));
                whole[at].push(rate(db));
            }
        }
    }
    for (at, late) in LATE.into_iter().enumerate() {
        Line {
            what: &format!("MemTable insert through apply, {:.0} % late, batches of 1,000 ticks", late * 100.0),
            unit: "M records/s",
            measured: &applied[at],
            baseline: Some(("`MemTable::insert` alone", &alone[at])),
            note: format!(
                "one thread's processor time; 1,000 symbols; the whole append, log frames and checksums included: {} M records/s",
                whole[at]
            ),
        }
        .print();
    }
    Ok(())
}

fn memtable_seconds(batches: &[EncodedBatch]) -> f64 {
    let mut symbols = Symbols::new();
    let mut handles = |batch: &EncodedBatch| -> Vec<u32> {
        batch
            .symbols()
            .map(|name| symbols.handle(name).unwrap_or_else(|| symbols.push(name.into())))
            .collect()
    };
    let handles: Vec<Vec<u32>> = batches.iter().map(&mut handles).collect();
    let table = MemTable::new(1);
    let (took, ()) = cost(|| {
        let mut seq = 1;
        for (batch, handles) in batches.iter().zip(&handles) {
            table.insert(batch.clone(), seq, handles);
            seq += batch.len() as u64;
        }
    });
    black_box(table.rows());
    took.thread_seconds
}

fn log_seconds(batches: &[EncodedBatch]) -> Result<f64, AnyError> {
    let vfs: Arc<dyn Vfs> = Arc::new(SwallowVfs::new());
    let options = WalOptions { background: false, ..WalOptions::default() };
    let wal = log::open(&vfs, Path::new("/wal"), options)?;
    let (took, done) = cost(|| {
        batches.iter().try_for_each(|batch| wal.append(log::proposal(batch), None).map_err(log::refused))
    });
    done?;
    Ok(took.thread_seconds)
}

fn db_seconds(batches: &[EncodedBatch]) -> Result<f64, AnyError> {
    let options = Options {
        vfs: Arc::new(SwallowVfs::new()),
        memtable_bytes: 4 << 30,
        background: false,
        ..Options::default()
    };
    let db = Db::open_with("/db", options)?;
    let (took, done) = cost(|| -> Result<(), AnyError> {
        for batch in batches {
            db.append_encoded(batch.clone(), Durability::Synced)?.wait()?;
        }
        Ok(())
    });
    done?;
    Ok(took.thread_seconds)
}
