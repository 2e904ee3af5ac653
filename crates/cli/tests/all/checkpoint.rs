//! `tapebook checkpoint`: what it makes is a database, and what is in its way is left alone.

use crate::support::Place;

const COUNT: &str = "SELECT count(*), max(seq) FROM trades";

#[test]
fn a_checkpoint_is_opened_and_verified_like_any_database() {
    let place = Place::with_trades();
    let ran = place.run(&["checkpoint", "copy"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.contains("checkpoint copy: seq 1..3, 1 SSTable (2 files linked)"), "{ran:?}");
    place.ok(&["import", "trades", "trades.csv", "--again"]);
    assert_eq!(place.sql(COUNT), "6,6");
    let copy = |args: &[&str]| place.ok(&[args, &["--data", "copy"]].concat());
    assert!(copy(&["verify"]).contains("0 problems"));
    assert!(copy(&["sql", "--format", "csv", COUNT]).ends_with("3,3\n"));
    assert!(copy(&["import", "trades", "trades.csv", "--again"]).contains("seq 4..6"));
    assert!(place.ok(&["verify"]).contains("0 problems"));
}

#[test]
fn a_checkpoint_replaces_nothing() {
    let place = Place::with_trades();
    place.ok(&["checkpoint", "copy", "--quiet"]);
    let line = place.fails(1, &["checkpoint", "copy"]);
    assert!(line.contains("copy: is not empty") && line.contains("CURRENT"), "{line}");
    let line = place.fails(1, &["checkpoint", "db/copy"]);
    assert!(line.contains("inside the data directory"), "{line}");
    let line = place.fails(1, &["checkpoint", "trades.csv"]);
    assert!(line.contains("trades.csv"), "{line}");
    assert!(place.ok(&["verify", "--data", "copy"]).contains("0 problems"));
}
