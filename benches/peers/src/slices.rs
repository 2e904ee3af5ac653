//! A slice of a measurement: some writers for a moment, with the latency of each write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::AnyError;
use crate::bare::BareFile;
use crate::engine::Engine;
use crate::gather::Gatherer;
use crate::histogram::Histogram;
use crate::measure::{Cost, cost};
use crate::small::SmallTrade;

/// What a slice came to: how long it took, and how long each write took.
pub struct Slice {
    /// Of the whole process.
    pub took: Cost,
    /// Of each write.
    pub latencies: Histogram,
}

/// One writer of bare bytes into a prepared file.
pub fn bare(file: &mut BareFile, bytes: &[u8], length: Duration) -> Result<Slice, AnyError> {
    let mut latencies = Histogram::default();
    let (took, done) = cost(|| -> Result<(), AnyError> {
        let begun = Instant::now();
        while begun.elapsed() < length {
            timed(&mut latencies, || file.write(bytes))?;
        }
        Ok(())
    });
    done?;
    Ok(Slice { took, latencies })
}

/// Threads that write one trade at a time through the engine's own interface.
pub fn threads(
    engine: &dyn Engine,
    counter: &AtomicU64,
    writers: usize,
    length: Duration,
) -> Result<Slice, AnyError> {
    let (begin, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let write = || -> Result<Histogram, AnyError> {
        let mut latencies = Histogram::default();
        while !begin.load(Ordering::Acquire) {
            thread::park_timeout(Duration::from_millis(1));
        }
        while !stop.load(Ordering::Relaxed) {
            let trade = SmallTrade::next(counter);
            timed(&mut latencies, || engine.append(&[trade]))?;
        }
        Ok(latencies)
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        let (took, counted) = cost(|| {
            begin.store(true, Ordering::Release);
            running.iter().for_each(|writer| writer.thread().unpark());
            thread::sleep(length);
            stop.store(true, Ordering::Relaxed);
            running
                .into_iter()
                .map(|writer| writer.join().unwrap_or_else(|_| Err("a writer panicked".into())))
                .collect::<Result<Vec<_>, AnyError>>()
        });
        Ok(Slice { took, latencies: merged(counted?) })
    })
}

/// Tasks that await the receipt of one trade at a time; only Tapebook can be awaited.
pub fn tasks(
    runtime: &Runtime,
    engine: &Arc<dyn Engine>,
    counter: &Arc<AtomicU64>,
    writers: usize,
    length: Duration,
) -> Result<Slice, AnyError> {
    let write = |stop: Arc<AtomicBool>| {
        let (engine, counter) = (Arc::clone(engine), Arc::clone(counter));
        async move {
            let db = engine.tapebook().ok_or("this engine has no futures")?;
            let mut latencies = Histogram::default();
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let mut batch = tapebook::Batch::new();
                SmallTrade::next(&counter).push_to(&mut batch)?;
                db.submit(batch.encode())?.await?;
                latencies.record(nanos(begun));
            }
            Ok(latencies)
        }
    };
    on_runtime(runtime, writers, length, write)
}

/// Tasks that hand one trade at a time to a writer who gathers what waits.
pub fn gathered(
    runtime: &Runtime,
    gatherer: &Gatherer,
    counter: &Arc<AtomicU64>,
    writers: usize,
    length: Duration,
) -> Result<Slice, AnyError> {
    let write = |stop: Arc<AtomicBool>| {
        let (handle, counter) = (gatherer.handle(), Arc::clone(counter));
        async move {
            let mut latencies = Histogram::default();
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                handle.append(SmallTrade::next(&counter)).await?;
                latencies.record(nanos(begun));
            }
            Ok(latencies)
        }
    };
    on_runtime(runtime, writers, length, write)
}

fn on_runtime<F>(
    runtime: &Runtime,
    writers: usize,
    length: Duration,
    write: impl Fn(Arc<AtomicBool>) -> F,
) -> Result<Slice, AnyError>
where
    F: Future<Output = Result<Histogram, AnyError>> + Send + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    let (took, counted) = cost(|| {
        let mut running = JoinSet::new();
        for _ in 0..writers {
            running.spawn_on(write(Arc::clone(&stop)), runtime.handle());
        }
        thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        runtime.block_on(running.join_all())
    });
    Ok(Slice { took, latencies: merged(counted.into_iter().collect::<Result<Vec<_>, AnyError>>()?) })
}

fn timed(latencies: &mut Histogram, write: impl FnOnce() -> Result<(), AnyError>) -> Result<(), AnyError> {
    let begun = Instant::now();
    write()?;
    latencies.record(nanos(begun));
    Ok(())
}

fn nanos(begun: Instant) -> u64 {
    begun.elapsed().as_nanos() as u64
}

fn merged(all: Vec<Histogram>) -> Histogram {
    let mut sum = Histogram::default();
    all.iter().for_each(|latencies| sum.add(latencies));
    sum
}
