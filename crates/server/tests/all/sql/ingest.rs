//! Bulk ingest.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StringDictionaryBuilder,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::Int32Type;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::stream;
use tonic::Code;

use super::support::{Client, Place, Refused, query};

fn command(table: &str, exists: TableExistsOption) -> CommandStatementIngest {
    let options =
        TableDefinitionOptions { if_not_exist: TableNotExistOption::Fail as i32, if_exists: exists as i32 };
    CommandStatementIngest {
        table: table.to_owned(),
        table_definition_options: Some(options),
        ..CommandStatementIngest::default()
    }
}

async fn ingest(
    client: &mut Client,
    command: CommandStatementIngest,
    batches: Vec<RecordBatch>,
) -> Result<i64, Refused> {
    let batches: Vec<Result<RecordBatch, FlightError>> = batches.into_iter().map(Ok).collect();
    Ok(client.execute_ingest(command, stream::iter(batches)).await?)
}

/// Trades with times in `times` and aliases for names.
fn trades(times: Vec<i64>, symbol: &str) -> RecordBatch {
    let rows = times.len();
    let mut symbols = StringDictionaryBuilder::<Int32Type>::new();
    (0..rows).for_each(|_| symbols.append_value(symbol));
    RecordBatch::try_from_iter([
        ("timestamp", Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC")) as ArrayRef),
        ("symbol", Arc::new(symbols.finish())),
        ("px", Arc::new(Float64Array::from_iter((0..rows).map(|row| (row > 0).then_some(row as f64))))),
        ("qty", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
        ("side", Arc::new(StringArray::from_iter((0..rows).map(|row| Some(["buy", "S"][row % 2]))))),
    ])
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_appended_in_order_and_counted() {
    let place = Place::with_trades().await;
    let mut client = place.client("trades-writer").await;
    let batches = vec![trades((0..10_000).collect(), "C"), trades(vec![5, 4], "D")];
    assert_eq!(
        ingest(&mut client, command("trades", TableExistsOption::Append), batches).await.unwrap(),
        10_002
    );
    assert_eq!(
        place.rows("SELECT symbol, count(*), min(seq), max(seq), count(price), sum(size) FROM trades WHERE seq > 201 GROUP BY symbol ORDER BY symbol").await,
        "C 10000 202 10201 9999 49995000.0 | D 2 10202 10203 1 1.0"
    );
    assert_eq!(
        place.rows("SELECT side, price FROM trades WHERE symbol = 'D' ORDER BY seq").await,
        "buy - | sell 1.0"
    );
    assert!(
        place.node().metrics.render(place.node()).unwrap().contains("tapebook_ingested_rows_total 10002")
    );
    assert_eq!(
        ingest(&mut client, command("trades", TableExistsOption::Append), vec![trades(vec![], "E")])
            .await
            .unwrap(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_can_be_written_back() {
    let place = Place::with_trades().await;
    let mut client = place.client("writer").await;
    let read = query(&mut client, "SELECT * FROM trades ORDER BY seq").await.unwrap();
    assert_eq!(ingest(&mut client, command("trades", TableExistsOption::Append), read).await.unwrap(), 200);
    assert_eq!(
        place.rows("SELECT count(*), count(DISTINCT ts), sum(price) FROM trades WHERE symbol = 'B'").await,
        "100 50 17450.0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_neither_made_nor_replaced() {
    let place = Place::with_trades().await;
    let mut client = place.client("admin").await;
    let rows = || vec![trades(vec![1], "C")];
    for (command, code, part) in [
        (command("trades", TableExistsOption::Replace), Code::InvalidArgument, "cannot be replaced"),
        (command("trades", TableExistsOption::Fail), Code::InvalidArgument, "mode `append`"),
        (command("trades", TableExistsOption::Unspecified), Code::InvalidArgument, "mode `append`"),
        (command("nowhere", TableExistsOption::Append), Code::NotFound, "no table \"nowhere\""),
        (command("tables", TableExistsOption::Append), Code::NotFound, "no table"),
        (
            CommandStatementIngest {
                schema: Some("sys".to_owned()),
                ..command("wal", TableExistsOption::Append)
            },
            Code::InvalidArgument,
            "tapebook.public",
        ),
        (
            CommandStatementIngest { temporary: true, ..command("trades", TableExistsOption::Append) },
            Code::InvalidArgument,
            "temporary",
        ),
        (
            CommandStatementIngest {
                transaction_id: Some(b"x".to_vec().into()),
                ..command("trades", TableExistsOption::Append)
            },
            Code::Unimplemented,
            "transactions",
        ),
    ] {
        ingest(&mut client, command, rows()).await.unwrap_err().is(code, part);
    }
    assert_eq!(place.rows("SELECT count(*) FROM trades").await, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_needs_the_right_for_the_table() {
    let place = Place::with_trades().await;
    for (token, table) in [("reader", "trades"), ("trades-writer", "quotes")] {
        let mut client = place.client(token).await;
        let refused =
            ingest(&mut client, command(table, TableExistsOption::Append), vec![trades(vec![1], "C")]).await;
        refused.unwrap_err().is(Code::PermissionDenied, "may not write");
    }
    assert_eq!(place.rows("SELECT count(*) FROM trades").await, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_without_a_place_are_refused_before_anything_is_written() {
    let place = Place::with_trades().await;
    let mut client = place.client("writer").await;
    let append = || command("trades", TableExistsOption::Append);
    let good = trades(vec![1, 2], "C");
    let with = |name: &str, column: ArrayRef| {
        let schema = good.schema();
        let names = schema.fields().iter().map(|field| field.name().clone());
        let columns = names.zip(good.columns().to_vec());
        RecordBatch::try_from_iter(columns.collect::<Vec<_>>().into_iter().chain([(name.to_owned(), column)]))
            .unwrap()
    };
    let flavor = with("flavor", Arc::new(StringArray::from(vec!["x", "y"])));
    ingest(&mut client, append(), vec![flavor]).await.unwrap_err().is(Code::InvalidArgument, "flavor");
    let no_symbol = good.project(&[0, 2]).unwrap();
    ingest(&mut client, append(), vec![no_symbol]).await.unwrap_err().is(Code::InvalidArgument, "symbol");
    let no_time = RecordBatch::try_from_iter([
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![None])) as ArrayRef),
        ("symbol", Arc::new(StringArray::from(vec!["C"]))),
    ]);
    ingest(&mut client, append(), vec![no_time.unwrap()]).await.unwrap_err().is(Code::InvalidArgument, "ts");
    assert_eq!(place.rows("SELECT count(*) FROM trades").await, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_before_a_bad_one_stay_and_are_named() {
    let place = Place::with_trades().await;
    let mut client = place.client("writer").await;
    let bad = RecordBatch::try_from_iter([
        ("timestamp", Arc::new(TimestampNanosecondArray::from(vec![3]).with_timezone("UTC")) as ArrayRef),
        ("symbol", trades(vec![1], "C").column(1).clone()),
        ("px", Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("qty", Arc::new(Int64Array::from(vec![1]))),
        ("side", Arc::new(StringArray::from(vec!["buy"]))),
    ]);
    let batches = vec![trades(vec![1, 2], "C"), bad.unwrap(), trades(vec![4], "C")];
    let refused =
        ingest(&mut client, command("trades", TableExistsOption::Append), batches).await.unwrap_err();
    refused.is(Code::InvalidArgument, "row 3");
    refused.is(Code::InvalidArgument, "2 rows before that are written, seq 202..203");
    assert_eq!(place.rows("SELECT count(*) FROM trades WHERE symbol = 'C'").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_off_leaves_whole_batches() {
    let place = Place::with_trades().await;
    let mut client = place.client("writer").await;
    let batches =
        stream::iter([Ok(trades(vec![1, 2], "C")), Err(FlightError::ProtocolError("enough".to_owned()))]);
    let broken = client.execute_ingest(command("trades", TableExistsOption::Append), batches).await;
    assert!(broken.is_err());
    let left = place.rows("SELECT count(*) FROM trades WHERE symbol = 'C'").await;
    assert!(left == "0" || left == "2", "{left}");
    // The server is as good as before.
    assert_eq!(
        ingest(&mut client, command("trades", TableExistsOption::Append), vec![trades(vec![9], "D")])
            .await
            .unwrap(),
        1
    );
}
