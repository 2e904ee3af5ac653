//! Who may read and write what.

use arrow_flight::FlightDescriptor;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use futures::StreamExt;
use prost::Message;
use tonic::Code;

use super::support::{ENDLESS, Place, Refused, query, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_read_by_those_who_may_wherever_it_stands() {
    let place = Place::with_trades().await;
    let mut client = place.client("trades-reader").await;
    for allowed in [
        "SELECT count(*) FROM trades",
        "SELECT count(*) FROM public.trades t JOIN tapebook.public.trades u ON t.seq = u.seq",
        "SELECT count(*) FROM as_of('trades', 10)",
        "WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 3) SELECT max(n) FROM n",
        "SELECT sum(value) FROM generate_series(1, 3)",
        "SELECT count(*) FROM information_schema.columns",
        "SELECT 1",
    ] {
        query(&mut client, allowed).await.unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    for denied in [
        "SELECT * FROM quotes",
        "SELECT * FROM as_of('quotes', 10)",
        "SELECT (SELECT max(bid_price) FROM quotes) FROM trades",
        "SELECT * FROM trades WHERE EXISTS (SELECT 1 FROM quotes)",
        "SELECT price FROM trades WHERE symbol IN (SELECT symbol FROM quotes)",
        "WITH q AS (SELECT * FROM quotes) SELECT count(*) FROM trades, q",
        "SELECT price FROM trades UNION ALL SELECT bid_price FROM quotes",
        "EXPLAIN SELECT * FROM quotes",
        "EXPLAIN ANALYZE SELECT * FROM quotes",
        "SELECT trades.price FROM trades LEFT JOIN quotes ON false",
    ] {
        let refused = query(&mut client, denied).await.expect_err(denied);
        assert_eq!(refused.code(), Code::PermissionDenied, "{denied}: {refused}");
        assert!(refused.0.message().contains("quotes"), "{denied}: {refused}");
        let prepared = client.prepare(denied.to_owned(), None).await.map(drop).expect_err(denied);
        assert_eq!(Refused::from(prepared).code(), Code::PermissionDenied, "{denied}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_says_about_itself_is_for_administrators() {
    let place = Place::with_trades().await;
    for table in ["tables", "symbols", "sstables", "history", "compactions", "wal", "retractions", "queries"]
    {
        let sql = format!("SELECT count(*) FROM sys.{table}");
        query(&mut place.client("admin").await, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        for token in ["reader", "writer", "trades-reader"] {
            let refused = query(&mut place.client(token).await, &sql).await.expect_err(&sql);
            refused.is(Code::PermissionDenied, "may not administer");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_may_nothing() {
    let place = Place::with_trades().await;
    let refused = query(&mut place.client("nobody").await, "SELECT 1").await.unwrap_err();
    refused.is(Code::Unauthenticated, "token");
    let command = CommandStatementQuery { query: "SELECT 1".to_owned(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let mut raw = place.raw().await;
    for refused in [
        raw.get_flight_info(descriptor.clone()).await.map(drop),
        raw.get_schema(descriptor).await.map(drop),
        raw.do_get(arrow_flight::Ticket::default()).await.map(drop),
        raw.do_action(arrow_flight::Action::default()).await.map(drop),
        raw.list_actions(arrow_flight::Empty {}).await.map(drop),
        raw.list_flights(arrow_flight::Criteria::default()).await.map(drop),
        raw.do_put(futures::stream::iter([arrow_flight::FlightData::default()])).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_told_of_their_own_tables_only() {
    let place = Place::with_trades().await;
    let names = async |token: &str| {
        let mut client = place.client(token).await;
        let info = client.get_tables(arrow_flight::sql::CommandGetTables::default()).await.unwrap();
        text(&super::support::fetch(&mut client, info).await.unwrap())
    };
    assert_eq!(names("trades-reader").await, "tapebook public trades TABLE");
    let all = names("reader").await;
    assert!(all.contains("quotes TABLE") && !all.contains("SYSTEM"), "{all}");
    assert!(names("admin").await.contains("tapebook sys queries SYSTEM TABLE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_what_it_began() {
    let place = Place::new().await;
    let mut client = place.client("reader").await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    place.node().tokens.revoke("reader").unwrap();
    let error = loop {
        match stream.next().await.expect("an error in the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    Refused::from(error).is(Code::PermissionDenied, "revoked");
}
