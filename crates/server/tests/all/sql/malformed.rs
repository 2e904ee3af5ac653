//! Bytes that are no command, no ticket and no Arrow are refused and harm nobody.

use arrow_flight::sql::{
    Any, CommandPreparedStatementQuery, CommandStatementIngest, CommandStatementUpdate, ProstMessageExt,
    TicketStatementQuery,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, Ticket};
use futures::stream;
use prost::Message;
use tonic::Code;

use super::support::{Place, query, text};

/// What somebody could send instead of a command.
fn garbage() -> Vec<Vec<u8>> {
    let known = TicketStatementQuery::type_url().to_owned();
    let any = |type_url: &str, value: &[u8]| {
        Any { type_url: type_url.to_owned(), value: value.to_vec().into() }.encode_to_vec()
    };
    vec![
        Vec::new(),
        vec![0xff; 64],
        b"SELECT 1".to_vec(),
        any("", b""),
        any("type.googleapis.com/nothing", b"x"),
        any(&known, &[0xff; 10]),
        any(&known, b""),
        any(&"x".repeat(100_000), b""),
        TicketStatementQuery { statement_handle: vec![0; 15].into() }.as_any().encode_to_vec(),
        TicketStatementQuery { statement_handle: vec![0; 16].into() }.as_any().encode_to_vec(),
        TicketStatementQuery { statement_handle: vec![0; 1 << 20].into() }.as_any().encode_to_vec(),
        CommandPreparedStatementQuery { prepared_statement_handle: vec![7; 16].into() }
            .as_any()
            .encode_to_vec(),
        CommandStatementUpdate { query: "DELETE FROM trades".to_owned(), transaction_id: None }
            .as_any()
            .encode_to_vec(),
    ]
}

fn is_refusal(code: Code) -> bool {
    matches!(code, Code::InvalidArgument | Code::NotFound | Code::Unimplemented)
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_everywhere() {
    let place = Place::with_trades().await;
    let mut raw = place.raw().await;
    for bytes in garbage() {
        let descriptor = FlightDescriptor::new_cmd(bytes.clone());
        let data = FlightData { flight_descriptor: Some(descriptor.clone()), ..FlightData::default() };
        let refusals = [
            raw.get_flight_info(place.by("admin", descriptor.clone())).await.map(drop),
            raw.get_schema(place.by("admin", descriptor)).await.map(drop),
            raw.do_get(place.by("admin", Ticket { ticket: bytes.clone().into() })).await.map(drop),
            raw.do_put(place.by("admin", stream::iter([data]))).await.map(drop),
        ];
        for refusal in refusals {
            let status = refusal.expect_err("garbage");
            assert!(is_refusal(status.code()), "{bytes:?}: {status:?}");
            assert!(status.message().len() < 1_000, "{status:?}");
        }
        for name in
            ["CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "CancelQuery", "x", ""]
        {
            let action = Action { r#type: name.to_owned(), body: bytes.clone().into() };
            if let Err(status) = raw.do_action(place.by("admin", action)).await {
                assert!(is_refusal(status.code()), "{name} {bytes:?}: {status:?}");
            }
        }
    }
    assert_eq!(
        text(&query(&mut place.client("reader").await, "SELECT count(*) FROM trades").await.unwrap()),
        "200"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_must_be_arrow() {
    let place = Place::with_trades().await;
    let mut raw = place.raw().await;
    let options = arrow_flight::sql::TableDefinitionOptions { if_not_exist: 2, if_exists: 2 };
    let command = CommandStatementIngest {
        table: "trades".to_owned(),
        table_definition_options: Some(options),
        ..CommandStatementIngest::default()
    };
    let first = FlightData {
        flight_descriptor: Some(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())),
        ..FlightData::default()
    };
    for header in [vec![], vec![0xff; 64], vec![16, 0, 0, 0, 0, 0, 10, 0]] {
        let garbage = FlightData {
            data_header: header.clone().into(),
            data_body: vec![1; 100].into(),
            ..first.clone()
        };
        let more = FlightData { flight_descriptor: None, ..garbage.clone() };
        let answer = raw.do_put(place.by("admin", stream::iter([garbage, more]))).await;
        assert_eq!(answer.map(drop).unwrap_err().code(), Code::InvalidArgument, "{header:?}");
    }
    let none = raw.do_put(place.by("admin", stream::iter([FlightData::default()]))).await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
    let empty = raw.do_put(place.by("admin", stream::empty())).await.unwrap_err();
    assert_eq!(empty.code(), Code::InvalidArgument);
    assert_eq!(place.rows("SELECT count(*) FROM trades").await, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_so() {
    let place = Place::with_trades().await;
    let mut raw = place.raw().await;
    for name in [
        "BeginTransaction",
        "EndTransaction",
        "BeginSavepoint",
        "CreatePreparedSubstraitPlan",
        "SetSessionOptions",
    ] {
        let action = Action { r#type: name.to_owned(), body: Vec::new().into() };
        let status = raw.do_action(place.by("admin", action)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{name}");
    }
    let update = CommandStatementUpdate { query: "DELETE FROM trades".to_owned(), transaction_id: None };
    let data = FlightData {
        flight_descriptor: Some(FlightDescriptor::new_cmd(update.as_any().encode_to_vec())),
        ..FlightData::default()
    };
    let status = raw.do_put(place.by("admin", stream::iter([data]))).await.unwrap_err();
    assert!(status.message().contains("SQL only reads"), "{status:?}");
}
