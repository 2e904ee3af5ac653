//! Late rows, repeats and wrong clocks change what is heard and when, never what happened.

use std::collections::{BTreeMap, BTreeSet};

use tapebook_market::{BookFeed, Market, MarketOptions, Row};
use tapebook_record::StandardRow;

use crate::audit;

/// What was heard, without the time of receipt: by table, symbol and number.
fn public(options: MarketOptions, until_ns: i64) -> (BTreeMap<(String, String, u64), String>, u64, u64) {
    let start = options.start_ts;
    let mut market = Market::new(options).unwrap();
    let mut heard = BTreeMap::new();
    let (mut late, mut repeated) = (0, 0);
    let mut latest = BTreeMap::new();
    while market.now() < start + until_ns {
        market.step(|row| {
            let Some(feed_seq) = row.feed_seq() else {
                return;
            };
            let series = (row.schema().name.to_string(), row.symbol().to_owned());
            let newest = latest.entry(series.clone()).or_insert(0);
            late += u64::from(feed_seq < *newest);
            *newest = feed_seq.max(*newest);
            let text = match row {
                Row::Trade(row) => format!("{:?}", tapebook_record::Trade { recv_ts: None, ..row }),
                Row::Quote(row) => format!("{:?}", tapebook_record::Quote { recv_ts: None, ..row }),
                other => format!("{}", other.ts()),
            };
            if let Some(before) = heard.insert((series.0, series.1, feed_seq), text.clone()) {
                assert_eq!(before, text);
                repeated += 1;
            }
        });
    }
    (heard, late, repeated)
}

#[test]
fn late_rows_and_repeats_leave_the_market_as_it_is() {
    let minute = 60_000_000_000;
    let plain = audit::options(8, BookFeed::Levels);
    let disturbed =
        MarketOptions { late_share: 0.2, late_ns_max: 5_000_000_000, duplicate_share: 0.1, ..plain.clone() };
    let (expected, late, repeated) = public(plain, minute);
    assert_eq!((late, repeated), (0, 0));
    let (found, late, repeated) = public(disturbed, minute + 10_000_000_000);
    assert!(late > 100 && repeated > 20, "{late} {repeated}");
    for (key, text) in &expected {
        assert_eq!(found.get(key), Some(text), "{key:?}");
    }
    // Numbers rise by one: nothing is missing between the first and the last.
    let mut series = BTreeMap::<(&str, &str), BTreeSet<u64>>::new();
    for (table, symbol, feed_seq) in expected.keys() {
        series.entry((table, symbol)).or_default().insert(*feed_seq);
    }
    for numbers in series.values() {
        assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&(numbers.len() as u64))));
    }
}

#[test]
fn lateness_has_a_bound_and_rows_arrive_in_their_order() {
    let options =
        MarketOptions { late_share: 0.5, late_ns_max: 1_000_000_000, ..audit::options(8, BookFeed::Levels) };
    let latency_ns_max = options.latency_ns * 3 / 2;
    let mut market = Market::new(options).unwrap();
    let mut late = 0;
    for _ in 0..5_000 {
        let before = market.now();
        market.step(|row| {
            let recv_ts = row.recv_ts().unwrap();
            if matches!(row, Row::Trade(_) | Row::Quote(_) | Row::BookDelta(_) | Row::Tick(_)) {
                let delay = recv_ts - row.ts();
                assert!((0..=1_000_000_000 + latency_ns_max).contains(&delay), "{delay}");
                late += u64::from(delay > latency_ns_max);
            }
            assert!(recv_ts > before, "what arrives now was received after the event before");
        });
    }
    assert!(late > 1_000, "{late}");
}

#[test]
fn a_clock_that_is_behind_receives_before_the_event() {
    let options = MarketOptions { clock_skew_ns: -1_000_000_000, ..audit::options(8, BookFeed::Levels) };
    let mut market = Market::new(options).unwrap();
    for _ in 0..500 {
        market.step(|row| {
            if !matches!(row, Row::Bar(_)) {
                assert!(row.recv_ts().unwrap() < row.ts());
            }
        });
    }
}
