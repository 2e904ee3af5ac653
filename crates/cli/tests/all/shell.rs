//! Statements from a pipe and from files, and the shell's own commands.

use crate::support::Place;

#[test]
fn statements_come_through_a_pipe() {
    let place = Place::with_trades();
    let input =
        "-- first\nSELECT count(*) AS n\nFROM trades;\n\\d trades\nSELECT ';' AS text; SELECT 2 AS two";
    let ran = place.run_with_input(&["sql", "--format", "csv"], input);
    assert_eq!(ran.code, 0, "{ran:?}");
    let described = ran.out.strip_prefix("n\n3\n").unwrap().strip_suffix("text\n;\ntwo\n2\n").unwrap();
    assert!(
        described.starts_with(
            "column,type,null\nts,\"TIMESTAMP(ns, UTC)\",no\nsymbol,TEXT,no\nprice,DOUBLE,yes\n"
        ),
        "{described}"
    );
    assert!(described.ends_with("feed_seq,BIGINT UNSIGNED,yes\nseq,BIGINT UNSIGNED,no\n"), "{described}");
}

#[test]
fn tables_are_listed_with_their_rows() {
    let place = Place::with_trades();
    let ran = place
        .run_with_input(&["sql", "--format", "csv"], "\\d\n\\d sys.wal\n\\?\n\\timing\n\\q\nSELECT 1;\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.starts_with("table,symbols,rows\ntrades,2,3\nquotes,0,0\n"), "{ran:?}");
    assert!(ran.out.contains("last_seq,BIGINT UNSIGNED"), "{ran:?}");
    assert!(
        ran.err.contains("\\timing") && ran.err.contains("timing is on") && !ran.out.contains("Int64"),
        "{ran:?}"
    );
}

#[test]
fn the_first_error_ends_a_script() {
    let place = Place::with_trades();
    let ran = place
        .run_with_input(&["sql", "--format", "csv"], "SELECT 1 AS one;\nSELECT nope;\nSELECT 2 AS two;\n");
    assert_eq!((ran.code, ran.out.as_str()), (1, "one\n1\n"));
    assert!(ran.err.contains("nope") && ran.err.trim_end().lines().count() == 1, "{ran:?}");
    let ran = place.run_with_input(&["sql"], "\\nonsense\n");
    assert!(ran.code == 1 && ran.err.contains("\\nonsense"), "{ran:?}");
}

#[test]
fn files_hold_several_statements() {
    let place = Place::with_trades();
    place.write("q.sql", "SELECT 1 AS one;\n/* ; */\nSELECT E'\\';' AS text;\n");
    assert_eq!(place.ok(&["sql", "--format", "csv", "-f", "q.sql"]), "one\n1\ntext\n';\n");
    let ran = place.run_with_input(&["sql", "--format", "csv", "SELECT 1 AS one"], "SELECT 2 AS two");
    assert_eq!(ran.out, "one\n1\n", "a query leaves standard input alone");
}

#[test]
fn nothing_on_standard_input_is_fine() {
    let place = Place::with_trades();
    assert_eq!(place.ok(&["sql"]), "");
}

#[test]
fn settings_last_for_the_statements_that_follow() {
    let place = Place::with_trades();
    let text = "SET tapebook.as_of_seq = 2;\nSELECT count(*) AS n FROM trades;\nSHOW tapebook.as_of_seq;\n\
                RESET tapebook.as_of_seq;\nSELECT count(*) AS n FROM trades;\n";
    let expected = "n\n2\nname,value\ntapebook.as_of_seq,2\nn\n3\n";
    place.write("q.sql", text);
    assert_eq!(place.ok(&["sql", "--format", "csv", "-f", "q.sql"]), expected);
    let ran = place.run_with_input(&["sql", "--format", "csv"], text);
    assert_eq!((ran.code, ran.out.as_str()), (0, expected), "{ran:?}");
    let ran = place.run_with_input(&["sql"], "SET tapebook.as_of_seq = 4;");
    assert!(ran.code == 1 && ran.err.contains("has reached sequence 3"), "{ran:?}");
}
