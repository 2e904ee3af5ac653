//! Batches of 1,000 trades as fast as they can be made durable: the log alone, and the database with its flushes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;

use tapebook::{Db, Durability, EncodedBatch, Options, PendingAppend};
use tapebook_vfs::{RealVfs, Vfs};
use tapebook_wal::{Wal, WalOptions};

use crate::AnyError;
use crate::bare::BareFile;
use crate::input::{SYMBOLS, Trades};
use crate::log::{self, Told};
use crate::measure::{Runs, cost, io_counter, mean, median};
use crate::report::Line;
use crate::setting::Setting;

const BATCH_ROWS: usize = 1_000;
const BARE_BYTES: usize = 128 << 10;
/// What one slice of the log's measurement writes.
const SLICE_BYTES: usize = 8 << 20;
const SLICES: u64 = 8;
const MEMTABLES: u64 = 10;
/// Batches that wait for their receipts at once.
const IN_FLIGHT: usize = 16;
const MIB: f64 = (1 << 20) as f64;

/// MiB a second: the log alone, one batch at a time and several at once.
pub fn log_only(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let options = WalOptions { spare_segments_max: 8, ..WalOptions::default() };
    let wal = log::open(&vfs, &dir.path().join("log"), options)?;
    let mut bare = BareFile::prepared(&dir.path().join("bare"), 64 << 20)?;
    let batches = batches_of(SLICE_BYTES as u64)?;
    let bytes: usize = batches.iter().map(|batch| batch.bytes().len()).sum();
    // From here on the log only writes into segments that it has purged before.
    while wal.closed_segments().len() < 6 {
        one_by_one(&wal, &batches)?;
    }
    wal.purge_through(wal.last_index())?;
    let zeroed = wal.stats().segments_zeroed;

    let mut rates: [Runs; 3] = Default::default();
    let mut cpu = [const { Vec::new() }; 3];
    for _ in 0..setting.runs {
        let mut slices = [const { Vec::new() }; 3];
        for slice in 0..setting.size(SLICES) as usize {
            for variant in (0..3).map(|at| (at + slice) % 3) {
                let (took, done) = match variant {
                    0 => cost(|| bare_writes(&mut bare, bytes)),
                    1 => cost(|| one_by_one(&wal, &batches)),
                    _ => cost(|| all_at_once(&wal, &batches)),
                };
                done?;
                slices[variant].push(bytes as f64 / MIB / took.wall_seconds);
                cpu[variant].push(took.cpu_seconds / took.wall_seconds * 100.0);
                wal.purge_through(wal.last_index())?;
            }
        }
        for (rates, slices) in rates.iter_mut().zip(&slices) {
            rates.push(median(slices));
        }
    }
    let zeroed = wal.stats().segments_zeroed - zeroed;
    let shapes = [(1, "one batch at a time".to_owned()), (2, format!("{} batches in flight", batches.len()))];
    for (at, shape) in shapes {
        Line {
            what: &format!(
                "log only, batches of 1,000 trades ({} KiB), {shape}",
                batches[0].bytes().len() >> 10
            ),
            unit: "MiB/s",
            measured: &rates[at],
            baseline: Some(("128 KiB writes, each synced, prepared file", &rates[0])),
            note: format!(
                "CPU {:.0} % of a core, bare {:.0} %; recycled segments, {zeroed} zeroed meanwhile",
                mean(&cpu[at]),
                mean(&cpu[0]),
            ),
        }
        .print();
    }
    Ok(())
}

/// MiB of batches a second through the database, until the last of ten MemTables is an SSTable.
pub fn sustained(setting: &Setting) -> Result<(), AnyError> {
    let memtable_bytes = Options::default().memtable_bytes;
    let batches = batches_of(memtable_bytes * setting.size(MEMTABLES).max(2))?;
    let bytes: usize = batches.iter().map(|batch| batch.bytes().len()).sum();
    let mut bare_rate = Runs::default();
    let mut rates: [Runs; 2] = Default::default();
    let mut acknowledged: [Runs; 2] = Default::default();
    let mut cpu = [const { Vec::new() }; 2];
    let mut stalled = [const { Vec::new() }; 2];
    let mut written = [const { Vec::new() }; 2];
    for _ in 0..setting.runs.min(5) {
        let dir = setting.scratch()?;
        let mut bare = BareFile::prepared(&dir.path().join("bare"), 64 << 20)?;
        let mut bare_slices = Vec::new();
        let mut bare_slice = || -> Result<(), AnyError> {
            for _ in 0..8 {
                let (took, done) = cost(|| bare_writes(&mut bare, SLICE_BYTES));
                done?;
                bare_slices.push(SLICE_BYTES as f64 / MIB / took.wall_seconds);
            }
            Ok(())
        };
        bare_slice()?;
        for (variant, in_flight) in [1, IN_FLIGHT].into_iter().enumerate() {
            let db = Db::open(dir.path().join(format!("db-{in_flight}")))?;
            let written_before = io_counter("wchar");
            let mut last_receipt = 0.0;
            let (took, done) = cost(|| -> Result<(), AnyError> {
                let (until_receipt, done) = cost(|| append_all(&db, &batches, in_flight));
                done?;
                last_receipt = until_receipt.wall_seconds;
                Ok(db.flush()?)
            });
            done?;
            rates[variant].push(bytes as f64 / MIB / took.wall_seconds);
            acknowledged[variant].push(bytes as f64 / MIB / last_receipt);
            cpu[variant].push(took.cpu_seconds / took.wall_seconds * 100.0);
            stalled[variant].push(db.stats().stall_time.as_secs_f64() / took.wall_seconds * 100.0);
            written[variant].push((io_counter("wchar") - written_before) as f64 / bytes as f64);
            db.close()?;
            bare_slice()?;
        }
        bare_rate.push(median(&bare_slices));
    }
    for (at, in_flight) in [1, IN_FLIGHT].into_iter().enumerate() {
        Line {
            what: &format!(
                "through `Db`, ten MemTables of batches of 1,000 trades ({} MiB), last flush included, {in_flight} in flight",
                bytes >> 20
            ),
            unit: "MiB/s",
            measured: &rates[at],
            baseline: Some(("128 KiB writes, each synced, prepared file", &bare_rate)),
            note: format!(
                "up to the last receipt {} MiB/s; CPU {:.0} % of a core; {:.0} % of the time waiting for a flush; \
                 {:.2} bytes written for each byte of batches, first zeroing of the log included",
                acknowledged[at],
                mean(&cpu[at]),
                median(&stalled[at]),
                median(&written[at]),
            ),
        }
        .print();
    }
    Ok(())
}

fn batches_of(bytes: u64) -> Result<Vec<EncodedBatch>, AnyError> {
    let mut trades = Trades::new(SYMBOLS)?;
    let (mut batches, mut done) = (Vec::new(), 0);
    while done < bytes {
        let batch = trades.batch(BATCH_ROWS, |_| {})?;
        done += batch.bytes().len() as u64;
        batches.push(batch);
    }
    Ok(batches)
}

fn bare_writes(bare: &mut BareFile, bytes: usize) -> Result<(), AnyError> {
    let buffer = vec![0x5a; BARE_BYTES];
    (0..bytes / BARE_BYTES).try_for_each(|_| bare.write(&buffer))
}

fn one_by_one(wal: &Wal<Told>, batches: &[EncodedBatch]) -> Result<(), AnyError> {
    for batch in batches {
        wal.append(log::proposal(batch), None).map_err(log::refused)?;
    }
    Ok(())
}

fn all_at_once(wal: &Wal<Told>, batches: &[EncodedBatch]) -> Result<(), AnyError> {
    let (sender, receiver) = mpsc::channel();
    for batch in batches {
        wal.enqueue(log::proposal(batch), Some(sender.clone())).map_err(log::refused)?;
    }
    for _ in batches {
        receiver.recv()?;
    }
    Ok(())
}

/// Appends with so many batches waiting for their receipts; returns with the last receipt.
fn append_all(db: &Db, batches: &[EncodedBatch], in_flight: usize) -> Result<(), AnyError> {
    if in_flight == 1 {
        for batch in batches {
            db.append_encoded(batch.clone(), Durability::Synced)?.wait()?;
        }
        return Ok(());
    }
    let mut waiting: VecDeque<PendingAppend> = VecDeque::with_capacity(in_flight);
    for batch in batches {
        if waiting.len() == in_flight
            && let Some(first) = waiting.pop_front()
        {
            first.wait()?;
        }
        waiting.push_back(db.submit(batch.clone())?);
    }
    for append in waiting {
        append.wait()?;
    }
    Ok(())
}
