//! Measures what the design promises as ratios: the variants of a measurement take turns in short slices of one run,
//! and each value stands beside the baseline of the same run.
//!
//! `cargo run --release -p tapebook-benches -- all` prints a Markdown table; `docs/benchmarks.md` explains it. What needs
//! no disk and no turns is measured by `cargo bench -p tapebook-benches`.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement looks at the clock and the disk beside the database"
)]

mod amplification;
mod appends;
mod bare;
mod bulk;
mod consensus;
mod input;
mod insert;
mod kill;
mod log;
mod many_files;
mod measure;
mod points;
mod recovery;
mod report;
mod scan;
mod setting;
mod soak;
mod swallow;
mod writers;

use std::process::{Command, ExitCode};

use setting::Setting;

type AnyError = Box<dyn std::error::Error + Send + Sync>;
type Measurement = fn(&Setting) -> Result<(), AnyError>;

const MEASUREMENTS: [(&str, Measurement); 13] = [
    ("append", appends::one_writer),
    ("writers", writers::many),
    ("consensus", consensus::one_and_three),
    ("log", bulk::log_only),
    ("sustained", bulk::sustained),
    ("insert", insert::through_apply),
    ("points", points::reads),
    ("scan", scan::one_table),
    ("recovery", recovery::open),
    ("kill", kill::under_load),
    ("amplification", amplification::in_order_ticks),
    ("many-files", many_files::open),
    (SOAK, soak::mixed_load),
];

/// Half an hour long and a table of its own, so that `all` leaves it out.
const SOAK: &str = "soak";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<(), AnyError> {
    let names: Vec<&str> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
    let usage = format!(
        "usage: tapebook-benches <{}|all> [--quick] [--runs N] [--kills N] [--dir DIR]; {SOAK} [--minutes N] [--plot FILE.svg]",
        names.join("|")
    );
    if arguments.first().is_some_and(|first| first == kill::WRITER) {
        return kill::write(&arguments[1..]);
    }
    let mut setting = Setting::default();
    let (mut chosen, mut words) = (None, arguments.iter());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => (setting.quick, setting.runs, setting.kills) = (true, 2, 2),
            "--runs" => setting.runs = words.next().ok_or(&*usage)?.parse()?,
            "--minutes" => setting.minutes = Some(words.next().ok_or(&*usage)?.parse()?),
            "--plot" => setting.plot = Some(words.next().ok_or(&*usage)?.into()),
            "--kills" => setting.kills = words.next().ok_or(&*usage)?.parse()?,
            "--dir" => setting.dir = words.next().ok_or(&*usage)?.into(),
            name => chosen = Some(name),
        }
    }
    std::fs::create_dir_all(&setting.dir)?;
    tapebook_vfs::raise_open_files_limit()?;
    let chosen = chosen.ok_or(&*usage)?;
    if chosen == "all" {
        report::head();
        return names
            .iter()
            .filter(|name| **name != SOAK)
            .try_for_each(|name| in_own_process(name, &arguments));
    }
    let (name, measure) = MEASUREMENTS.iter().find(|(name, _)| *name == chosen).ok_or(&*usage)?;
    measure(&setting)?;
    report::print_peak(name);
    Ok(())
}

/// A process of its own for each measurement: none inherits another one's memory, and its peak is its own.
fn in_own_process(name: &str, arguments: &[String]) -> Result<(), AnyError> {
    let arguments = arguments.iter().map(|word| if word == "all" { name } else { word });
    let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed").into()) }
}
