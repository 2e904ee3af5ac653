//! `tapebook import`.

use crate::support::{Place, TRADES};

#[test]
fn rows_are_numbered_in_file_order_and_columns_without_a_place_are_told() {
    let place = Place::new();
    place.write("trades.csv", TRADES);
    let ran = place.run(&["import", "trades", "trades.csv"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "imported 3 rows, skipped 0, seq 1..3\n"));
    assert!(ran.err.contains("trades.csv") && ran.err.contains("flavor"), "{ran:?}");
    assert_eq!(
        place.sql("SELECT seq, symbol, trade_id FROM trades ORDER BY seq"),
        "1,B.ETH,7\n2,B.BTC,000008\n3,B.BTC,9"
    );
    let again = place.run(&["import", "--quiet", "trades", "trades.csv", "trades.csv"]);
    assert_eq!((again.out.as_str(), again.err.as_str()), ("imported 6 rows, skipped 0, seq 4..9\n", ""));
}

#[test]
fn a_bad_row_stops_the_import_behind_the_rows_before_it() {
    let place = Place::new();
    place.write(
        "bad.csv",
        "ts,symbol,price\n2024-08-09,A,1\n2024-08-09,A,2\n2024-08-09,A,cheap\n2024-08-09,A,4\n",
    );
    let line = place.fails(1, &["import", "trades", "bad.csv"]);
    for part in [
        "bad.csv",
        "row 4",
        "column price",
        "cheap",
        "2 rows before that are imported, seq 1..2",
        "--on-error skip",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(place.sql("SELECT count(*) FROM trades"), "2");
    let ran = place.run(&["import", "trades", "bad.csv", "--on-error", "skip"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "imported 3 rows, skipped 1, seq 3..5\n"));
    assert!(ran.err.contains("row 4"), "{ran:?}");
}

#[test]
fn what_the_flags_say_reaches_the_rows() {
    let place = Place::new();
    place.write("plain.csv", "20240809,093000,10.5,3\n20240809,093001,10.6,4\n");
    let out = place.ok(&[
        "import",
        "trades",
        "plain.csv",
        "--columns",
        "day,clock,last,shares",
        "--map",
        "ts=day+clock",
        "--map",
        "price=last",
        "--map",
        "size=shares",
        "--symbol",
        "SSE.600519",
        "--set",
        "venue=SSE",
        "--time-zone",
        "Asia/Shanghai",
        "--batch-rows",
        "1",
    ]);
    assert_eq!(out, "imported 2 rows, skipped 0, seq 1..2\n");
    assert_eq!(
        place.sql("SELECT ts, symbol, price, size, venue FROM trades ORDER BY seq LIMIT 1"),
        "2024-08-09T01:30:00.000000000Z,SSE.600519,10.5,3.0,SSE"
    );
}

#[test]
fn an_empty_file_imports_nothing() {
    let place = Place::new();
    place.write("empty.csv", "ts,symbol,price\n");
    assert_eq!(place.ok(&["import", "trades", "empty.csv"]), "imported 0 rows, skipped 0, seq -\n");
}

#[test]
fn times_far_ahead_need_a_flag() {
    let place = Place::new();
    place.write("far.csv", "ts,symbol,price\n2190-01-01,A,1\n");
    place.fails(1, &["import", "trades", "far.csv"]);
    let out = place.ok(&["import", "trades", "far.csv", "--allow-future"]);
    assert_eq!(out, "imported 1 rows, skipped 0, seq 1..1\n");
}

#[test]
fn receipts_come_in_order_and_cover_every_row() {
    let place = Place::new();
    let rows: String = (0..1000).map(|row| format!("{row},A,1\n")).collect();
    place.write("many.csv", &format!("ts,symbol,price\n{rows}"));
    let out = place.ok(&[
        "import",
        "trades",
        "many.csv",
        "--time-unit",
        "s",
        "--batch-rows",
        "7",
        "--progress-receipts",
    ]);
    let mut next = 1;
    for line in out.lines().filter_map(|line| line.strip_prefix("receipt ")) {
        let (first, last) = line.split_once("..").unwrap();
        assert_eq!(first.parse(), Ok(next));
        next = last.parse::<u64>().unwrap() + 1;
    }
    assert_eq!(next, 1001);
    assert!(out.ends_with("imported 1000 rows, skipped 0, seq 1..1000\n"));
}

#[test]
fn a_mistyped_table_leaves_no_directory_behind() {
    let place = Place::new();
    place.write("trades.csv", TRADES);
    let line = place.fails(1, &["import", "trade", "trades.csv"]);
    assert!(line.contains("no table trade") && line.contains("quotes"), "{line}");
    assert!(!place.data().exists());
}
