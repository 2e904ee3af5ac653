//! The command `tapebook-sim`: runs fault schedules and says what they came across.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use tapebook_sim::{Group, Outcome, PlantedBug, Totals, Violation};

const USAGE: &str = "\
tapebook-sim --seeds N [--from SEED] [--plant BUG]    runs N schedules; exit code 1 where one finds a broken promise
tapebook-sim --seed SEED [--plant BUG]                runs one and shows what happens in it
tapebook-sim --cluster [--seconds S] --seeds N …      the same with three nodes, S simulated seconds each (default 20)";

/// Simulated seconds of a cluster.
const CLUSTER_SECONDS: u64 = 20;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Arguments {
    seed: Option<u64>,
    seeds: Option<u64>,
    from: u64,
    bug: Option<PlantedBug>,
    /// Three nodes, for so many simulated seconds.
    cluster: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("tapebook-sim: {reason}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match (arguments.seed, arguments.seeds) {
        (Some(seed), None) if let Some(seconds) = arguments.cluster => clusters(seed, 1, seconds, true),
        (None, Some(seeds)) if let Some(seconds) = arguments.cluster => {
            clusters(arguments.from, seeds, seconds, false)
        }
        (Some(seed), None) => show(seed, arguments.bug),
        (None, Some(seeds)) => run(&arguments, seeds),
        _ => {
            eprintln!("tapebook-sim: give --seeds or --seed\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        if word == "--cluster" {
            arguments.cluster.get_or_insert(CLUSTER_SECONDS);
            continue;
        }
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word}: {value:?} is not a number"));
        match &*word {
            "--seed" => arguments.seed = Some(number()?),
            "--seeds" => arguments.seeds = Some(number()?),
            "--from" => arguments.from = number()?,
            "--seconds" => arguments.cluster = Some(number()?),
            "--plant" => {
                let known: Vec<&str> =
                    PlantedBug::ALL.iter().filter(|bug| bug.is_available()).map(|bug| bug.name()).collect();
                let bug = PlantedBug::named(&value);
                arguments.bug =
                    Some(bug.ok_or_else(|| format!("--plant {value}: not one of {}", known.join(", ")))?);
            }
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(arguments)
}

fn show(seed: u64, bug: Option<PlantedBug>) -> ExitCode {
    match tapebook_sim::show_seed(seed, bug) {
        Ok(Outcome { hash, totals }) => {
            println!("{totals}seed {seed}: no violation, trace {hash:016x}");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("VIOLATION {violation}");
            ExitCode::FAILURE
        }
    }
}

/// Runs schedules of a cluster.
#[allow(clippy::disallowed_methods, reason = "it measures itself, not what it simulates")]
fn clusters(from: u64, seeds: u64, seconds: u64, shown: bool) -> ExitCode {
    let began = Instant::now();
    let (mut receipts, mut retries, mut elections, mut snapshots, mut violations) = (0, 0, 0, 0, 0);
    let mut faults = BTreeMap::<&str, u64>::new();
    for seed in from..from + seeds {
        match tapebook_sim::check_cluster(seed, seconds, shown) {
            Ok(outcome) => {
                receipts += outcome.receipts;
                retries += outcome.retries;
                elections += outcome.elections;
                snapshots += outcome.snapshots;
                outcome
                    .faults
                    .into_iter()
                    .for_each(|(name, count)| *faults.entry(name).or_default() += count);
                if shown {
                    println!("seed {seed}: no violation, trace {:016x}", outcome.hash);
                }
            }
            Err(violation) => {
                violations += 1;
                println!(
                    "VIOLATION {violation}\n  replay: tapebook-sim --cluster --seconds {seconds} --seed {seed}"
                );
            }
        }
    }
    let faults: Vec<String> = faults.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
    println!("faults: {}", faults.join(", "));
    println!(
        "{seeds} clusters from seed {from}, {} simulated seconds, {receipts} receipts, {retries} batches sent again, \
         {elections} leaders, {snapshots} snapshots, {violations} violations, {:.1} s",
        seeds * seconds,
        began.elapsed().as_secs_f64()
    );
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::disallowed_methods, reason = "it measures itself, not what it simulates")]
fn run(arguments: &Arguments, seeds: u64) -> ExitCode {
    let began = Instant::now();
    let mut totals = Totals::default();
    let mut violations: Vec<Violation> = Vec::new();
    for seed in arguments.from..arguments.from + seeds {
        let checked = match arguments.bug {
            Some(bug) => tapebook_sim::check_planted(seed, bug),
            None => tapebook_sim::check_seed(seed),
        };
        match checked {
            Ok(outcome) => totals.add(&outcome.totals),
            Err(violation) => {
                let plant = arguments.bug.map(|bug| format!(" --plant {bug}")).unwrap_or_default();
                println!("VIOLATION {violation}\n  replay: tapebook-sim --seed {seed}{plant}");
                violations.push(violation);
            }
        }
    }
    print!("{totals}");
    println!(
        "{seeds} schedules from seed {}, {} operations, {} ends of a process ({} power cuts), {} faults, {} damaged files, \
         {} violations, {:.1} s",
        arguments.from,
        totals.sum(Group::Operation),
        totals.sum(Group::End),
        totals.of(Group::End, "power cut"),
        totals.sum(Group::Fault),
        totals.sum(Group::Damage),
        violations.len(),
        began.elapsed().as_secs_f64()
    );
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
