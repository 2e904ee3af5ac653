//! Exit status and the one line of an error.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Place, the_file};

#[test]
fn wrong_usage_is_two() {
    let place = Place::new();
    for args in [
        &["frobnicate"][..],
        &["import", "trades"],
        &["import", "trades", "x.csv", "--map", "price"],
        &["import", "trades", "x.csv", "--batch-rows", "0"],
        &["import", "trades", "x.csv", "--time-zone", "Mars/Olympus"],
        &["import", "trades", "x.csv", "--on-error", "panic"],
        &["sql", "--format", "xml", "SELECT 1"],
        &["sql", "SELECT 1", "--file", "x.sql"],
        &["checkpoint"],
        &["demo", "--seconds", "0"],
        &["inspect", "nothing", "x"],
        &["completions", "cmd"],
    ] {
        place.fails(2, args);
    }
}

#[test]
fn help_and_version_are_data() {
    let place = Place::new();
    for args in [
        &["--help"][..],
        &["import", "--help"],
        &["sql", "-h"],
        &["inspect", "wal", "--help"],
        &["--version"],
    ] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        assert!(!ran.out.is_empty());
    }
    let ran = place.run(&[]);
    assert!(ran.code == 2 && ran.err.contains("Usage: tapebook"), "{ran:?}");
}

#[test]
fn what_is_not_there_is_named() {
    let place = Place::new();
    let line = place.fails(1, &["import", "trades", "missing.csv"]);
    assert!(line.contains("missing.csv") && line.contains("nothing was imported"), "{line}");
    let commands = [&["sql", "SELECT 1"][..], &["verify"], &["flush"], &["compact"], &["checkpoint", "copy"]];
    for args in commands {
        let line = place.fails(1, args);
        assert!(line.contains("db: no such data directory") && line.contains("--data"), "{line}");
    }
    assert!(!place.data().exists());
    let line = place.fails(1, &["sql", "-f", "missing.sql"]);
    assert!(line.contains("missing.sql"), "{line}");
    let line = place.fails(1, &["inspect", "table", "missing.sst"]);
    assert!(line.contains("missing.sst"), "{line}");
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    place.write("db/notes.txt", "mine");
    let line = place.fails(1, &["sql", "SELECT 1"]);
    assert!(line.contains("notes.txt"), "{line}");
    place.write("trades.csv", crate::support::TRADES);
    place.fails(1, &["import", "trades", "trades.csv"]);
    assert_eq!(std::fs::read_to_string(place.path("db/notes.txt")).unwrap(), "mine");
}

#[test]
fn bad_sql_is_told_in_one_line() {
    let place = Place::with_trades();
    for (query, part) in [
        ("SELEC 1", "SELEC"),
        ("SELECT nothing FROM trades", "nothing"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("DROP TABLE trades", "SQL reads"),
        ("INSERT INTO trades SELECT * FROM trades", ""),
        ("SELECT 'open", ""),
    ] {
        let line = place.fails(1, &["sql", query]);
        assert!(line.contains(part), "{query}: {line}");
    }
    place.fails(2, &["sql", " ; -- nothing"]);
}

#[test]
fn a_directory_in_use_names_the_process() {
    let place = Place::with_trades();
    let mut holder = place
        .command(&["sql"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = holder.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"SELECT 1 AS one;\n").unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    for args in [
        &["sql", "SELECT 1"][..],
        &["flush"],
        &["verify"],
        &["checkpoint", "copy"],
        &["import", "trades", "trades.csv"],
    ] {
        let line = place.fails(1, args);
        let owner = format!("process {} (tapebook sql", holder.id());
        assert!(line.contains(&owner), "{args:?}: {line}");
    }
    drop(input);
    assert!(holder.wait().unwrap().success());
    place.ok(&["flush"]);
}

#[test]
fn what_must_not_be_written_is_named() {
    let place = Place::with_trades();
    let line = place.fails(1, &["sql", "SELECT 1", "--output", "no/such/dir/x.csv"]);
    assert!(line.contains("no/such/dir/x.csv"), "{line}");
    let line = place.fails(1, &["sql", "SELECT 1", "--output", "."]);
    assert!(line.contains("directory"), "{line}");
    let line = place.fails(1, &["import", "trades", "trades.csv", "--data", "trades.csv/db"]);
    assert!(line.contains("trades.csv") && line.contains("--data"), "{line}");
}

#[test]
fn a_newer_format_is_refused_and_named() {
    let place = Place::with_trades();
    let path = place.path("db/IDENTITY");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8..12].copy_from_slice(&99_u32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let line = place.fails(1, &["sql", "SELECT 1"]);
    assert!(line.contains("IDENTITY"), "{line}");
}

#[test]
fn damage_is_found_and_named() {
    let place = Place::with_trades();
    place.ok(&["flush"]);
    let table = the_file(&place.path("db/tables"), ".sst");
    let mut bytes = std::fs::read(&table).unwrap();
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    std::fs::write(&table, bytes).unwrap();
    let ran = place.run(&["verify"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let name = table.file_name().unwrap().to_str().unwrap();
    assert!(ran.out.contains(name) && ran.out.contains("1 problem"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    let line = place.run(&["inspect", "table", table.to_str().unwrap()]);
    assert!(line.code == 1 && line.err.contains(name), "{line:?}");
}
