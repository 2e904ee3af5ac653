//! Opening a database whose process was killed under full load: within the recovery target, and with every receipt.
//!
//! The program starts itself as the process that writes. That one tells over a pipe up to which sequence it has receipts,
//! and is killed with `SIGKILL` after a random time. What it wrote stays in the page cache, so a kill says nothing about
//! power cuts; those are simulated elsewhere.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tapebook::{Db, Options, PendingAppend, SeqRange, StandardTable, Trade, verify};
use tapebook_market::random::Random;
use tapebook_vfs::{RealVfs, Vfs};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::AnyError;
use crate::input::{SYMBOLS, Trades, next_trade};
use crate::measure::{Runs, cost};
use crate::report::Line;
use crate::setting::Setting;

/// The first argument of the process that writes.
pub const WRITER: &str = "kill-writer";
/// Often enough that little is acknowledged without being told, and so seldom that it takes nothing from the load.
const TELL_EVERY: Duration = Duration::from_millis(1);
/// How long the load lasts: random between these.
const LOAD_MILLIS: std::ops::Range<u64> = 1_000..5_000;
const SEED: u64 = 1;
const TASKS: usize = 64;
const BATCH_ROWS: usize = 1_000;
/// Batches of [`BATCH_ROWS`] that wait for their receipts at once.
const IN_FLIGHT: usize = 16;

/// What is written, by its name as an argument and in the table.
const LOADS: [(&str, &str); 2] =
    [("trades", "64 tasks, batches of one trade"), ("batches", "batches of 1,000 trades, 16 in flight")];

/// Seconds that opening takes after a kill, beside the default target.
pub fn under_load(setting: &Setting) -> Result<(), AnyError> {
    let target = Options::default().recovery_target.as_secs_f64();
    for (load, what) in LOADS {
        let mut random = Random::new(SEED);
        let (mut seconds, mut mib, mut entries) = (Runs::default(), Runs::default(), Runs::default());
        let mut receipts = 0;
        for _ in 0..setting.kills {
            let load_millis = LOAD_MILLIS.start + random.below(LOAD_MILLIS.end - LOAD_MILLIS.start);
            let killed = kill_and_open(setting, load, Duration::from_millis(load_millis))?;
            seconds.push(killed.open_seconds);
            mib.push(killed.replayed_bytes as f64 / f64::from(1 << 20));
            entries.push(killed.replayed_entries as f64);
            receipts += killed.acknowledged;
        }
        Line {
            what: &format!("open after `kill -9` under load, {what}, {} kills", setting.kills),
            unit: "s",
            measured: &seconds,
            baseline: Some(("`Options::recovery_target`", &seconds.constant(target))),
            note: format!(
                "replayed {mib} MiB of payloads in {entries} entries; {receipts} rows were acknowledged, all are \
                 there; every directory verified"
            ),
        }
        .print();
    }
    Ok(())
}

struct Killed {
    open_seconds: f64,
    replayed_bytes: u64,
    replayed_entries: u64,
    /// Rows with a receipt.
    acknowledged: u64,
}

fn kill_and_open(setting: &Setting, load: &str, after: Duration) -> Result<Killed, AnyError> {
    let scratch = setting.scratch()?;
    let dir = scratch.path();
    let mut writer = Command::new(std::env::current_exe()?)
        .args([WRITER, load])
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let told = writer.stdout.take().ok_or("the writer has no output")?;
    let listener = thread::spawn(move || last_told(told));
    thread::sleep(after);
    writer.kill()?;
    let status = writer.wait()?;
    if status.code().is_some() {
        return Err(format!("the writer ended by itself: {status}").into());
    }
    let acknowledged = listener.join().map_err(|_| "the listener panicked")??;

    let (open, db) = cost(|| Db::open(dir));
    let db = db?;
    let snapshot = db.snapshot();
    let last_seq = snapshot.visible_seq();
    if acknowledged == 0 || last_seq < acknowledged {
        return Err(
            format!("sequence {acknowledged} was acknowledged, the journal ends at {last_seq}").into()
        );
    }
    let all = SeqRange { first: 1, last: last_seq };
    let rows = snapshot.count_rows(<Trade<'_> as StandardTable>::ID, all)?;
    if rows != last_seq {
        return Err(format!("{rows} rows of {last_seq} are there").into());
    }
    let report = db.open_report().clone();
    drop(snapshot);
    db.close()?;
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    if let Some(problem) = verify(&vfs, dir, "kill")?.problems.first() {
        return Err(problem.clone().into());
    }
    Ok(Killed {
        open_seconds: open.wall_seconds,
        replayed_bytes: report.replayed_bytes,
        replayed_entries: report.replayed_entries,
        acknowledged,
    })
}

/// The last whole number that came; the kill may cut the one behind it.
fn last_told(mut told: impl Read) -> io::Result<u64> {
    let (mut number, mut last) = ([0; 8], 0);
    loop {
        match told.read_exact(&mut number) {
            Ok(()) => last = u64::from_le_bytes(number),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(last),
            Err(error) => return Err(error),
        }
    }
}

/// The process that is killed: writes until then.
pub fn write(arguments: &[String]) -> Result<(), AnyError> {
    let [load, dir] = arguments else { return Err("a load and a directory are expected".into()) };
    let db = Arc::new(Db::open(Path::new(dir))?);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&acknowledged);
    thread::spawn(move || tell(&told));
    if load == LOADS[0].0 { one_trade_each(&db, &acknowledged) } else { large_batches(&db, &acknowledged) }
}

fn tell(acknowledged: &AtomicU64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    loop {
        thread::sleep(TELL_EVERY);
        out.write_all(&acknowledged.load(Ordering::Acquire).to_le_bytes())?;
        out.flush()?;
    }
}

fn one_trade_each(db: &Arc<Db>, acknowledged: &Arc<AtomicU64>) -> Result<(), AnyError> {
    let runtime = Builder::new_multi_thread().worker_threads(2).build()?;
    let mut running = JoinSet::new();
    for _ in 0..TASKS {
        running.spawn_on(trade_after_trade(Arc::clone(db), Arc::clone(acknowledged)), runtime.handle());
    }
    match runtime.block_on(running.join_next()) {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

async fn trade_after_trade(db: Arc<Db>, acknowledged: Arc<AtomicU64>) -> Result<(), AnyError> {
    loop {
        let receipt = db.submit(next_trade()?.encode())?.await?;
        acknowledged.fetch_max(receipt.last_seq, Ordering::AcqRel);
    }
}

fn large_batches(db: &Db, acknowledged: &AtomicU64) -> Result<(), AnyError> {
    let mut trades = Trades::new(SYMBOLS)?;
    let mut waiting: VecDeque<PendingAppend> = VecDeque::with_capacity(IN_FLIGHT);
    loop {
        if waiting.len() == IN_FLIGHT
            && let Some(first) = waiting.pop_front()
        {
            acknowledged.fetch_max(first.wait()?.last_seq, Ordering::AcqRel);
        }
        waiting.push_back(db.submit(trades.batch(BATCH_ROWS, |_| {})?)?);
    }
}
