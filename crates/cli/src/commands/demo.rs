//! `tapebook demo`: a simulated market is recorded in a fresh database while SQL looks at it.

#![allow(
    clippy::disallowed_methods,
    reason = "looks whether the user's directory is empty, before anything is opened"
)]

mod audit;
mod board;
mod feed;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapebook::Db;
use tapebook_market::{InstrumentSpec, Market, MarketOptions};
use tempfile::TempDir;

use self::board::{Board, milliseconds};
use self::feed::Feed;
use crate::args::Shared;
use crate::clock::{monotonic, unix_nanos};
use crate::error::{CliError, stdout_error};
use crate::interrupt::Interrupt;
use crate::output::OutputArgs;
use crate::sql::Runner;
use crate::text::count;

/// Instruments that are traded.
const INSTRUMENTS: usize = 8;
/// How often the board is shown.
const SHOWN_EVERY: Duration = Duration::from_secs(1);
/// How long the demonstration sleeps before it looks whether it should end.
const NAP: Duration = Duration::from_millis(20);

/// Arguments of `tapebook demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --data the database lies in a temporary directory, which is removed at the end."
)]
pub(crate) struct DemoArgs {
    /// Ends by itself after so many seconds [default: at Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Where the market's randomness comes from
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// How much happens: events per second, each of a few rows
    #[arg(long, value_name = "EVENTS", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Keeps the temporary directory
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(shared: &Shared, args: &DemoArgs) -> Result<(), CliError> {
    let place = Place::new(shared, args.keep)?;
    let dir = shared.data_dir_at(place.path.clone());
    let interrupt = Interrupt::install()?;
    let db = Arc::new(dir.open_or_create()?);
    let runner = Runner::new(Arc::clone(&db), interrupt)?;
    let begin = monotonic();
    let feed = Feed::new();
    run_market(shared, args, &db, &runner, &feed, &place)?;
    runner.interrupt().clear();
    let holds = summarise(&runner, &feed, monotonic().saturating_sub(begin), args.seed)?;
    drop(runner);
    let closed = Arc::into_inner(db).map_or(Ok(()), Db::close);
    closed.map_err(CliError::failed)?;
    if place.is_kept() {
        let path = place.path.display();
        shared.log(format!("the data is in {path}; look at it with: tapebook sql --data {path}"));
    }
    if holds {
        Ok(())
    } else {
        Err(CliError::failed("an invariant of the market does not hold; see the summary"))
    }
}

/// Where the database of the demonstration lies.
struct Place {
    path: PathBuf,
    /// Removes the directory when it is dropped.
    temporary: Option<TempDir>,
}

impl Place {
    fn new(shared: &Shared, keep: bool) -> Result<Self, CliError> {
        if let Some(path) = &shared.data {
            let used = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
            if used {
                let path = path.display();
                return Err(CliError::failed(format!(
                    "{path}: not empty; the demonstration begins a database of its own"
                )));
            }
            return Ok(Self { path: path.clone(), temporary: None });
        }
        let temporary = tempfile::Builder::new().prefix("tapebook-demo-").tempdir();
        let temporary = temporary.map_err(|error| {
            CliError::failed(format!("cannot make a temporary directory: {error}; choose one with --data"))
        })?;
        let path = temporary.path().to_owned();
        if keep {
            return Ok(Self { path: temporary.keep(), temporary: None });
        }
        Ok(Self { path, temporary: Some(temporary) })
    }

    fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    fn describe(&self) -> String {
        let path = self.path.display();
        match self.is_kept() {
            true => format!("data directory {path}; afterwards: tapebook sql --data {path}"),
            false => format!("data directory {path}, removed at the end; --keep keeps it"),
        }
    }
}

/// Feeds the market in one thread and shows it in this one, until somebody or something ends it.
fn run_market(
    shared: &Shared,
    args: &DemoArgs,
    db: &Db,
    runner: &Runner,
    feed: &Feed,
    place: &Place,
) -> Result<(), CliError> {
    let mut market = market(args)?;
    let mut board = Board::new(place.describe(), shared.quiet);
    shared.log(place.describe());
    std::thread::scope(|scope| {
        let feeding = scope.spawn(move || feed.run(db, &mut market));
        let begin = monotonic();
        let end = args.seconds.map(|seconds| begin + Duration::from_secs(seconds));
        let mut shown_at = begin;
        let mut result = Ok(());
        while !feeding.is_finished() && !runner.interrupt().is_requested() {
            let now = monotonic();
            if end.is_some_and(|end| now >= end) {
                break;
            }
            if now >= shown_at + SHOWN_EVERY {
                result = board.show(runner, feed, now.saturating_sub(begin), now.saturating_sub(shown_at));
                shown_at = now;
            }
            if result.is_err() {
                break;
            }
            db.vfs().clock().sleep(NAP);
        }
        feed.stop();
        match feeding.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(CliError::failed(error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        // A query that Ctrl-C cancelled is no failure.
        if runner.interrupt().is_requested() { Ok(()) } else { result }
    })
}

fn market(args: &DemoArgs) -> Result<Market, CliError> {
    let mut instruments = InstrumentSpec::defaults(INSTRUMENTS);
    let usual: f64 = instruments.iter().map(|spec| spec.events_per_second).sum();
    for spec in &mut instruments {
        spec.events_per_second *= f64::from(args.rate) / usual;
    }
    let options =
        MarketOptions { seed: args.seed, instruments, start_ts: unix_nanos(), ..MarketOptions::default() };
    Market::new(options).map_err(CliError::failed)
}

/// Prints what was recorded and whether it agrees with itself; true where it does.
fn summarise(runner: &Runner, feed: &Feed, took: Duration, seed: u64) -> Result<bool, CliError> {
    let mut out = io::stdout();
    let mut line = |text: String| writeln!(out, "{text}").map_err(|error| stdout_error(&error));
    line(format!("the demonstration ran for {:.1} s with seed {seed}", took.as_secs_f64()))?;
    let sql = "SELECT name AS \"table\", symbols, rows FROM sys.tables WHERE rows > 0 ORDER BY table_id";
    runner.run(sql, &OutputArgs::default())?;
    let latency = feed.latency();
    line(format!(
        "{}, {}; synced append p50 {}, p99 {}, max {}",
        count(feed.rows.load(std::sync::atomic::Ordering::Relaxed), "row"),
        count(latency.total(), "append"),
        milliseconds(latency.quantile(0.5)),
        milliseconds(latency.quantile(0.99)),
        milliseconds(latency.max()),
    ))?;
    let findings = audit::audit(runner)?;
    for finding in &findings {
        line(format!("{}: {}", if finding.holds { "ok" } else { "WRONG" }, finding.text))?;
    }
    Ok(findings.iter().all(|finding| finding.holds))
}
