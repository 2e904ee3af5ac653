//! `tapebook retract`: rows are hidden and shown again, also after a flush and by another process.

use crate::support::{Place, the_file};

const RANGE: [&str; 6] = ["retract", "trades", "--from-seq", "2", "--to-seq", "3"];

fn retract<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RANGE.into_iter().chain(more.iter().copied()).collect()
}

#[test]
fn rows_are_hidden_and_shown_again() {
    let place = Place::with_trades();
    assert_eq!(
        place.ok(&retract(&["--reason", "imported twice"])),
        "retracted 2 rows of trades, seq 2..3; retraction 1, made at seq 3\n"
    );
    assert_eq!(place.sql("SELECT symbol, seq FROM trades"), "B.ETH,1");
    let listed = "SELECT id, table_name, from_seq, to_seq, reason, undone_reason FROM sys.retractions";
    assert_eq!(place.sql(listed), "1,trades,2,3,imported twice,");
    place.ok(&["flush"]);
    assert_eq!(place.sql("SELECT count(*) FROM trades"), "1");
    assert_eq!(place.sql("SELECT count(*) FROM as_of('trades', 3)"), "3");
    let verified = place.ok(&["verify"]);
    assert!(verified.ends_with(": 0 problems\n"), "{verified}");
    let listed_tables = place.run_with_input(&["sql", "--format", "csv"], "\\d\n\\d sys.retractions\n");
    assert!(listed_tables.out.starts_with("table,symbols,rows\ntrades,1,1\n"), "{listed_tables:?}");
    assert!(listed_tables.out.contains("made_at_seq,BIGINT UNSIGNED"), "{listed_tables:?}");

    assert_eq!(
        place.ok(&retract(&["--undo"])),
        "showed 2 rows of trades again, seq 2..3; retraction 1, undone at seq 3\n"
    );
    assert_eq!(place.sql("SELECT count(*) FROM trades"), "3");
    assert_eq!(
        place.ok(&["retract", "trades", "--from-seq", "1", "--to-seq", "1", "--reason", "busted", "--quiet"]),
        "retracted 1 row of trades, seq 1..1; retraction 2, made at seq 3\n"
    );
    place.ok(&["retract", "trades", "--from-seq", "1", "--to-seq", "1", "--undo", "--reason", "it was not"]);
    assert_eq!(place.sql("SELECT undone_reason FROM sys.retractions WHERE id = 2"), "it was not");
}

#[test]
fn the_log_and_the_state_file_show_it() {
    let place = Place::with_trades();
    place.ok(&retract(&["--reason", "imported \"twice\""]));
    place.ok(&retract(&["--undo", "--reason", "they were two"]));
    let wal = place.ok(&["inspect", "wal", "db/wal"]);
    let lines: Vec<&str> = wal.lines().map(str::trim).collect();
    assert!(lines.contains(&"retracts trades, seq 2..3: \"imported \\\"twice\\\"\""), "{wal}");
    assert!(lines.contains(&"undoes retraction 1: \"they were two\""), "{wal}");
    assert_eq!(wal.lines().filter(|line| line.contains("  retraction ")).count(), 2, "{wal}");
    place.ok(&["import", "trades", "trades.csv", "--again"]);
    place.ok(&["flush"]);
    let state = the_file(&place.path("db/state"), ".state");
    let state = place.ok(&["inspect", "state", state.to_str().unwrap()]);
    assert!(state.contains("section Retractions: version 1"), "{state}");
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    let place = Place::with_trades();
    let long = "x".repeat(1025);
    for (args, part) in [
        (retract(&[]), "--reason"),
        (retract(&["--reason", " "]), "needs a reason"),
        (retract(&["--reason", &long]), "1025 bytes, 1024 are possible"),
        (retract(&["--reason", "two\nlines"]), "on one line"),
        (vec!["retract", "trades", "--from-seq", "3", "--to-seq", "2", "--reason", "x"], "above --to-seq 2"),
        (vec!["retract", "trades", "--from-seq", "0", "--to-seq", "2", "--reason", "x"], "0"),
        (vec!["retract", "trades", "--from-seq", "1", "--reason", "x"], "--to-seq"),
    ] {
        let line = place.fails(2, &args);
        assert!(line.contains(part), "{args:?}: {line}");
    }
    for (args, part) in [
        (vec!["retract", "trade", "--from-seq", "1", "--to-seq", "2", "--reason", "x"], "trade"),
        (
            vec!["retract", "trades", "--from-seq", "3", "--to-seq", "4", "--reason", "x"],
            "last sequence is 3",
        ),
        (retract(&["--undo"]), "not retracted"),
    ] {
        let line = place.fails(1, &args);
        assert!(line.contains(part), "{args:?}: {line}");
    }
    place.ok(&retract(&["--reason", "x"]));
    let line = place.fails(1, &retract(&["--reason", "y"]));
    assert!(line.contains("retracted already, by retraction 1"), "{line}");
    place.ok(&retract(&["--undo"]));
    let line = place.fails(1, &retract(&["--undo"]));
    assert!(line.contains("undone already"), "{line}");
    let empty = Place::new();
    let line = empty.fails(1, &retract(&["--reason", "x"]));
    assert!(line.contains("no such data directory") && !empty.data().exists(), "{line}");
}
