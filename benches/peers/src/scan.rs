//! Scans of what is cached: a part of one symbol, a symbol among many, a whole table.

use crate::AnyError;
use crate::engine::{self, Reader, Sum};
use crate::loaded::Loaded;
use crate::measure::{Runs, cost, median};
use crate::report::Table;
use crate::setting::Setting;

const SLICES: usize = 5;
/// Symbols are numbered by how lively they are.
const LIVELIEST: u32 = 1;
const MIDDLE: u32 = 100;

/// What is read.
enum Range {
    /// Of a symbol, from one time to another.
    Series(u32, i64, i64),
    Table,
}

/// Millions of rows a second.
pub fn ranges(setting: &Setting) -> Result<(), AnyError> {
    let loaded = Loaded::new(setting)?;
    let mut readers = loaded.engines.iter().map(|engine| engine.reader()).collect::<Result<Vec<_>, _>>()?;
    let (first, last) = loaded.known.first().zip(loaded.known.last()).ok_or("nothing was loaded")?;
    let quarter = (last.ts - first.ts) / 4;
    let ranges = [
        (
            "half of the time of the liveliest symbol",
            Range::Series(LIVELIEST, first.ts + quarter, last.ts - quarter),
        ),
        ("all of the hundredth symbol", Range::Series(MIDDLE, 0, i64::MAX - 1)),
        ("the whole table", Range::Table),
    ];
    let mut head = vec!["range", "rows"];
    head.extend(engine::ALL.iter().map(|kind| kind.name()));
    head.push("ahead");
    let mut table = Table::new("Scans, cached, M rows/s", &head);
    for (what, range) in &ranges {
        let mut rates = vec![Vec::new(); readers.len()];
        let mut expected = None;
        // The first round is not counted.
        for round in 0..=setting.rounds {
            let mut slices = vec![Vec::new(); readers.len()];
            for slice in 0..SLICES {
                for at in (0..readers.len()).map(|at| (at + slice) % engine::ALL.len()) {
                    let (took, sum) = cost(|| range.scan(readers[at].as_mut()));
                    let sum = sum?;
                    if *expected.get_or_insert(sum) != sum || sum.rows == 0 {
                        let name = engine::ALL[at].name();
                        return Err(format!("{name} read other rows of {what} than the first engine").into());
                    }
                    slices[at].push(sum.rows as f64 / took.wall_seconds / 1e6);
                }
            }
            if round > 0 {
                rates.iter_mut().zip(&slices).for_each(|(rates, slices)| rates.push(median(slices)));
            }
        }
        let mut cells = vec![(*what).to_owned(), expected.map_or(0, |sum| sum.rows).to_string()];
        cells.extend(rates.iter().map(|rates| rates.iter().copied().collect::<Runs>().to_string()));
        let best = rates[1..].iter().map(|rates| median(rates)).fold(0.0, f64::max);
        cells.push(format!("{:.2}", median(&rates[0]) / best));
        table.row(cells);
    }
    table.note(
        "One thread; time and price of every row are read, and their sums are the same for all. *Ahead*: Tapebook's rate divided by \
         the best one of the others.",
    );
    table.publish(setting)
}

impl Range {
    fn scan(&self, reader: &mut dyn Reader) -> Result<Sum, AnyError> {
        match *self {
            Self::Series(symbol, first, last) => reader.scan_series(symbol, first, last),
            Self::Table => reader.scan_table(),
        }
    }
}
