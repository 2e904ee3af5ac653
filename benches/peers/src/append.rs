//! One small trade at a time, each durable before the next: one writer, and 64 in flight.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::AnyError;
use crate::bare::BareFile;
use crate::engine::{self, Engine};
use crate::gather::Gatherer;
use crate::histogram::Histogram;
use crate::input::Source;
use crate::measure::{Runs, device_bytes, io_counter, mean, median};
use crate::report::Table;
use crate::setting::Setting;
use crate::slices::{self, Slice};
use crate::small::SMALL_BYTES;

const IN_FLIGHT: usize = 64;
const SLICES: u64 = 8;
/// Rows that each database has before: enough that every log that is used again has been used before.
const ROWS_BEFORE: u64 = 2_000_000;

/// How trades come to an engine.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Bare,
    /// So many threads that call the engine.
    Threads(usize),
    /// 64 tasks that await the engine.
    Tasks,
    /// 64 tasks behind a thread that gathers what waits.
    Gathered,
}

struct Variant {
    way: Way,
    /// Position in [`engine::ALL`]; of no meaning for the bare file.
    engine: usize,
    /// One for each round.
    rates: Vec<f64>,
    slices: Vec<f64>,
    latencies: Histogram,
    cpu: Vec<f64>,
    passed: u64,
    device: u64,
}

/// A database with what belongs to it.
struct Place {
    engine: Arc<dyn Engine>,
    counter: Arc<AtomicU64>,
    gatherer: Gatherer,
}

/// Thousands of synced appends a second.
pub fn synced(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let length = Duration::from_millis(if setting.quick { 50 } else { 200 });
    let runtime = Builder::new_multi_thread().worker_threads(2).build()?;
    let mut file = BareFile::prepared(&dir.path().join("bare"), 64 << 20)?;
    let mut source = Source::ticks(0.0, 1)?;
    let before = source.batches(setting.size(ROWS_BEFORE))?;
    let mut places = Vec::new();
    for kind in engine::ALL {
        let engine = kind.open(&dir.path().join(kind.name()))?;
        before.iter().try_for_each(|rows| engine.write(rows))?;
        engine::settle(engine.as_ref())?;
        let gatherer = Gatherer::start(Arc::clone(&engine));
        places.push(Place { engine, counter: Arc::default(), gatherer });
    }
    let trades_before: u64 = counted(&places[0])?;
    drop(before);

    let mut variants = variants();
    let count = variants.len();
    for _ in 0..setting.rounds {
        for slice in 0..setting.size(SLICES).max(2) as usize {
            // Another one begins each time, so that none always follows the same one.
            for at in (0..count).map(|at| (at + slice * 5) % count) {
                let variant = &mut variants[at];
                let (passed, device) = (io_counter("wchar"), device_bytes(dir.path()).unwrap_or(0));
                let slice = measure(variant, &places, &mut file, &runtime, length)?;
                variant.passed += io_counter("wchar") - passed;
                variant.device += device_bytes(dir.path()).unwrap_or(0) - device;
                let count = slice.latencies.total();
                variant.slices.push(count as f64 / slice.took.wall_seconds / 1e3);
                variant.cpu.push(slice.took.cpu_seconds * 1e6 / count as f64);
                variant.latencies.add(&slice.latencies);
            }
        }
        for variant in &mut variants {
            variant.rates.push(median(&variant.slices));
            variant.slices.clear();
        }
    }
    check(&variants, &places, trades_before)?;
    publish(setting, &variants)
}

fn variants() -> Vec<Variant> {
    let new = |way, engine| Variant {
        way,
        engine,
        rates: Vec::new(),
        slices: Vec::new(),
        latencies: Histogram::default(),
        cpu: Vec::new(),
        passed: 0,
        device: 0,
    };
    let engines = 0..engine::ALL.len();
    let mut variants = vec![new(Way::Bare, 0)];
    variants.extend(engines.clone().map(|at| new(Way::Threads(1), at)));
    variants.extend(engines.clone().map(|at| new(Way::Threads(IN_FLIGHT), at)));
    variants.push(new(Way::Tasks, 0));
    variants.extend(engines.map(|at| new(Way::Gathered, at)));
    variants
}

fn measure(
    variant: &Variant,
    places: &[Place],
    file: &mut BareFile,
    runtime: &Runtime,
    length: Duration,
) -> Result<Slice, AnyError> {
    let Place { engine, counter, gatherer } = &places[variant.engine];
    match variant.way {
        Way::Bare => slices::bare(file, &[0x5a; SMALL_BYTES], length),
        Way::Threads(writers) => slices::threads(engine.as_ref(), counter, writers, length),
        Way::Tasks => slices::tasks(runtime, engine, counter, IN_FLIGHT, length),
        Way::Gathered => slices::gathered(runtime, gatherer, counter, IN_FLIGHT, length),
    }
}

/// Trades that a database has.
fn counted(place: &Place) -> Result<u64, AnyError> {
    Ok(place.engine.reader()?.scan_table()?.rows)
}

/// Everything that was acknowledged is there, and nothing else.
fn check(variants: &[Variant], places: &[Place], before: u64) -> Result<(), AnyError> {
    for (at, (place, kind)) in places.iter().zip(engine::ALL).enumerate() {
        let of_engine = variants.iter().filter(|variant| variant.way != Way::Bare && variant.engine == at);
        let acknowledged: u64 = of_engine.map(|variant| variant.latencies.total()).sum();
        let found = counted(place)?;
        if found != before + acknowledged {
            return Err(format!(
                "{}: {found} trades, but {before} were there before and {acknowledged} were acknowledged",
                kind.name()
            )
            .into());
        }
    }
    Ok(())
}

fn publish(setting: &Setting, variants: &[Variant]) -> Result<(), AnyError> {
    let bare = runs(&variants[0].rates);
    let mut table = Table::new(
        format!("Synced appends of one record of {SMALL_BYTES} bytes"),
        &[
            "in flight",
            "engine",
            "k/s",
            "of bare rate",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "max µs",
            "CPU µs",
            "B passed",
            "B to device",
        ],
    );
    for variant in variants {
        let count = variant.latencies.total();
        let micros = |nanos: u64| format!("{:.0}", nanos as f64 / 1e3);
        let each = |bytes: u64| format!("{:.0}", bytes as f64 / count as f64);
        table.row(vec![
            variant.way.name().to_owned(),
            variant.engine_name().to_owned(),
            runs(&variant.rates).to_string(),
            runs(&variant.rates).over(&bare).to_string(),
            micros(variant.latencies.quantile(0.5)),
            micros(variant.latencies.quantile(0.99)),
            micros(variant.latencies.quantile(0.999)),
            micros(variant.latencies.greatest()),
            format!("{:.1}", mean(&variant.cpu)),
            each(variant.passed),
            each(variant.device),
        ]);
    }
    budgets(&mut table, variants);
    table.note(format!(
        "Each value is the median of the rounds `[least–greatest]`; a round is the median of {} slices that take turns. \
         Latencies are those of all rounds. CPU, bytes passed to write calls and bytes given to the device are for each \
         append, those of the whole process or device; making and encoding the record is inside.",
        setting.size(SLICES).max(2)
    ));
    table.note(format!(
        "Every database holds {} rows before; afterwards each one is read, and has as many trades as were acknowledged.",
        setting.size(ROWS_BEFORE)
    ));
    table.publish(setting)
}

fn runs(values: &[f64]) -> Runs {
    values.iter().copied().collect()
}

/// Ratios that DESIGN.md promises, and those beside them.
fn budgets(table: &mut Table, variants: &[Variant]) {
    let of = |way: Way, engine: usize| {
        variants
            .iter()
            .find(|variant| variant.way == way && variant.engine == engine)
            .map(|found| &found.rates)
    };
    let best = |way: Way| {
        let peers = variants.iter().filter(|variant| variant.way == way && variant.engine > 0);
        peers.max_by(|a, b| median(&a.rates).total_cmp(&median(&b.rates)))
    };
    let threads = Way::Threads(IN_FLIGHT);
    let ratios = [
        (
            "64 in flight, tasks against threads: Tapebook / best of the others (budget ≥ 3)",
            of(Way::Tasks, 0),
            best(threads),
        ),
        ("64 in flight, threads on both sides: Tapebook / best of the others", of(threads, 0), best(threads)),
        (
            "64 in flight, the others behind a gathering thread of the caller's: Tapebook's tasks / best of them",
            of(Way::Tasks, 0),
            best(Way::Gathered),
        ),
        ("one in flight: Tapebook / best of the others", of(Way::Threads(1), 0), best(Way::Threads(1))),
    ];
    for (what, ours, best) in ratios {
        if let (Some(ours), Some(best)) = (ours, best) {
            table.note(format!(
                "{what}: **{}**, the best is {}.",
                runs(ours).over(&runs(&best.rates)),
                best.engine_name()
            ));
        }
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "1, `pwrite` + `fdatasync`",
            Self::Threads(1) => "1 thread",
            Self::Threads(_) => "64 threads",
            Self::Tasks => "64 tasks",
            Self::Gathered => "64 tasks, gathered by the caller",
        }
    }
}

impl Variant {
    fn engine_name(&self) -> &'static str {
        if self.way == Way::Bare {
            "bare file"
        } else {
            engine::ALL.get(self.engine).map_or("", |kind| kind.name())
        }
    }
}
