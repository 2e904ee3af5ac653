//! Prepared statements with parameters.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, CommandPreparedStatementQuery, ProstMessageExt,
};
use arrow_flight::{Action, FlightDescriptor};
use prost::Message;
use tonic::Code;

use super::support::{Place, Refused, fetch, text};

fn row(values: Vec<ArrayRef>) -> RecordBatch {
    let columns = (1..).zip(values).map(|(number, values)| (format!("${number}"), values));
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_bound_and_bound_again() {
    let place = Place::with_trades().await;
    let mut client = place.client("reader").await;
    for sql in [
        "SELECT count(*), min(price) FROM trades WHERE symbol = $1 AND price >= $2",
        "SELECT count(*), min(price) FROM trades WHERE symbol = ? AND price >= ? -- ?",
    ] {
        let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
        let types: Vec<String> = prepared
            .parameter_schema()
            .unwrap()
            .fields()
            .iter()
            .map(|field| field.data_type().to_string())
            .collect();
        assert_eq!(types, ["Utf8", "Float64"]);
        assert_eq!(prepared.dataset_schema().unwrap().fields().len(), 2);
        for (symbol, price, expected) in [("A", 100.0, "50 100.0"), ("B", 0.0, "50 150.0"), ("C", 0.0, "0 -")]
        {
            let symbol: ArrayRef = Arc::new(StringArray::from(vec![symbol]));
            let price: ArrayRef = Arc::new(Float64Array::from(vec![price]));
            prepared.set_parameters(row(vec![symbol, price])).unwrap();
            let info = prepared.execute().await.unwrap();
            assert_eq!(text(&fetch(&mut client, info).await.unwrap()), expected, "{sql}");
        }
        prepared.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_reads_what_is_there_when_it_runs() {
    let place = Place::with_trades().await;
    let mut client = place.client("reader").await;
    let mut prepared = client.prepare("SELECT count(*) FROM trades".to_owned(), None).await.unwrap();
    assert!(prepared.parameter_schema().unwrap().fields().is_empty());
    let info = prepared.execute().await.unwrap();
    place.append_trades("C", 0..5);
    assert_eq!(text(&fetch(&mut client, info).await.unwrap()), "200", "as planned");
    let info = prepared.execute().await.unwrap();
    assert_eq!(text(&fetch(&mut client, info).await.unwrap()), "205");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_and_a_time_are_parameters_too() {
    let place = Place::with_trades().await;
    let mut client = place.client("reader").await;
    let sql = "SELECT price FROM trades WHERE ts >= $1 ORDER BY seq LIMIT $2";
    let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
    let ts: ArrayRef = Arc::new(arrow::array::TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC"));
    prepared.set_parameters(row(vec![ts, Arc::new(Int64Array::from(vec![2]))])).unwrap();
    let info = prepared.execute().await.unwrap();
    assert_eq!(text(&fetch(&mut client, info).await.unwrap()), "0.0 | 1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_refused() {
    let place = Place::with_trades().await;
    let mut client = place.client("reader").await;
    let sql = "SELECT count(*) FROM trades WHERE symbol = $1";
    let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
    let none = Refused::from(prepared.execute().await.unwrap_err());
    none.is(Code::InvalidArgument, "1 parameters, 0 were given");
    prepared.set_parameters(row(vec![Arc::new(StringArray::from(vec!["A", "B"]))])).unwrap();
    Refused::from(prepared.execute().await.unwrap_err()).is(Code::InvalidArgument, "one row");
    let long = "x".repeat(2 << 20);
    prepared.set_parameters(row(vec![Arc::new(StringArray::from(vec![long]))])).unwrap();
    Refused::from(prepared.execute().await.unwrap_err()).is(Code::InvalidArgument, "bytes");
    for sql in ["SELECT $2", "SELECT $name", "SELECT $0"] {
        let refused = client.prepare(sql.to_owned(), None).await.map(drop).unwrap_err();
        Refused::from(refused).is(Code::InvalidArgument, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_belongs_to_whoever_prepared_it() {
    let place = Place::with_trades().await;
    let mut raw = place.raw().await;
    let request = ActionCreatePreparedStatementRequest { query: "SELECT 1".to_owned(), transaction_id: None };
    let action = Action {
        r#type: "CreatePreparedStatement".to_owned(),
        body: request.as_any().encode_to_vec().into(),
    };
    let mut results = raw.do_action(place.by("reader", action)).await.unwrap().into_inner();
    let any = Any::decode(&*results.message().await.unwrap().unwrap().body).unwrap();
    let created: ActionCreatePreparedStatementResult = any.unpack().unwrap().unwrap();
    let prepared_statement_handle = created.prepared_statement_handle;
    let command =
        CommandPreparedStatementQuery { prepared_statement_handle: prepared_statement_handle.clone() };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    assert!(raw.get_flight_info(place.by("reader", descriptor.clone())).await.is_ok());
    let stolen = raw.get_flight_info(place.by("writer", descriptor.clone())).await.unwrap_err();
    Refused(stolen).is(Code::NotFound, "prepared statement");
    let close = ActionClosePreparedStatementRequest { prepared_statement_handle };
    let close =
        Action { r#type: "ClosePreparedStatement".to_owned(), body: close.as_any().encode_to_vec().into() };
    let stolen = raw.do_action(place.by("writer", close.clone())).await.unwrap_err();
    Refused(stolen).is(Code::NotFound, "prepared statement");
    raw.do_action(place.by("reader", close)).await.unwrap();
    let closed = raw.get_flight_info(place.by("reader", descriptor)).await.unwrap_err();
    Refused(closed).is(Code::NotFound, "prepared statement");
}
