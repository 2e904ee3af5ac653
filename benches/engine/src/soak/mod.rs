//! A long run under mixed load: nothing may grow but the data itself, and what grows with it is dropped in time.
//!
//! Quotes and trades of 2,000 symbols come at a fixed rate, 5 % of them late by up to a day, and now and then a batch is
//! sent again. A day of event time is over in a minute, and the wall clock that the database sees runs with it: so
//! within a few minutes days become history and old ones are dropped, and each minute has one whole day in it. Each
//! minute makes a row of a CSV table; at the end stands how each figure changes in ten minutes, from the fifth on.

mod clock;
mod figures;
mod load;
mod plot;
mod trend;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tapebook::{CompactionOptions, Db, DbStats, Options, RetentionOptions, RetentionPolicy, ScrubOptions};
use tapebook_vfs::RealVfs;

use self::clock::EventClock;
use self::figures::{Minute, Table};
use self::load::Load;
use crate::AnyError;
use crate::measure::{io_counter, process_seconds};
use crate::setting::Setting;

const SYMBOLS: u32 = 2_000;
const LATE_SHARE: f64 = 0.05;
const BATCH_ROWS: usize = 200;
const ROWS_PER_SECOND: u64 = 40_000;
/// So much event time passes in a second: a day in a minute.
const EVENT_SECONDS: u32 = 24 * 60;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A midnight, so that a minute is a day.
const BEGAN_AT: i64 = 1_723_161_600_000_000_000;
const MINUTES: u64 = 30;
/// Until then files and memory fill up, and the first day is dropped.
const SETTLED_MINUTES: usize = 5;

/// The defaults, but for what is in proportion to event time.
fn options() -> Options {
    Options {
        vfs: Arc::new(RealVfs::with_clock(EventClock::new(BEGAN_AT, EVENT_SECONDS))),
        // A day has some twenty flushes, so that one comes within `late_allowance` while late rows still come.
        memtable_bytes: 16 << 20,
        compaction: CompactionOptions {
            late_allowance: Some(real_time(DAY / 12)),
            ..CompactionOptions::default()
        },
        // Two days of late rows and SSTables, then one or two of history, which are dropped as the next one is written.
        retention: RetentionOptions {
            default: RetentionPolicy { age_max: Some(DAY * 3), ..RetentionPolicy::default() },
            ..RetentionOptions::default()
        },
        journal_retention: Some(DAY),
        scrub: ScrubOptions { every: Some(real_time(DAY)), ..ScrubOptions::default() },
        ..Options::default()
    }
}

/// How long so much event time takes.
fn real_time(event_time: Duration) -> Duration {
    event_time / EVENT_SECONDS
}

/// Runs for half an hour, or as many minutes as are asked for.
pub fn mixed_load(setting: &Setting) -> Result<(), AnyError> {
    let scratch = setting.scratch()?;
    let dir = scratch.path().join("db");
    let mut load = Load::new(&scratch.path().join("bare"))?;
    let db = Db::open_with(&dir, options())?;
    let began = Instant::now();
    let mut table = Table::default();
    println!("{}", Table::header());
    for minute in 1..=setting.minutes.unwrap_or(MINUTES) {
        let mut figures = Minute::default();
        let (cpu, written) = (process_seconds(), io_counter("wchar"));
        let (batch_bytes, bare_bytes) = (load.batch_bytes, load.bare_bytes);
        for second in (minute - 1) * 60 + 1..=minute * 60 {
            while began.elapsed() < Duration::from_secs(second) {
                load.send(&db, &mut figures)?;
                let due = Duration::from_secs_f64(load.rows as f64 / ROWS_PER_SECOND as f64);
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            load.read(&db)?;
            figures.look(&db, &dir)?;
        }
        figures.cpu_seconds = process_seconds() - cpu;
        let written = io_counter("wchar") - written - (load.bare_bytes - bare_bytes);
        figures.write_amplification = written as f64 / (load.batch_bytes - batch_bytes) as f64;
        println!("{}", table.push(&figures));
        check(&db.stats())?;
    }
    for (figure, trend) in table.trends(SETTLED_MINUTES) {
        println!("# {figure}: {trend} in ten minutes");
    }
    print_work(&db.stats());
    db.close()?;
    match &setting.plot {
        Some(path) => plot::draw(path, &table, SETTLED_MINUTES),
        None => Ok(()),
    }
}

/// An error where the database says that something is wrong.
fn check(stats: &DbStats) -> Result<(), AnyError> {
    let failing = [&stats.flush_failing, &stats.leftovers, &stats.compaction.failing];
    let failing = failing.into_iter().flatten().chain(&stats.scrub.problems);
    let wrong: Vec<&str> = failing.map(String::as_str).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}

/// What was done in the background, so that nobody takes an idle database for a steady one.
fn print_work(stats: &DbStats) {
    let DbStats { compaction, scrub, .. } = stats;
    println!(
        "# {} moves, {} merges, {} conversions to history, {:.1} M rows dropped in {} steps; {} passes of the scrubber; {} appends \
         waited {:.1} s for a flush",
        compaction.moves,
        compaction.merges,
        compaction.conversions,
        compaction.dropped_rows as f64 / 1e6,
        compaction.drops,
        scrub.passes,
        stats.stalls,
        stats.stall_time.as_secs_f64(),
    );
}
