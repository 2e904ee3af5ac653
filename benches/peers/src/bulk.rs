//! The same ticks loaded as fast as each engine can, nothing durable before the end.

use crate::AnyError;
use crate::engine;
use crate::ingest::{proof, sync};
use crate::input::{BATCH_ROWS, Source};
use crate::measure::{Runs, cost, io_counter};
use crate::report::Table;
use crate::setting::Setting;

const ROWS: u64 = 3_000_000;

/// Thousands of rows a second until everything is loaded and durable.
pub fn sorted(setting: &Setting) -> Result<(), AnyError> {
    let all = Source::ticks(0.0, 1)?.batches(setting.size(ROWS))?;
    let rows = (all.len() * BATCH_ROWS) as f64;
    let user_bytes = all.iter().map(|rows| rows.user_bytes).sum::<u64>() as f64;
    let mut rates = vec![Runs::default(); engine::ALL.len()];
    let mut cpu = vec![Runs::default(); engine::ALL.len()];
    let mut passed = vec![Runs::default(); engine::ALL.len()];
    let mut expected = None;
    for round in 0..setting.rounds {
        for at in (0..rates.len()).map(|at| (at + round) % engine::ALL.len()) {
            let kind = engine::ALL[at];
            let dir = setting.scratch()?;
            sync()?;
            let before = io_counter("wchar");
            let engine = kind.open(dir.path())?;
            let (took, done) = cost(|| engine.load(&all));
            done?;
            rates[at].push(rows / took.wall_seconds / 1e3);
            cpu[at].push(took.cpu_seconds * 1e6 / rows);
            passed[at].push((io_counter("wchar") - before) as f64 / user_bytes);
            let sum = proof(engine.as_ref(), &all)?;
            if *expected.get_or_insert(sum) != sum {
                return Err(format!("{} holds other rows than the first engine", kind.name()).into());
            }
        }
    }
    let mut table = Table::new("Bulk load of ticks", &["engine", "k rows/s", "CPU µs/row", "written", "way"]);
    for (at, kind) in engine::ALL.iter().enumerate() {
        table.row(vec![
            kind.name().to_owned(),
            rates[at].to_string(),
            cpu[at].to_string(),
            passed[at].to_string(),
            kind.way_to_load().to_owned(),
        ]);
    }
    table.note(format!(
        "{} M rows that come in order of time, into an empty database. Sorting by key, where it is needed, is inside. *Written* as \
         above, up to the end of the load.",
        rows / 1e6
    ));
    table.publish(setting)
}
