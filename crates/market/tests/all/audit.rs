//! What the checks share: small lively markets, and decimals turned back into whole numbers.

use tapebook_market::{BookFeed, InstrumentSpec, Market, MarketOptions, Row};
use tapebook_record::{Id, Side};

/// Something that follows the rows of a market and, after each event, compares itself with it.
pub trait Audit {
    fn row(&mut self, row: &Row<'_>);
    fn event_end(&mut self, market: &Market);
}

/// Lets `events` events happen.
pub fn run(market: &mut Market, events: usize, audit: &mut impl Audit) {
    for _ in 0..events {
        market.step(|row| audit.row(&row));
        audit.event_end(market);
    }
}

/// Three instruments, among them one that is paid with what another one sells.
pub fn options(seed: u64, book_feed: BookFeed) -> MarketOptions {
    let all = InstrumentSpec::defaults(8);
    let instruments = vec![all[1].clone(), all[4].clone(), all[5].clone()];
    MarketOptions { seed, instruments, book_feed, ..MarketOptions::default() }
}

/// The position of an instrument by its name.
pub fn instrument(specs: &[InstrumentSpec], symbol: &str) -> usize {
    specs.iter().position(|spec| spec.symbol == symbol).expect("a listed symbol")
}

/// How many steps of `step_units` (10^-9 each) a decimal is; it must be that number's nearest double.
pub fn steps(value: f64, step_units: i64) -> i64 {
    let count = (value * 1e9 / step_units as f64).round() as i64;
    let digits = 9 - (step_units as f64).log10().floor() as usize % 10;
    assert_eq!(format!("{:.*}", digits, value).parse::<f64>().unwrap(), value, "a short decimal");
    count
}

pub fn ticks(spec: &InstrumentSpec, price: Option<f64>) -> i64 {
    steps(price.expect("a price"), spec.tick_units)
}

pub fn lots(spec: &InstrumentSpec, size: Option<f64>) -> i64 {
    steps(size.expect("a size"), spec.lot_units)
}

pub fn number(id: Option<Id<'_>>) -> u64 {
    match id {
        Some(Id::Number(number)) => number,
        other => panic!("{other:?} is no number"),
    }
}

pub fn opposite(side: Side) -> Side {
    if side == Side::Buy { Side::Sell } else { Side::Buy }
}
