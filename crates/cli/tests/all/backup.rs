//! `tapebook backup`: what was imported comes back, up to any sequence.

use crate::support::{Place, the_file};

const COUNT: &str = "SELECT count(*), max(seq) FROM trades";

fn count(place: &Place, data: &str) -> String {
    let out = place.ok(&["sql", "--format", "csv", "--data", data, COUNT]);
    out.split_once('\n').unwrap().1.trim_end().to_owned()
}

#[test]
fn backups_are_made_listed_verified_and_restored() {
    let place = Place::with_trades();
    let ran = place.run(&["backup", "create", "target"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.contains("backup 1 in target: seq 1..3; copied"), "{ran:?}");
    for _ in 0..2 {
        place.ok(&["import", "trades", "trades.csv", "--again"]);
    }
    place.ok(&["backup", "create", "target", "--quiet"]);
    let listed = place.ok(&["backup", "list", "target"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("000001  2") && lines[1].contains("seq 1..9"),
        "{listed}"
    );
    assert!(place.ok(&["backup", "verify", "target"]).contains("2 backups"));

    let out = place.ok(&["backup", "restore", "target", "--data", "latest"]);
    assert!(out.starts_with("restored seq 1..9, committed 2") && out.contains("epoch 1"), "{out}");
    assert_eq!(count(&place, "latest"), "9,9");
    // Between the two backups, and inside a batch.
    let out = place.ok(&["backup", "restore", "target", "--data", "inside", "--to-seq", "8"]);
    assert!(out.starts_with("restored seq 1..6, "), "{out}");
    assert_eq!(count(&place, "inside"), "6,6");
    assert!(place.ok(&["verify", "--data", "inside"]).contains("0 problems"));
    assert!(
        place.ok(&["import", "trades", "trades.csv", "--again", "--data", "inside"]).contains("seq 7..9")
    );
    let out = place.ok(&["backup", "restore", "target", "--data", "future", "--to", "2200-01-01"]);
    assert!(out.starts_with("restored seq 1..9, "), "{out}");
}

#[test]
fn what_cannot_be_restored_is_named() {
    let place = Place::with_trades();
    place.fails(2, &["backup", "restore", "target", "--to", "yesterday"]);
    place.fails(2, &["backup", "restore", "target", "--to", "2024-08-09", "--to-seq", "3"]);
    for action in ["list", "verify", "restore"] {
        let line = place.fails(1, &["backup", action, "nowhere"]);
        assert!(line.contains("nowhere: no such directory"), "{line}");
    }
    place.ok(&["backup", "create", "target"]);
    let line = place.fails(1, &["backup", "restore", "target"]);
    assert!(line.contains("db: is not empty") && line.contains("--data"), "{line}");
    let line = place.fails(1, &["backup", "restore", "target", "--data", "early", "--to", "2000-01-01"]);
    assert!(line.contains("nothing lies within the bound"), "{line}");

    let table = the_file(&place.path("target/objects/tables"), ".sst");
    let mut bytes = std::fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&table, bytes).unwrap();
    let ran = place.run(&["backup", "verify", "target"]);
    let name = table.file_name().unwrap().to_str().unwrap();
    assert!(ran.code == 1 && ran.out.contains(name) && ran.err.lines().count() == 1, "{ran:?}");
    let line = place.fails(1, &["backup", "restore", "target", "--data", "damaged"]);
    assert!(line.contains(name), "{line}");
    let line = place.fails(1, &["sql", "SELECT 1", "--data", "damaged"]);
    assert!(line.contains("interrupted"), "{line}");
}
