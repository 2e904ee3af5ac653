//! Runs Tapebook beside RocksDB, fjall and redb: the same records, the same durability, the same disk, one run.
//!
//! `cargo run --release -- all` prints the tables, `--markdown FILE` writes them for `docs/benchmarks.md`. What is
//! compared how, and which choices were made for each engine, is in `README.md` and at the head of `engine/*.rs`.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement looks at the clock and the disk beside the databases"
)]

mod append;
#[allow(dead_code, reason = "shared with the project's own benchmarks")]
#[path = "../../engine/src/bare.rs"]
mod bare;
mod bulk;
mod engine;
mod gather;
mod histogram;
mod ingest;
mod input;
mod key;
mod loaded;
mod machine;
#[allow(dead_code, reason = "shared with the project's own benchmarks")]
#[path = "../../engine/src/measure.rs"]
mod measure;
mod points;
mod report;
mod scan;
mod setting;
mod slices;
mod small;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use setting::Setting;

type AnyError = Box<dyn std::error::Error + Send + Sync>;
type Measurement = fn(&Setting) -> Result<(), AnyError>;

const MEASUREMENTS: [(&str, Measurement); 6] = [
    ("append", append::synced),
    ("ingest", ingest::in_order),
    ("late", ingest::late),
    ("bulk", bulk::sorted),
    ("points", points::reads),
    ("scan", scan::ranges),
];

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
        "usage: tapebook-peers <{}|all> [--quick] [--rounds N] [--dir DIR] [--markdown FILE]",
        names.join("|")
    );
    let mut setting =
        Setting { dir: PathBuf::from("target/peers-data"), rounds: 3, quick: false, markdown: None };
    let (mut chosen, mut words) = (None, arguments.iter());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => (setting.quick, setting.rounds) = (true, 1),
            "--rounds" => setting.rounds = words.next().ok_or(&*usage)?.parse()?,
            "--dir" => setting.dir = words.next().ok_or(&*usage)?.into(),
            "--markdown" => setting.markdown = Some(words.next().ok_or(&*usage)?.into()),
            name => chosen = Some(name),
        }
    }
    let chosen = chosen.ok_or(&*usage)?;
    if setting.rounds == 0 {
        return Err("--rounds must be at least 1".into());
    }
    std::fs::create_dir_all(&setting.dir)?;
    if chosen == "all" {
        if let Some(path) = &setting.markdown {
            std::fs::write(path, "")?;
        }
        machine::describe(&setting.dir, setting.rounds, setting.quick).publish(&setting)?;
        return names.iter().try_for_each(|name| in_own_process(name, &arguments));
    }
    let (_, measure) = MEASUREMENTS.iter().find(|(name, _)| *name == chosen).ok_or(&*usage)?;
    measure(&setting)
}

/// A process of its own for each measurement: none inherits another one's memory or threads.
fn in_own_process(name: &str, arguments: &[String]) -> Result<(), AnyError> {
    let arguments = arguments.iter().map(|word| if word == "all" { name } else { word });
    let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed").into()) }
}
