//! The client's producer: batches, receipts, refusals, and what happens when the server goes away.

use std::time::Duration;

use tapebook_client::{Client, ClientOptions, ProducerError, ProducerOptions, RefusalReason, RowReceipt};
use tapebook_server::Limits;

use super::support::{Server, Setup, numbered, options, trade, trades};

#[tokio::test(flavor = "multi_thread")]
async fn every_row_gets_its_own_sequence_in_the_order_of_pushing() {
    let server = Server::start().await;
    let client = server.client().await;
    let producer = client.producer(ProducerOptions::new(7)).await.unwrap();
    let mut rows = Vec::new();
    for n in 1..=5_000 {
        rows.push(producer.push(trade("A", n)).await.unwrap());
    }
    let batch = producer.append(trades("B", 1..=10)).await.unwrap();
    producer.flush().await.unwrap();
    for (n, row) in (1..).zip(rows) {
        assert_eq!(row.await.unwrap(), RowReceipt { seq: n, duplicate: false });
    }
    let receipt = batch.await.unwrap();
    assert_eq!((receipt.first_seq, receipt.last_seq), (5_001, 5_010));
    let known = server.node.db.producer(7).unwrap();
    assert_eq!(known.epoch, 1);
    assert!(known.last_number < 200, "rows were gathered: {} batches", known.last_number);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_sent_when_the_producer_is_dropped() {
    let server = Server::start().await;
    let client = server.client().await;
    let linger = Duration::from_secs(3_600);
    let producer = client.producer(ProducerOptions { linger, ..ProducerOptions::new(7) }).await.unwrap();
    let row = producer.push(trade("A", 1)).await.unwrap();
    drop(producer);
    assert_eq!(row.await.unwrap().seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_does_not_keep_the_others_from_being_written() {
    let server = Server::start().await;
    let producer = server.client().await.producer(ProducerOptions::new(7)).await.unwrap();
    let mut appended = Vec::new();
    for n in 0..60 {
        // Every seventh lies too far in the future.
        let ts = if n % 7 == 3 { u64::MAX >> 1 } else { n };
        appended.push((n, producer.append(trades("A", [ts])).await.unwrap()));
    }
    let mut next_seq = 1;
    for (n, batch) in appended {
        match batch.await {
            Ok(receipt) => {
                assert_ne!(n % 7, 3);
                assert_eq!((receipt.first_seq, receipt.duplicate), (next_seq, false));
                next_seq += 1;
            }
            Err(ProducerError::Refused(refused)) => {
                assert_eq!((n % 7, refused.reason), (3, RefusalReason::Future), "{refused}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    let rows = server.node.db.journal(1).unwrap().map(|batch| batch.unwrap().batch.row_header(0).ts);
    let expected: Vec<i64> = (0..60).filter(|n| n % 7 != 3).collect();
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_epoch_is_fenced_off_and_says_so() {
    let server = Server::start().await;
    let client = server.client().await;
    let old = client.producer(ProducerOptions::new(7)).await.unwrap();
    old.append(trades("A", [1])).await.unwrap().await.unwrap();
    let new = client.producer(ProducerOptions::new(7)).await.unwrap();
    assert_eq!(new.epoch(), old.epoch() + 1);
    new.append(trades("A", [2])).await.unwrap().await.unwrap();
    let fenced = old.append(trades("A", [3])).await.unwrap().await.unwrap_err();
    assert!(matches!(fenced, ProducerError::Fenced { id: 7, current: 2, own: 1 }), "{fenced}");
    let ended = old.push(trade("A", 4)).await.unwrap_err();
    assert!(matches!(ended, ProducerError::Fenced { .. }), "{ended}");
    let options = ProducerOptions { epoch: Some(1), ..ProducerOptions::new(7) };
    assert!(matches!(client.producer(options).await, Err(ProducerError::Fenced { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_goes_on_behind_its_last_batch() {
    let server = Server::start().await;
    let client = server.client().await;
    let first = client.producer(ProducerOptions::new(7)).await.unwrap();
    for n in 0..3 {
        first.append(trades("A", [n])).await.unwrap().await.unwrap();
    }
    drop(first);
    let options = ProducerOptions { epoch: Some(1), ..ProducerOptions::new(7) };
    let again = client.producer(options).await.unwrap();
    assert_eq!(again.last_batch_number(), 3);
    let receipt = again.append(trades("A", [3])).await.unwrap().await.unwrap();
    assert_eq!((receipt.first_seq, receipt.duplicate), (4, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_receipt_was_lost_gets_it_from_the_next_server() {
    let server = Server::start().await;
    let options = ClientOptions {
        retry_for: Duration::from_secs(60),
        ..ClientOptions::from_url(&server.url()).unwrap()
    };
    let client = Client::connect(options).await.unwrap();
    let producer = client.producer(ProducerOptions::new(7)).await.unwrap();
    producer.append(trades("A", [1])).await.unwrap().await.unwrap();
    let (dir, address) = server.stop().await;
    let waiting = producer.append(trades("A", [2])).await.unwrap();
    // Somebody has written it meanwhile, as if it had come through and only its receipt had not.
    {
        let db = tapebook::Db::open(dir.path()).unwrap();
        let written =
            db.append_encoded(numbered(7, 1, 2), tapebook::Durability::Synced).unwrap().wait().unwrap();
        assert_eq!(written.first_seq, 2);
        db.close().unwrap();
    }
    let server = Server::at(dir, address, Setup::default()).await;
    let receipt = waiting.await.unwrap();
    assert_eq!((receipt.first_seq, receipt.duplicate), (2, true));
    let next = producer.append(trades("A", [3])).await.unwrap().await.unwrap();
    assert_eq!((next.first_seq, next.duplicate), (3, false));
    assert_eq!(server.node.db.snapshot().visible_seq(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_for_too_long_it_says_that_the_outcome_is_not_known() {
    let server = Server::start().await;
    let client = server.client().await;
    let give_up_after = Duration::from_millis(300);
    let options = ProducerOptions { give_up_after, in_flight_max: 1, ..ProducerOptions::new(7) };
    let producer = client.producer(options).await.unwrap();
    producer.append(trades("A", [1])).await.unwrap().await.unwrap();
    server.stop().await;
    let first = producer.append(trades("A", [2])).await.unwrap();
    let second = producer.append(trades("A", [3])).await.unwrap();
    let (first, second) = (first.await.unwrap_err(), second.await.unwrap_err());
    assert!(matches!(&first, ProducerError::UnknownOutcome { .. } | ProducerError::NotSent(_)), "{first}");
    assert!(
        matches!(&second, ProducerError::NotSent(cause) if matches!(**cause, ProducerError::UnknownOutcome { .. })),
        "{second}"
    );
    assert!(producer.push(trade("A", 4)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_is_asked_again_until_it_takes_the_batch() {
    let options = tapebook::Options { memtable_bytes: 64 << 10, frozen_memtables_max: 1, ..options() };
    let limits = Limits { append_wait_max: Duration::ZERO, ..Limits::default() };
    let server = Server::with(Setup { options, limits }).await;
    let producer = server.client().await.producer(ProducerOptions::new(7)).await.unwrap();
    let mut appended = Vec::new();
    for n in 0..500 {
        appended.push(producer.append(trades("A", n * 200..(n + 1) * 200)).await.unwrap());
    }
    for (n, batch) in (0..).zip(appended) {
        assert_eq!(batch.await.unwrap().first_seq, n * 200 + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_address_is_tried_where_one_does_not_answer() {
    let server = Server::start().await;
    // Nobody listens at port 1.
    let url = format!("grpc://127.0.0.1:1,{}", server.address);
    let client = Client::connect(ClientOptions::from_url(&url).unwrap()).await.unwrap();
    assert!(client.get("trades", "A", 1, 0).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_the_error_names_the_place() {
    let options = ClientOptions {
        retry_for: Duration::from_millis(100),
        ..ClientOptions::from_url("grpc://127.0.0.1:1").unwrap()
    };
    let error = Client::connect(options).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("no server could be reached"), "{error}");
}
