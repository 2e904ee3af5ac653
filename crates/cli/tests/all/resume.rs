//! An import that was cut off goes on where it stopped: `kill -9` of the real process, again and again, and every row of the
//! file is there once.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use tapebook::{Batch, Db, Durability, FeedNumbers, Producer, Trade};
use tapebook_market::random::Random;

use crate::support::{Place, TRADES};

const ROWS: u64 = 60_000;

fn rows_file(place: &Place, name: &str, rows: std::ops::RangeInclusive<u64>) {
    let rows: String = rows.map(|row| format!("{row},S{},1.5,{row}\n", row % 7)).collect();
    place.write(name, &format!("ts,symbol,price,trade_id\n{rows}"));
}

/// Numbers of the rows in journal order, as ranges that follow one another.
fn stored(place: &Place) -> String {
    place.sql(
        "SELECT count(*), count(DISTINCT id), min(id), max(id), count(*) FILTER (WHERE id = 1 OR id = before + 1)
         FROM (SELECT id, lag(id) OVER (ORDER BY seq) AS before
               FROM (SELECT seq, CAST(trade_id AS BIGINT) AS id FROM trades))",
    )
}

#[test]
fn a_killed_import_goes_on_until_every_row_is_there_once() {
    let place = Place::new();
    // Two files, so that it is cut off in both, and between them.
    rows_file(&place, "first.csv", 1..=ROWS / 2);
    rows_file(&place, "second.csv", ROWS / 2 + 1..=ROWS);
    let args = [
        "import",
        "trades",
        "first.csv",
        "second.csv",
        "--time-unit",
        "s",
        "--batch-rows",
        "150",
        "--progress-receipts",
    ];
    let mut random = Random::new(11);
    let (mut kills, mut went_on) = (0, 0);
    let last = loop {
        let receipts = random.below(12);
        let mut child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        for _ in 0..receipts {
            line.clear();
            out.read_line(&mut line).unwrap();
        }
        let ended = line.starts_with("imported ");
        if !ended {
            child.kill().unwrap();
            kills += 1;
        }
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        went_on += u64::from(told.contains("continues an import that was cut off after "));
        if ended {
            break line;
        }
        // Before its first file is complete there is no database yet.
        if place.data().join("CURRENT").exists() {
            place.ok(&["verify"]);
        }
        assert!(kills < 500, "it never comes to its end");
    };
    // How far it comes before it is killed depends on the machine.
    assert!(kills > 4 && went_on > 2, "{kills} kills, went on {went_on} times");
    // The last one that was killed may have had nothing left to do but to say so.
    assert!(last.ends_with(&format!("..{ROWS}\n")) || last.starts_with("imported 0 rows"), "{last}");
    assert_eq!(stored(&place), format!("{ROWS},{ROWS},1,{ROWS},{ROWS}"));

    let again = place.run(&args);
    assert_eq!((again.code, again.out.as_str()), (0, "imported 0 rows, skipped 0, seq -\n"));
    assert!(again.err.contains(&format!("already imported, {ROWS} rows up to seq {ROWS}")), "{again:?}");
}

#[test]
fn a_complete_import_is_not_repeated_unless_it_is_asked_for() {
    let place = Place::with_trades();
    let ran = place.run(&["import", "trades", "trades.csv"]);
    assert_eq!(ran.out, "imported 0 rows, skipped 0, seq -\n");
    assert!(ran.err.contains("already imported, seq 1..3; --again imports it anew"), "{ran:?}");
    std::fs::copy(place.path("trades.csv"), place.path("copy.csv")).unwrap();
    assert_eq!(place.ok(&["import", "trades", "copy.csv"]), "imported 0 rows, skipped 0, seq -\n");
    for seqs in ["4..6", "7..9"] {
        let out = place.ok(&["import", "trades", "trades.csv", "--again"]);
        assert_eq!(out, format!("imported 3 rows, skipped 0, seq {seqs}\n"));
    }
    assert!(place.run(&["import", "trades", "trades.csv"]).err.contains("already imported, seq 7..9"));
    // What is read in another way, or has other content, is another import.
    let out = place.ok(&["import", "trades", "trades.csv", "--set", "venue=X"]);
    assert_eq!(out, "imported 3 rows, skipped 0, seq 10..12\n");
    place.write("trades.csv", &TRADES.replace("3120.5", "3120.6"));
    assert_eq!(place.ok(&["import", "trades", "trades.csv"]), "imported 3 rows, skipped 0, seq 13..15\n");
}

/// A bad row ends the import, and the rows before it are in the database. The same command says so again, and imports nothing twice.
#[test]
fn an_import_that_a_bad_row_stopped_says_what_is_there() {
    let place = Place::new();
    place.write("bad.csv", "ts,symbol,price\n2024-08-09,A,1\n2024-08-09,A,2\n2024-08-09,A,cheap\n");
    assert!(place.fails(1, &["import", "trades", "bad.csv"]).contains("2 rows before that are imported"));
    let line = place.fails(1, &["import", "trades", "bad.csv"]);
    assert!(line.contains("row 4") && line.contains("2 rows before that were imported earlier"), "{line}");
    assert_eq!(place.sql("SELECT count(*) FROM trades"), "2");
}

#[test]
fn an_import_can_fill_the_gaps_of_a_feed() {
    let place = Place::new();
    let db = Db::open(place.data()).unwrap();
    db.declare_feed(7, FeedNumbers::PerSymbol).unwrap().wait().unwrap();
    let mut batch = Batch::from_producer(Producer { id: 7, epoch: 1, batch_number: 1 });
    for number in [1, 5] {
        batch.push(Trade { symbol: "A", feed_seq: Some(number), ..Trade::default() }).unwrap();
    }
    db.append(batch, Durability::Synced).unwrap().wait().unwrap();
    db.close().unwrap();
    place.write("missing.csv", "ts,symbol,price,feed_seq\n2024-08-09,A,1,3\n2024-08-09,A,1,2\n");
    let line = place.fails(1, &["import", "trades", "missing.csv", "--backfill", "8"]);
    assert!(line.contains("producer 8 has declared no feed"), "{line}");
    place.ok(&["import", "trades", "missing.csv", "--backfill", "7"]);
    let gaps = "SELECT from_feed_seq, to_feed_seq, closed_seq FROM sys.gaps ORDER BY from_feed_seq";
    assert_eq!(place.sql(gaps), "2,2,4\n3,3,3\n4,4,");
    let feeds = "SELECT feed, last_batch_number FROM sys.producers ORDER BY feed";
    assert_eq!(place.sql(feeds), "backfill of 7,1\nper symbol,1");
}
