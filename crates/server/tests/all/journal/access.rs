//! Rights: on every call, for the table of every row, and again while a stream goes on.

use tapebook::{Batch, Quote, Trade};
use tapebook_client::{
    ClientError, Event, ProducerError, ProducerOptions, ScanOptions, Start, SubscribeOptions,
};
use tapebook_proto::v1::{GetRequest, RefusalReason};
use tonic::{Code, Request};

use super::support::{Appender, Server, bytes_of, trade, trades};

fn reason(error: ClientError) -> RefusalReason {
    match error {
        ClientError::Refused(refused) => refused.reason,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_does_nothing() {
    let server = Server::start().await;
    let mut request = Request::new(GetRequest::default());
    request.metadata_mut().insert("authorization", "Bearer nobody".parse().unwrap());
    let status = server.raw().await.get(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_does_not_write_and_a_node_does_not_read() {
    let server = Server::start().await;
    let reader = server.client_as("read").await;
    match reader.producer(ProducerOptions::new(1)).await {
        Err(ProducerError::Open(error)) => assert_eq!(reason(error), RefusalReason::Forbidden),
        other => panic!("{other:?}"),
    }
    let node = server.client_as("node").await;
    assert_eq!(reason(node.get("trades", "A", 1, 0).await.unwrap_err()), RefusalReason::Forbidden);
    let scan = node.scan(ScanOptions::new("trades", "A")).await.unwrap_err();
    assert_eq!(reason(scan), RefusalReason::Forbidden);
    let mut journal = node.subscribe(SubscribeOptions::new(Start::Seq(1)));
    assert_eq!(reason(journal.next().await.unwrap_err()), RefusalReason::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_of_a_table_that_may_not_be_written_refuses_the_batch() {
    let server = Server::start().await;
    let mut appender = Appender::begin(server.raw().await, Some("write:trades")).await;
    let mut mixed = trades("A", 1..=5);
    mixed.push(Quote { symbol: "A", ts: 6, ..Quote::default() }).unwrap();
    appender.send(bytes_of(&mixed.encode()));
    let refusal = appender.refusal().await;
    assert_eq!(refusal.reason(), RefusalReason::Forbidden);
    assert!(refusal.message.contains("quotes"), "{refusal:?}");
    appender.send(bytes_of(&trades("A", 1..=5).encode()));
    assert_eq!(appender.receipt().await, (1, 5, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_other_tables_are_never_seen() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    let mut mixed = Batch::new();
    mixed.push(trade("A", 1)).unwrap();
    mixed.push(Quote { symbol: "HIDDEN", ts: 2, ..Quote::default() }).unwrap();
    mixed.push(trade("B", 3)).unwrap();
    appender.send(bytes_of(&mixed.encode()));
    appender.receipt().await;

    let reader = server.client_as("read:trades").await;
    let mut journal = reader.subscribe(SubscribeOptions::new(Start::Seq(1)));
    let batch = journal.next_batch().await.unwrap();
    let trades_id = <Trade as tapebook::StandardTable>::ID;
    let seen: Vec<_> = batch.records().map(|(table, row)| (table, row.seq, row.ts)).collect();
    assert_eq!(seen, [(trades_id, 1, 1), (trades_id, 3, 3)]);
    assert_eq!((batch.first_seq(), batch.last_seq()), (1, 3));
    // Nor does what is hidden come as a name in the dictionary.
    assert_eq!(batch.batch().symbols().collect::<Vec<_>>(), ["A", "B"]);

    let mut quotes = reader.subscribe(SubscribeOptions::new(Start::Seq(1)).table("quotes"));
    assert_eq!(reason(quotes.next().await.unwrap_err()), RefusalReason::Forbidden);
    let get = reader.get("quotes", "A", 2, 2).await.unwrap_err();
    assert_eq!(reason(get), RefusalReason::Forbidden);
    let mut everything = server.client().await.subscribe(SubscribeOptions::new(Start::Seq(1)));
    let whole = loop {
        if let Event::Batch(batch) = everything.next().await.unwrap() {
            break batch;
        }
    };
    assert_eq!(whole.records().count(), 3);
}
