//! `tapebook compact --to history`: answers stay what they were, and files lie there for everybody.

use crate::support::Place;

#[test]
fn history_answers_as_before_and_lacks_what_is_retracted() {
    let place = Place::with_trades();
    let all = "SELECT * FROM trades ORDER BY seq";
    let before = place.sql(all);
    let said = place.run(&["compact", "--to", "history"]);
    assert!(said.code == 0 && said.err.contains("0 SSTables and 1 history file in 1 partition"), "{said:?}");
    assert_eq!(place.sql(all), before);
    assert_eq!(place.sql("SELECT count(*), min(price) FROM trades WHERE symbol = 'B.BTC'"), "2,61800.2");
    let listed = "SELECT table_name, rows, first_seq, last_seq, path FROM sys.history";
    assert_eq!(place.sql(listed), "trades,3,1,3,history/trades/2024-08-09.parquet");
    let shared = place.path("db/history/trades/2024-08-09.parquet");
    let inspected = place.ok(&["inspect", "history", shared.to_str().unwrap()]);
    assert!(inspected.contains("rows: 3 in 2 series"), "{inspected}");
    let verified = place.ok(&["verify"]);
    assert!(
        verified.contains("1 history file, 3 rows") && verified.ends_with(": 0 problems\n"),
        "{verified}"
    );

    // What is hidden leaves the file that others read, and stays for who looks back.
    place.ok(&["retract", "trades", "--from-seq", "2", "--to-seq", "2", "--reason", "busted"]);
    place.ok(&["compact", "--to", "history"]);
    assert_eq!(place.sql(listed), "trades,2,1,3,history/trades/2024-08-09.parquet");
    assert_eq!(place.sql("SELECT level, rows FROM sys.sstables"), "2,1");
    assert_eq!(place.sql("SELECT count(*) FROM as_of('trades', 3)"), "3");
    place.ok(&["retract", "trades", "--from-seq", "2", "--to-seq", "2", "--undo"]);
    place.ok(&["compact", "--to", "history"]);
    assert_eq!(place.sql(all), before);
    assert_eq!(place.sql(listed), "trades,3,1,3,history/trades/2024-08-09.parquet");
}

#[test]
fn rows_that_come_late_are_answered_with_history_at_once() {
    let place = Place::with_trades();
    place.ok(&["compact", "--to", "history"]);
    place.ok(&["import", "trades", "trades.csv", "--again"]);
    let order = "SELECT symbol, seq FROM trades ORDER BY symbol, ts, seq";
    let merged = "B.BTC,2\nB.BTC,5\nB.BTC,3\nB.BTC,6\nB.ETH,1\nB.ETH,4";
    assert_eq!(place.sql(order), merged);
    place.ok(&["flush"]);
    assert_eq!(place.sql(order), merged);
    place.ok(&["compact", "--to", "history"]);
    assert_eq!(place.sql(order), merged);
    assert_eq!(place.sql("SELECT count(*), sum(rows) FROM sys.history"), "1,6");
}
