//! The forms of results.

use std::fs::File;
use std::process::Stdio;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::Place;

const QUERY: &str = "SELECT ts, symbol, price, size, side, seq FROM trades ORDER BY seq";

#[test]
fn text_forms() {
    let place = Place::with_trades();
    let table = place.ok(&["sql", QUERY]);
    assert_eq!(
        table,
        concat!(
            " ts                             | symbol |   price |  size | side | seq\n",
            "--------------------------------+--------+---------+-------+------+-----\n",
            " 2024-08-09T00:00:00.000000001Z | B.ETH  |  3120.5 |  1.25 | buy  |   1\n",
            " 2024-08-09T00:00:01.000000000Z | B.BTC  | 61800.2 | 0.006 | sell |   2\n",
            " 2024-08-09T00:00:02.000000000Z | B.BTC  | 61800.3 |       |      |   3\n",
        )
    );
    assert_eq!(
        place.ok(&["sql", "--format", "csv", QUERY]),
        "ts,symbol,price,size,side,seq\n\
         2024-08-09T00:00:00.000000001Z,B.ETH,3120.5,1.25,buy,1\n\
         2024-08-09T00:00:01.000000000Z,B.BTC,61800.2,0.006,sell,2\n\
         2024-08-09T00:00:02.000000000Z,B.BTC,61800.3,,,3\n"
    );
    let last = r#"{"ts":"2024-08-09T00:00:02.000000000Z","symbol":"B.BTC","price":61800.3,"size":null,"side":null,"seq":3}"#;
    let json = place.ok(&["sql", "--format", "json", QUERY]);
    assert!(json.starts_with("[{") && json.ends_with(&format!("{last}]\n")), "{json}");
    let lines = place.ok(&["sql", "--format", "ndjson", QUERY]);
    assert_eq!(lines.lines().last(), Some(last));
    assert_eq!(place.ok(&["sql", "--format", "json", "SELECT 1 AS one FROM trades WHERE seq > 9"]), "[]\n");
}

#[test]
fn binary_forms_keep_every_value() {
    let place = Place::with_trades();
    place.ok(&["sql", QUERY, "--output", "t.parquet"]);
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(place.path("t.parquet")).unwrap()).unwrap();
    check(reader.build().unwrap().map(Result::unwrap).collect());

    place.ok(&["sql", QUERY, "--output", "t.arrow"]);
    let file = File::open(place.path("t.arrow")).unwrap();
    check(arrow::ipc::reader::FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect());

    let streamed = place.command(&["sql", QUERY, "--format", "arrow"]).output().unwrap();
    assert!(streamed.status.success());
    let reader = arrow::ipc::reader::StreamReader::try_new(streamed.stdout.as_slice(), None).unwrap();
    check(reader.map(Result::unwrap).collect());
}

fn check(batches: Vec<RecordBatch>) {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 3);
    let schema = batches[0].schema();
    assert_eq!(schema.field(5).data_type(), &DataType::UInt64);
    assert!(matches!(schema.field(0).data_type(), DataType::Timestamp(_, Some(_))));
    let nulls: usize = batches.iter().map(|batch| batch.column(3).null_count()).sum();
    assert_eq!(nulls, 1);
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let place = Place::with_trades();
    place.write("old.csv", "old");
    place.fails(1, &["sql", "SELECT nothing FROM trades", "--output", "old.csv"]);
    assert_eq!(std::fs::read_to_string(place.path("old.csv")).unwrap(), "old");
    place.ok(&["sql", "SELECT seq FROM trades ORDER BY seq", "--output", "old.csv"]);
    assert_eq!(std::fs::read_to_string(place.path("old.csv")).unwrap(), "seq\n1\n2\n3\n");
    let left: Vec<_> =
        std::fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".tmp")), "{left:?}");
    let line = place.fails(2, &["sql", "SELECT 1; SELECT 2", "--output", "two.csv"]);
    assert!(line.contains("one result"), "{line}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::with_trades();
    let many = "SELECT * FROM generate_series(1, 3000000)";
    for format in ["table", "csv", "ndjson", "json", "arrow", "parquet"] {
        let mut child = place
            .command(&["sql", many, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{format}: {output:?}");
    }
}

#[test]
fn order_books_have_a_form_in_text() {
    let place = Place::new();
    place.write(
        "book.csv",
        "ts,symbol,bid_price_1,bid_size_1,ask_price_1,ask_size_1\n2024-08-09,A,1.5,2,1.6,3\n",
    );
    let ran = place.run(&["import", "book_snapshots", "book.csv"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        place.sql("SELECT bids, asks FROM book_snapshots"),
        "\"[{\"\"price\"\":1.5,\"\"size\"\":2.0}]\",\"[{\"\"price\"\":1.6,\"\"size\"\":3.0}]\""
    );
}
