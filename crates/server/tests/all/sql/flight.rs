//! Questions over Flight SQL are answered as they are in the same process.

use tapebook_query::DbSql;
use tonic::Code;

use super::support::{ENDLESS, Place, Refused, fetch, query, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_network_changes_no_answer() {
    let place = Place::with_trades().await;
    let mut client = place.client("reader").await;
    for sql in [
        "SELECT * FROM trades ORDER BY seq",
        "SELECT * FROM quotes",
        "SELECT * FROM orders",
        "SELECT symbol, count(*), sum(price), min(ts), max(ts) FROM trades GROUP BY symbol ORDER BY symbol",
        "SELECT price FROM trades WHERE symbol = 'A' ORDER BY ts DESC LIMIT 3",
        "SELECT 1 AS a, NULL AS b, 'text' AS c, DECIMAL '1.25' AS d, TIMESTAMP '2024-01-01' AS e, [1, 2] AS f",
        "SELECT arrow_cast('x', 'Dictionary(Int32, Utf8)') AS d, arrow_cast('y', 'LargeUtf8') AS l",
        "SELECT count(*) FROM as_of('trades', 120)",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
        "EXPLAIN SELECT 1",
    ] {
        let here = place.node().db.sql(sql).await.unwrap();
        let there = query(&mut client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(text(&there), text(&here), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_comes_in_pieces() {
    let place = Place::new().await;
    let sql = "SELECT value, repeat('x', 200) AS text FROM generate_series(1, 100000)";
    let batches = query(&mut place.client("reader").await, sql).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 100_000);
    assert!(batches.len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_is_wrong() {
    let place = Place::with_trades().await;
    let mut client = place.client("admin").await;
    for (sql, code, part) in [
        ("SELEC 1", Code::InvalidArgument, "SELEC"),
        ("SELECT nothing FROM trades", Code::InvalidArgument, "nothing"),
        ("SELECT * FROM nowhere", Code::InvalidArgument, "nowhere"),
        ("", Code::InvalidArgument, ""),
        ("SELECT 1; SELECT 2", Code::InvalidArgument, ""),
        ("INSERT INTO trades VALUES (1)", Code::InvalidArgument, ""),
        ("CREATE TABLE t (a INT)", Code::InvalidArgument, "SQL reads"),
        ("DROP TABLE trades", Code::InvalidArgument, "SQL reads"),
        ("SELECT CAST(trade_id AS INT), CAST('x' AS INT) FROM trades", Code::InvalidArgument, "x"),
        ("SELECT $1", Code::InvalidArgument, "parameters"),
    ] {
        let refused = query(&mut client, sql).await.expect_err(sql);
        assert_eq!(refused.code(), code, "{sql}: {refused}");
        assert!(refused.0.message().contains(part), "{sql}: {refused}");
    }
    let failed = query(&mut client, "SELECT 1 / (price - 3)::INT FROM trades").await.unwrap_err();
    failed.is(Code::Internal, "ivide by zero");
    let long = format!("SELECT '{}'", "x".repeat(300_000));
    query(&mut client, &long).await.unwrap_err().is(Code::InvalidArgument, "bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_reaches_no_file() {
    let place = Place::with_trades().await;
    let file = place.node().db.layout().root().join("IDENTITY").display().to_string();
    let mut client = place.client("admin").await;
    for sql in [
        format!("SELECT * FROM '{file}'"),
        format!("SELECT * FROM \"{file}\""),
        format!("SELECT * FROM read_csv('{file}')"),
        format!("SELECT * FROM read_parquet('{file}')"),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{file}'"),
        format!("COPY (SELECT 1) TO '{file}.csv'"),
        "COPY trades TO '/tmp/trades.csv' STORED AS CSV".to_owned(),
        "CREATE FUNCTION f() RETURNS INT RETURN 1".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
    ] {
        let refused = query(&mut client, &sql).await.expect_err(&sql);
        assert_eq!(refused.code(), Code::InvalidArgument, "{sql}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_once_and_for_its_owner() {
    let place = Place::with_trades().await;
    let (mut reader, mut other) = (place.client("reader").await, place.client("writer").await);
    let info = reader.execute("SELECT count(*) FROM trades".to_owned(), None).await.unwrap();
    fetch(&mut other, info.clone()).await.unwrap_err().is(Code::NotFound, "ticket");
    assert_eq!(text(&fetch(&mut reader, info.clone()).await.unwrap()), "200");
    fetch(&mut reader, info).await.unwrap_err().is(Code::NotFound, "ticket");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_fetches_is_bounded() {
    let place = Place::new().await;
    let mut client = place.client("reader").await;
    let mut refused = None;
    for _ in 0..1_100 {
        if let Err(error) = client.execute("SELECT 1".to_owned(), None).await {
            refused = Some(Refused::from(error));
            break;
        }
    }
    refused.expect("a bound").is(Code::ResourceExhausted, "1024");
    // Others are not held up.
    assert_eq!(text(&query(&mut place.client("writer").await, "SELECT 1").await.unwrap()), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_ended_hold_no_place() {
    let place = Place::new().await;
    let mut client = place.client("reader").await;
    for _ in 0..1_100 {
        query(&mut client, "SELECT 1").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_a_token() {
    let place = Place::with_trades().await;
    let mut client = super::support::Client::new(place.channel().await);
    let token = place.token("reader");
    client.handshake("anybody", &token).await.unwrap();
    assert_eq!(client.token(), Some(&token));
    assert_eq!(text(&query(&mut client, "SELECT count(*) FROM trades").await.unwrap()), "200");
    let mut wrong = super::support::Client::new(place.channel().await);
    assert!(wrong.handshake("anybody", "wrong").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn running_queries_are_listed() {
    let place = Place::with_trades().await;
    let mut client = place.client("writer").await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    futures::StreamExt::next(&mut stream).await.unwrap().unwrap();
    let listed = place
        .rows("SELECT caller, sql LIKE '%generate_series%', rows > 0, started_at > '2020-01-01' FROM sys.queries ORDER BY id")
        .await;
    assert!(listed.starts_with("writer true true true | admin"), "{listed}");
    drop(stream);
    super::support::until("the query leaves the list", async || {
        place.rows("SELECT count(*) FROM sys.queries WHERE caller = 'writer'").await == "0"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_looks_back() {
    let place = Place::with_trades().await;
    let mut client = place.client("reader").await;
    client.set_header("tapebook-as-of-seq", "120");
    assert_eq!(text(&query(&mut client, "SELECT count(*) FROM trades").await.unwrap()), "120");
    assert_eq!(text(&query(&mut client, "SELECT count(*) FROM as_of('trades', 7)").await.unwrap()), "7");
    client.set_header("tapebook-as-of-seq", "0");
    assert_eq!(text(&query(&mut client, "SELECT count(*) FROM trades").await.unwrap()), "200");
    client.set_header("tapebook-as-of-seq", "999");
    query(&mut client, "SELECT 1").await.unwrap_err().is(Code::InvalidArgument, "201");
    client.set_header("tapebook-as-of-seq", "x");
    query(&mut client, "SELECT 1").await.unwrap_err().is(Code::InvalidArgument, "tapebook-as-of-seq");
}
