//! `tapebook bench` against a server: it counts what it did, and what it wrote is there.

use serde_json::Value;

use crate::served::Served;
use crate::support::Place;

fn report(server: &Served, args: &[&str]) -> Value {
    let out = server.ok(&[&["bench"], args, &["--seconds", "1", "--format", "json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

#[test]
fn what_is_measured_has_happened() {
    let place = Place::with_trades();
    let server = Served::start(&place.data());
    let append = report(&server, &["append", "--connections", "3", "--in-flight", "4", "--rows", "7"]);
    let (operations, rows) = (append["operations"].as_u64().unwrap(), append["rows"].as_u64().unwrap());
    assert!(operations > 0 && rows == 7 * operations, "{append}");
    let latency = &append["latency_seconds"]["receipt"];
    assert_eq!(latency["count"], operations, "{append}");
    assert!(latency["p50"].as_f64().unwrap() <= latency["max"].as_f64().unwrap(), "{append}");
    let stored = server.ok(&["sql", "--format", "csv", "SELECT sum(rows) - 3 FROM sys.tables"]);
    assert_eq!(stored.lines().last().unwrap(), rows.to_string());

    let query =
        report(&server, &["query", "SELECT symbol, price FROM trades WHERE seq <= 3", "--connections", "2"]);
    assert_eq!(query["rows"].as_u64().unwrap(), 3 * query["operations"].as_u64().unwrap(), "{query}");
    assert_eq!(query["latency_seconds"]["first_rows"]["count"], query["operations"], "{query}");

    let subscribe = report(&server, &["subscribe", "--subscribers", "2", "--rate", "50"]);
    assert!(
        subscribe["latency_seconds"]["commit_to_subscriber"]["count"].as_u64().unwrap() > 0,
        "{subscribe}"
    );
}

#[test]
fn a_query_that_fails_ends_it_with_its_error() {
    let place = Place::with_trades();
    let server = Served::start(&place.data());
    let ran = server.run(&["bench", "query", "SELECT nothing FROM trades"]);
    assert!(ran.code == 1 && ran.err.contains("nothing"), "{ran:?}");
}
