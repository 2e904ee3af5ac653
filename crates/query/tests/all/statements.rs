//! What is known of a statement before it runs.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use tapebook_query::{Reads, SqlEngine, SqlError, SqlOptions};

use crate::support::Place;

fn engine(options: SqlOptions) -> SqlEngine {
    SqlEngine::new(&options).unwrap()
}

#[test]
fn it_says_what_it_reads_wherever_that_stands() {
    let place = Place::new();
    let engine = engine(SqlOptions::default());
    for (sql, expected) in [
        ("SELECT 1", ""),
        ("SELECT * FROM information_schema.tables, generate_series(1, 2)", ""),
        ("WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 3) SELECT * FROM n", ""),
        ("SELECT * FROM tapebook.public.trades", "trades"),
        ("SELECT (SELECT max(seq) FROM quotes) FROM as_of('trades', 0)", "quotes trades"),
        ("SELECT 1 FROM trades WHERE EXISTS (SELECT 1 FROM sys.wal)", "trades sys.wal"),
        ("EXPLAIN SELECT * FROM orders", "orders"),
    ] {
        let statement = place.runtime.block_on(engine.prepare(&place.db, sql, None));
        let reads = statement.unwrap_or_else(|error| panic!("{sql}: {error}")).reads().unwrap();
        let names = reads.iter().map(|reads| match reads {
            Reads::Table(name) => name.clone(),
            Reads::System(name) => format!("sys.{name}"),
        });
        assert_eq!(names.collect::<Vec<_>>().join(" "), expected, "{sql}");
    }
}

#[test]
fn its_columns_are_those_that_come() {
    let place = Place::new();
    place.append_trades("A", 0..3);
    let engine = engine(SqlOptions::default());
    let sql = "SELECT symbol, count(*) FROM trades WHERE symbol = ? GROUP BY 1";
    let statement = place.runtime.block_on(engine.prepare(&place.db, sql, None)).unwrap();
    assert_eq!(statement.parameters().unwrap().field(0).name(), "$1");
    let columns = [("symbol", Arc::new(StringArray::from(vec!["A"])) as ArrayRef)];
    let parameters = RecordBatch::try_from_iter(columns).unwrap();
    let planned = place.runtime.block_on(statement.plan(Some(&parameters))).unwrap();
    let schema = planned.schema();
    let rows = place.runtime.block_on(async { planned.run()?.collect().await }).unwrap();
    assert_eq!((rows[0].schema(), rows[0].num_rows()), (schema, 1));
}

#[test]
fn a_query_has_its_own_share_of_memory_and_no_files() {
    let place = Place::new();
    let options = SqlOptions { query_memory_bytes_max: 4 << 20, spill_bytes_max: 0, ..SqlOptions::default() };
    let engine = engine(options);
    let sql = "SELECT value FROM generate_series(1, 10000000) ORDER BY value DESC";
    let ask =
        |sql: &str| place.runtime.block_on(async { engine.query(&place.db, sql).await?.collect().await });
    let refused = ask(sql).unwrap_err();
    assert!(matches!(refused, SqlError::Memory(_)), "{refused:?}");
    // What it had is free again.
    let rows = ask("SELECT value FROM generate_series(1, 1000) ORDER BY value DESC").unwrap();
    assert_eq!(rows[0].num_rows(), 1000);
}
