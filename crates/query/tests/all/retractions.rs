//! What SQL shows of rows that are hidden, and of the retractions themselves.

use crate::support::Place;

#[test]
fn hidden_rows_are_in_no_answer() {
    let place = Place::new();
    place.append_trades("A", 0..6);
    place.append_trades("B", 6..10);
    place.db.flush().unwrap();
    place.append_trades("A", 10..12);
    place.append_quote("A", 12);
    place.db.retract("trades", 5..=8, "a wrong import").unwrap();
    place.db.retract("trades", 12..=13, "a busted trade").unwrap();

    let counts = "SELECT symbol, count(*), min(seq), max(seq) FROM trades GROUP BY symbol ORDER BY symbol";
    assert_eq!(place.rows(counts), "A 5 1 11 | B 2 9 10");
    let seqs = |filter: &str| place.rows(&format!("SELECT seq FROM trades {filter} ORDER BY seq"));
    assert_eq!(seqs(""), "1 | 2 | 3 | 4 | 9 | 10 | 11");
    assert_eq!(seqs("WHERE seq BETWEEN 4 AND 9"), "4 | 9");
    assert_eq!(seqs("WHERE symbol = 'B'"), "9 | 10");
    assert_eq!(
        seqs("WHERE symbol = 'A' AND price > 3.5"),
        "11",
        "price 4 and 5 are hidden, 10 is not, 11 is"
    );
    let newest = "SELECT seq FROM trades WHERE symbol = 'A' ORDER BY ts DESC LIMIT 2";
    assert_eq!(place.rows(newest), "11 | 4");
    assert_eq!(place.rows("SELECT count(*) FROM quotes"), "1", "the same sequence of another table");
    let tables = "SELECT name, symbols, rows FROM sys.tables WHERE rows > 0 ORDER BY name";
    assert_eq!(place.rows(tables), "quotes 1 1 | trades 2 7");

    place.db.retract("trades", 1..=13, "everything").unwrap();
    assert_eq!(place.rows(counts), "");
    assert_eq!(place.rows(tables), "quotes 1 1");
    place.db.undo_retraction(3, "not everything").unwrap();
    assert_eq!(place.rows(counts), "A 5 1 11 | B 2 9 10");
}

#[test]
fn the_system_table_says_what_is_hidden_and_why() {
    let place = Place::new();
    place.append_trades("A", 0..10);
    place.append_quote("A", 10);
    place.db.retract("trades", 3..=4, "imported twice").unwrap();
    place.db.retract("quotes", 11..=11, "a bad feed").unwrap();
    place.append_trades("A", 20..22);
    place.db.undo_retraction(("trades", 3..=4), "they were two").unwrap();
    place.db.undo_retraction(2, "").unwrap();
    place.db.retract("trades", 3..=3, "only one of them").unwrap();
    assert_eq!(
        place.rows(
            "SELECT id, table_name, from_seq, to_seq, reason, made_at_seq, undone_at_seq, undone_reason \
             FROM sys.retractions ORDER BY id"
        ),
        "1 trades 3 4 imported twice 11 13 they were two | 2 quotes 11 11 a bad feed 11 13 - | \
         3 trades 3 3 only one of them 13 - -"
    );
    assert_eq!(place.rows("SELECT id FROM sys.retractions WHERE undone_at IS NULL"), "3");
    let in_order = "SELECT bool_and(made_at <= undone_at), min(made_at) > TIMESTAMP '2020-01-01' \
                    FROM sys.retractions WHERE undone_at_seq IS NOT NULL";
    assert_eq!(place.rows(in_order), "true true");
}

#[test]
fn as_of_an_earlier_sequence_is_what_was_known_then() {
    let place = Place::new();
    place.append_trades("A", 0..10);
    place.db.retract("trades", 1..=4, "a wrong import").unwrap();
    place.db.flush().unwrap();
    place.append_trades("B", 10..14);
    let count = |seq: u64| place.rows(&format!("SELECT count(*) FROM as_of('trades', {seq})"));
    assert_eq!((&*count(0), &*count(3), &*count(10), &*count(11), &*count(14)), ("0", "3", "10", "7", "10"));
    assert_eq!(
        place.rows(
            "SELECT then.seq FROM as_of('trades', 10) then LEFT JOIN trades now ON then.seq = now.seq \
             WHERE now.seq IS NULL ORDER BY 1"
        ),
        "1 | 2 | 3 | 4",
        "two moments in one query"
    );
    assert_eq!(
        place.rows(
            "SELECT symbol, max(seq) FROM as_of('trades', 10 + 2) WHERE price > 5 GROUP BY symbol ORDER BY 1"
        ),
        "A 10 | B 12"
    );
    for (sql, part) in [
        ("SELECT * FROM as_of('trades', 15)", "has reached sequence 14"),
        ("SELECT * FROM as_of('trade', 1)", "table \"trade\" is not known"),
        ("SELECT * FROM as_of('trades', -1)", "sequence number from 0"),
        ("SELECT * FROM as_of('trades', '1')", "sequence number from 0"),
        ("SELECT * FROM as_of('trades', NULL)", "sequence number from 0"),
        ("SELECT * FROM as_of(1, 'trades')", "name in quotes"),
        ("SELECT * FROM as_of('trades')", "takes a table's name and a sequence number"),
    ] {
        let message = place.refusal(sql);
        assert!(message.contains(part), "{sql}: {message}");
    }
}
