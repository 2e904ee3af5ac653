//! Prints how many rows a second the market and the generator push into batches, on one thread.

#![allow(clippy::disallowed_methods, reason = "measures real time")]

use std::hint::black_box;
use std::time::Instant;

use tapebook_market::{Market, MarketOptions, generator};
use tapebook_record::Batch;

const ROWS: usize = 4_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for symbols in [10, 1_000, 5_000] {
        for (late, burst) in [(0.0, 4), (0.05, 4), (0.0, 1)] {
            let mut ticks = generator::ticks(1, symbols, 1.0)?.late(late, 1_000_000_000).burst(burst);
            let name = format!("generator, {symbols} symbols, late {late}, bursts of {burst}");
            measure(&name, ROWS, |batch| ticks.fill_batch(batch, 1_000))?;
        }
    }
    let mut market = Market::new(MarketOptions::default())?;
    measure("market, 8 instruments", ROWS / 4, |batch| market.fill_batch(batch, 1_000))?;
    Ok(())
}

fn measure<E>(
    name: &str,
    rows: usize,
    mut fill: impl FnMut(&mut Batch) -> Result<usize, E>,
) -> Result<(), E> {
    let begin = Instant::now();
    let mut pushed = 0;
    while pushed < rows {
        let mut batch = Batch::new();
        pushed += fill(&mut batch)?;
        black_box(&batch);
    }
    let rate = pushed as f64 / begin.elapsed().as_secs_f64();
    println!("{name}: {:.2} M rows/s", rate / 1e6);
    Ok(())
}
