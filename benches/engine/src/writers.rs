//! Many writers of small synced batches: threads that wait, and tasks that await.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tapebook::{Db, Durability};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::bare::BareFile;
use crate::log::frame_bytes;
use crate::measure::{Cost, Runs, cost, mean, median};
use crate::report::Line;
use crate::setting::Setting;
use crate::{AnyError, input};

const WRITERS: [usize; 3] = [1, 8, 64];
const SLICES: u64 = 8;
const SLICE: Duration = Duration::from_millis(150);

/// Who writes in a slice.
#[derive(Clone, Copy)]
enum Variant {
    Bare,
    Threads(usize),
    Tasks(usize),
}

/// Thousands of synced batches of one trade a second.
pub fn many(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let db = Arc::new(Db::open(dir.path().join("db"))?);
    let mut bare = BareFile::prepared(&dir.path().join("bare"), 64 << 20)?;
    let batch_bytes = input::one_trade(0)?.encoded_bytes();
    let frame = vec![0x5a; frame_bytes(batch_bytes)];
    let tasks = Builder::new_multi_thread().worker_threads(2).build()?;
    let mut variants = vec![Variant::Bare];
    variants.extend(WRITERS.map(Variant::Threads));
    variants.extend(WRITERS.map(Variant::Tasks));

    let mut rates: Vec<Runs> = vec![Runs::default(); variants.len()];
    let mut cpu: Vec<Vec<f64>> = vec![Vec::new(); variants.len()];
    for _ in 0..setting.runs {
        let mut slices: Vec<Vec<f64>> = vec![Vec::new(); variants.len()];
        for slice in 0..setting.size(SLICES) {
            for at in (0..variants.len()).map(|at| (at + slice as usize) % variants.len()) {
                let (took, count) = match variants[at] {
                    Variant::Bare => alone(&mut bare, &frame)?,
                    Variant::Threads(writers) => threads(&db, writers)?,
                    Variant::Tasks(writers) => on_tasks(&tasks, &db, writers)?,
                };
                slices[at].push(count as f64 / took.wall_seconds / 1e3);
                cpu[at].push(took.cpu_seconds * 1e6 / count as f64);
            }
        }
        for (rates, slices) in rates.iter_mut().zip(&slices) {
            rates.push(median(slices));
        }
    }
    for (at, variant) in variants.iter().enumerate().skip(1) {
        let (writers, what) = match *variant {
            Variant::Bare => continue,
            Variant::Threads(writers) => (writers, "threads, `append(…)?.wait()`"),
            Variant::Tasks(writers) => (writers, "tasks, `submit(…)?.await`"),
        };
        let (name, bare) = (format!("{writers} × bare sync rate"), rates[0].times(writers as f64));
        Line {
            what: &format!("{writers} {what}: synced batches of one trade ({batch_bytes} B)"),
            unit: "k/s",
            measured: &rates[at],
            baseline: Some((&name, &bare)),
            note: format!(
                "{writers} in flight; CPU {:.1} µs a batch, encoding included, bare {:.1} µs; flushes included",
                mean(&cpu[at]),
                mean(&cpu[0]),
            ),
        }
        .print();
    }
    Ok(())
}

fn alone(bare: &mut BareFile, frame: &[u8]) -> Result<(Cost, u64), AnyError> {
    let begun = std::time::Instant::now();
    let (took, count) = cost(|| -> Result<u64, AnyError> {
        let mut count = 0;
        while begun.elapsed() < SLICE {
            bare.write(frame)?;
            count += 1;
        }
        Ok(count)
    });
    Ok((took, count?))
}

fn threads(db: &Db, writers: usize) -> Result<(Cost, u64), AnyError> {
    let (begin, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let write = || -> Result<u64, AnyError> {
        while !begin.load(Ordering::Acquire) {
            thread::park_timeout(Duration::from_millis(1));
        }
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            db.append(input::next_trade()?, Durability::Synced)?.wait()?;
            count += 1;
        }
        Ok(count)
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        let (took, counts) = cost(|| {
            begin.store(true, Ordering::Release);
            running.iter().for_each(|writer| writer.thread().unpark());
            thread::sleep(SLICE);
            stop.store(true, Ordering::Relaxed);
            running.into_iter().map(|writer| writer.join().expect("a writer panicked")).collect::<Vec<_>>()
        });
        Ok((took, counts.into_iter().sum::<Result<u64, AnyError>>()?))
    })
}

fn on_tasks(runtime: &Runtime, db: &Arc<Db>, writers: usize) -> Result<(Cost, u64), AnyError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (took, counts) = cost(|| {
        let mut running = JoinSet::new();
        for _ in 0..writers {
            running.spawn_on(write(Arc::clone(db), Arc::clone(&stop)), runtime.handle());
        }
        thread::sleep(SLICE);
        stop.store(true, Ordering::Relaxed);
        runtime.block_on(running.join_all())
    });
    Ok((took, counts.into_iter().sum::<Result<u64, AnyError>>()?))
}

async fn write(db: Arc<Db>, stop: Arc<AtomicBool>) -> Result<u64, AnyError> {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        db.submit(input::next_trade()?.encode())?.await?;
        count += 1;
    }
    Ok(count)
}
