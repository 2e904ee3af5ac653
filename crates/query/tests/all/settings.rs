//! What `SET`, `RESET` and `SHOW` do for the statements that follow.

use tapebook_query::SqlError;

use crate::support::Place;

/// Ten trades, four of which are hidden from sequence 11 on, and four more.
fn history() -> Place {
    let place = Place::new();
    place.append_trades("A", 0..10);
    place.db.retract("trades", 1..=4, "a wrong import").unwrap();
    place.db.flush().unwrap();
    place.append_trades("B", 10..14);
    place
}

#[test]
fn all_tables_are_read_as_of_a_sequence_until_it_is_reset() {
    let place = history();
    let counts = || place.rows("SELECT count(*), max(seq) FROM trades");
    let known = "SELECT symbols, rows FROM sys.tables WHERE name = 'trades'";
    assert_eq!(counts(), "10 14");
    for (statement, expected, shown, of_the_system) in [
        ("SET tapebook.as_of_seq = 10", "10 10", "10", "1 10"),
        ("SET tapebook.as_of_seq TO '3'", "3 3", "3", "1 3"),
        ("RESET tapebook.as_of_seq", "10 14", "0", "2 10"),
        ("set TAPEBOOK.as_of_seq = 12", "8 12", "12", "2 8"),
        ("SET tapebook.as_of_seq = 0", "10 14", "0", "2 10"),
        ("SET tapebook.as_of_seq = 11", "7 11", "11", "2 7"),
        ("SET tapebook.as_of_seq = DEFAULT", "10 14", "0", "2 10"),
    ] {
        assert_eq!(place.rows(statement), "", "{statement}");
        assert_eq!(counts(), expected, "{statement}");
        assert_eq!(place.rows(known), of_the_system, "{statement}");
        let setting = place.rows("SHOW tapebook.as_of_seq");
        assert_eq!(setting, format!("tapebook.as_of_seq {shown}"), "{statement}");
    }
}

#[test]
fn a_moment_that_the_query_names_counts_more_than_the_setting() {
    let place = history();
    place.query("SET tapebook.as_of_seq = 3").unwrap();
    let both = "SELECT (SELECT count(*) FROM trades) AS a, (SELECT count(*) FROM as_of('trades', 14)) AS b";
    assert_eq!(place.rows(both), "3 10");
}

#[test]
fn later_rows_do_not_change_what_was_known() {
    let place = history();
    place.query("SET tapebook.as_of_seq = 14").unwrap();
    place.append_trades("C", 20..25);
    assert_eq!(place.rows("SELECT count(*), max(seq) FROM trades"), "10 14");
    assert_eq!(place.rows("SELECT last_seq FROM sys.wal"), "14");
}

#[test]
fn what_cannot_be_set_is_refused_and_changes_nothing() {
    let place = history();
    place.query("SET tapebook.as_of_seq = 3").unwrap();
    for (sql, part) in [
        ("SET tapebook.as_of_seq = 15", "has reached sequence 14"),
        (
            "SET tapebook.as_of_seq = -1",
            "takes a sequence number, 0 or DEFAULT for what is known now, not \"-1\"",
        ),
        ("SET tapebook.as_of_seq = 1.5", "not \"1.5\""),
        ("SET tapebook.as_of_seq = 'yesterday'", "not \"yesterday\""),
        ("SET tapebook.as_of_seq = 18446744073709551616", "takes a sequence number"),
        ("SET tapebook.as_off_seq = 1", "\"tapebook.as_off_seq\" is no setting; there is tapebook.as_of_seq"),
        ("SET datafusion.execution.batch_size = 1", "is no setting"),
        ("RESET datafusion.execution.batch_size", "is no setting"),
    ] {
        let error = place.query(sql).expect_err(sql);
        assert!(matches!(&error, SqlError::Setting(reason) if reason.contains(part)), "{sql}: {error}");
    }
    assert!(place.refusal("SHOW tapebook.nonsense").contains("'tapebook.nonsense' is not a variable"));
    assert_eq!(place.rows("SELECT count(*) FROM trades"), "3");
}

#[test]
fn a_query_without_a_session_sets_nothing() {
    let place = history();
    let sql = "SET tapebook.as_of_seq = 3";
    let refused = place.runtime.block_on(place.engine.query(&place.db, sql)).expect_err(sql);
    assert!(matches!(refused, SqlError::NotReadOnly(_)), "{refused}");
}
