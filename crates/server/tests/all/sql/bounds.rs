//! Each bound has its own refusal, and whoever stays within it notices nothing.

use std::time::Duration;

use futures::StreamExt;
use tapebook_server::Limits;
use tonic::Code;

use super::support::{ENDLESS, Place, query, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_would_use_up_all_memory_is_ended() {
    let limits = Limits { query_memory_max: 64 << 20, query_memory_each_max: 16 << 20, ..Limits::default() };
    let place = Place::with_limits(limits).await;
    let (mut client, mut other) = (place.client("reader").await, place.client("writer").await);
    for greedy in [
        "SELECT value, repeat('x', 100) FROM generate_series(1, 100000000) ORDER BY value DESC",
        "SELECT count(*) FROM (SELECT value % 99999989 AS v, count(*) FROM generate_series(1, 100000000) GROUP BY v)",
        "SELECT count(*) FROM generate_series(1, 100000000) a JOIN generate_series(1, 100000000) b ON a.value = b.value",
        "SELECT array_agg(value) FROM generate_series(1, 100000000)",
    ] {
        let refused = query(&mut client, greedy).await.expect_err(greedy);
        assert_eq!(refused.code(), Code::ResourceExhausted, "{greedy}: {refused}");
        assert!(refused.0.message().contains("memory"), "{greedy}: {refused}");
        assert_eq!(text(&query(&mut other, "SELECT 1").await.unwrap()), "1");
    }
    assert!(
        place
            .node()
            .metrics
            .render(place.node())
            .unwrap()
            .contains("tapebook_queries_total{outcome=\"memory\"} 4")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_share_is_bounded_too() {
    let limits = Limits { query_memory_max: 24 << 20, query_memory_each_max: 1 << 30, ..Limits::default() };
    let place = Place::with_limits(limits).await;
    let greedy = "SELECT value FROM generate_series(1, 100000000) ORDER BY value DESC";
    let refused = query(&mut place.client("reader").await, greedy).await.unwrap_err();
    refused.is(Code::ResourceExhausted, "memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_has_so_much_time_however_slowly_it_is_fetched() {
    let limits = Limits { query_time_max: Duration::from_millis(500), ..Limits::default() };
    let place = Place::with_limits(limits).await;
    let mut client = place.client("reader").await;
    let slow = "SELECT count(*) FROM generate_series(1, 1000) a, generate_series(1, 10000000000) b";
    query(&mut client, slow).await.unwrap_err().is(Code::DeadlineExceeded, "longest");
    // One row is fetched, then nothing for longer than the query may take.
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    until("the query has ended though nobody fetches", async || {
        place.rows("SELECT count(*) FROM sys.queries WHERE caller = 'reader'").await == "0"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_beyond_the_bound_wait_and_beyond_that_are_refused() {
    let limits = Limits { queries_max: 1, query_time_max: Duration::from_secs(3), ..Limits::default() };
    let place = Place::with_limits(limits).await;
    let mut client = place.client("reader").await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let mut first = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    first.next().await.unwrap().unwrap();
    let waiting: Vec<_> = (0..24)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { query(&mut client, "SELECT 1").await.map(|rows| text(&rows)) })
        })
        .collect();
    // Whoever finds no place hears that at once; the others wait until the first query ends.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(first);
    let (mut answered, mut refused) = (0, 0);
    for waits in waiting {
        match waits.await.unwrap() {
            Ok(rows) => {
                assert_eq!(rows, "1");
                answered += 1;
            }
            Err(error) => {
                error.is(Code::ResourceExhausted, "16 wait");
                refused += 1;
            }
        }
    }
    assert_eq!((answered, refused), (16, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_too_long_is_told() {
    let limits = Limits { queries_max: 1, query_time_max: Duration::from_millis(700), ..Limits::default() };
    let place = Place::with_limits(limits).await;
    let mut client = place.client("reader").await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let mut first = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    first.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The first one ends at its own deadline, just before: so either is an answer, but nothing else.
    if let Err(refused) = query(&mut client, "SELECT 1").await {
        refused.is(Code::DeadlineExceeded, "longest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_bound_is_refused() {
    let limits = Limits { message_bytes_max: 100_000, ..Limits::default() };
    let place = Place::with_limits(limits).await;
    let sql = format!("SELECT '{}'", "x".repeat(200_000));
    let refused = query(&mut place.client("reader").await, &sql).await.unwrap_err();
    refused.is(Code::ResourceExhausted, "message_bytes_max");
}
