//! Bars and ticks are what the trades add up to.

use std::collections::BTreeMap;

use tapebook_market::{BookFeed, Market, MarketOptions, Row};
use tapebook_record::{Bar, Tick};

use crate::audit;

const MINUTE_NS: i64 = 60_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sum {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    turnover: f64,
    trades: i64,
}

fn add(sum: Option<Sum>, price: f64, size: f64) -> Sum {
    let first =
        Sum { open: price, high: price, low: price, close: price, volume: 0.0, turnover: 0.0, trades: 0 };
    let sum = sum.unwrap_or(first);
    Sum {
        high: sum.high.max(price),
        low: sum.low.min(price),
        close: price,
        volume: sum.volume + size,
        turnover: sum.turnover + price * size,
        trades: sum.trades + 1,
        ..sum
    }
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() <= 1e-9 * expected.abs().max(1.0))
}

fn agrees(bar: &Bar<'_>, sum: &Sum) -> bool {
    (bar.open, bar.high, bar.low, bar.close)
        == (Some(sum.open), Some(sum.high), Some(sum.low), Some(sum.close))
        && near(bar.volume, sum.volume)
        && near(bar.turnover, sum.turnover)
        && bar.trade_count == Some(sum.trades)
        && bar.period == Some("1m")
}

fn tick_agrees(tick: &Tick<'_>, sum: Option<&Sum>) -> bool {
    let prices = (tick.open, tick.high, tick.low, tick.last_price);
    prices
        == (
            sum.map(|sum| sum.open),
            sum.map(|sum| sum.high),
            sum.map(|sum| sum.low),
            sum.map(|sum| sum.close),
        )
        && near(tick.volume, sum.map_or(0.0, |sum| sum.volume))
        && near(tick.turnover, sum.map_or(0.0, |sum| sum.turnover))
}

#[test]
fn bars_and_ticks_are_what_the_trades_add_up_to() {
    // The run crosses midnight, where a day's sums begin anew.
    let start_ts = 1_723_161_600_000_000_000 - 3 * MINUTE_NS + 7;
    let options = MarketOptions { start_ts, ..audit::options(4, BookFeed::Levels) };
    let mut market = Market::new(options).unwrap();
    let mut minutes = BTreeMap::<(String, i64), Sum>::new();
    let mut days = BTreeMap::<(String, i64), Sum>::new();
    let mut last = BTreeMap::<String, f64>::new();
    let (mut bars, mut ticks) = (0, 0);
    let mut trading_days = std::collections::BTreeSet::new();
    while market.now() < start_ts + 6 * MINUTE_NS {
        market.step(|row| match row {
            Row::Trade(row) => {
                let (price, size) = (row.price.unwrap(), row.size.unwrap());
                for (sums, period_ns) in [(&mut minutes, MINUTE_NS), (&mut days, DAY_NS)] {
                    let key = (row.symbol.to_owned(), row.ts.div_euclid(period_ns));
                    let sum = add(sums.get(&key).copied(), price, size);
                    sums.insert(key, sum);
                }
                last.insert(row.symbol.to_owned(), price);
            }
            Row::Bar(row) => {
                assert_eq!(row.ts % MINUTE_NS, 0);
                let sum = minutes.remove(&(row.symbol.to_owned(), row.ts / MINUTE_NS)).expect("it traded");
                assert!(agrees(&row, &sum), "{row:?} {sum:?}");
                bars += 1;
            }
            Row::Tick(row) => {
                let day = row.ts.div_euclid(DAY_NS);
                assert_eq!(row.trading_day.map(i64::from), Some(day));
                let sum = days.get(&(row.symbol.to_owned(), day));
                assert!(tick_agrees(&row, sum), "{row:?} {sum:?}");
                trading_days.insert(day);
                ticks += 1;
            }
            _ => {}
        });
    }
    assert!(bars > 10 && ticks > 1_000, "{bars} {ticks}");
    assert_eq!(trading_days.len(), 2);
    let minute = market.now() / MINUTE_NS;
    assert!(minutes.keys().all(|(_, other)| *other == minute), "every minute that is over has its bar");
}
