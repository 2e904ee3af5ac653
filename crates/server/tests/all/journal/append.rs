//! `Append`: order, pipelining, and every way in which a batch is refused without ending the stream.

use std::time::Duration;

use tapebook::{Batch, EncodedBatch, Options};
use tapebook_proto::v1::append_response::Outcome;
use tapebook_proto::v1::journal_client::JournalClient;
use tapebook_proto::v1::{Durability, OpenProducerRequest, Refusal, RefusalReason};
use tapebook_record::batch::BATCH_BYTES_MAX;
use tapebook_server::{Limits, ServerOptions};
use tonic::Code;

use super::support::{Appender, Server, Setup, bytes_of, numbered, options, trades, until};

#[tokio::test(flavor = "multi_thread")]
async fn receipts_come_in_the_order_of_the_batches() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    for n in 0..500 {
        appender.send(bytes_of(&trades("A", n..n + 1 + n % 3).encode()));
    }
    let mut next = 1;
    for n in 0..500_u64 {
        let answer = appender.answer().await;
        assert_eq!(answer.request, n + 1);
        let Some(Outcome::Receipt(receipt)) = answer.outcome else { panic!("{answer:?}") };
        assert_eq!((receipt.first_seq, receipt.last_seq), (next, next + n % 3));
        next = receipt.last_seq + 1;
    }
    appender.end();
    assert_eq!(appender.answers.message().await.unwrap(), None);
    assert_eq!(server.node.db.snapshot().visible_seq(), next - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_says_why_and_the_next_one_is_taken() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    let whole = trades("A", 1..=3).encode();
    let mut flipped = whole.bytes().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let mut future = Batch::new();
    future.push(tapebook::Trade { symbol: "A", ts: i64::MAX, ..Default::default() }).unwrap();

    let bad: [(bytes::Bytes, RefusalReason, &str, u64); 7] = [
        (bytes::Bytes::new(), RefusalReason::Invalid, "not a batch", 0),
        (bytes::Bytes::from_static(b"nonsense"), RefusalReason::Invalid, "not a batch", 0),
        (bytes_of(&whole).slice(..100), RefusalReason::Invalid, "bytes, expected", 0),
        (flipped.into(), RefusalReason::Invalid, "checksum", 0),
        (unknown_table(&whole), RefusalReason::Invalid, "its table is not known", 0),
        (vec![0; BATCH_BYTES_MAX + 1].into(), RefusalReason::TooLarge, "at most", BATCH_BYTES_MAX as u64),
        (bytes_of(&future.encode()), RefusalReason::Future, "ahead of the clock", 86_400),
    ];
    for (at, (bytes, reason, text, value)) in bad.into_iter().enumerate() {
        appender.send(bytes);
        let refusal = appender.refusal().await;
        assert_eq!((refusal.reason(), refusal.value), (reason, value), "{at}: {refusal:?}");
        assert!(refusal.message.contains(text), "{at}: {refusal:?}");
        appender.send(bytes_of(&whole));
        let at = at as u64 * 3 + 1;
        assert_eq!(appender.receipt().await, (at, at + 2, false));
    }
}

/// The batch with rows of a table that there is not, under a checksum that is right.
fn unknown_table(batch: &EncodedBatch) -> bytes::Bytes {
    let mut bytes = batch.bytes().to_vec();
    let headers = batch.header().row_headers_offset as usize;
    bytes[headers..headers + 2].copy_from_slice(&999_u16.to_le_bytes());
    let crc = tapebook_record::crc32c(&bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_producers_number_wrongly_is_refused_with_the_number_that_helps() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    let take = async |appender: &mut Appender, epoch, number| {
        appender.send(bytes_of(&numbered(7, epoch, number)));
        match appender.answer().await.outcome.unwrap() {
            Outcome::Receipt(receipt) => Ok((receipt.first_seq, receipt.duplicate)),
            Outcome::Refusal(refusal) => Err((refusal.reason(), refusal.value)),
            Outcome::Accepted(_) => panic!("it was not asked for"),
        }
    };
    assert_eq!(take(&mut appender, 3, 2).await, Err((RefusalReason::ProducerGap, 1)));
    for number in 1..=70 {
        assert_eq!(take(&mut appender, 3, number).await, Ok((number, false)));
    }
    assert_eq!(take(&mut appender, 3, 7).await, Ok((7, true)));
    assert_eq!(take(&mut appender, 3, 6).await, Err((RefusalReason::ProducerTooOld, 7)));
    assert_eq!(take(&mut appender, 3, 72).await, Err((RefusalReason::ProducerGap, 71)));
    assert_eq!(take(&mut appender, 2, 71).await, Err((RefusalReason::ProducerFenced, 3)));

    let mut raw = server.raw().await;
    let opened = raw
        .open_producer(OpenProducerRequest { producer_id: 7, feed: 0, backfill_of: 0 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((opened.epoch, opened.last_batch_number, opened.window), (3, 70, 64));
    assert_eq!(opened.journal_epoch, server.node.db.epoch());
    let none =
        raw.open_producer(OpenProducerRequest { producer_id: 0, feed: 0, backfill_of: 0 }).await.unwrap_err();
    assert_eq!(Refusal::of_status(&none).unwrap().reason(), RefusalReason::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_on_symbols_and_producers_are_told() {
    let options = Options { symbols_max: 2, producers_max: 1, ..options() };
    let server = Server::with(Setup { options, ..Setup::default() }).await;
    let mut appender = server.appender().await;
    for (symbol, refused) in [("A", false), ("B", false), ("C", true)] {
        appender.send(bytes_of(&trades(symbol, [1]).encode()));
        let answer = appender.answer().await.outcome.unwrap();
        match answer {
            Outcome::Refusal(refusal) => {
                assert!(refused);
                assert_eq!((refusal.reason(), refusal.value), (RefusalReason::TooMany, 2));
            }
            _ => assert!(!refused, "{symbol}"),
        }
    }
    appender.send(bytes_of(&numbered(1, 1, 1)));
    appender.receipt().await;
    appender.send(bytes_of(&numbered(2, 1, 1)));
    let refusal = appender.refusal().await;
    assert_eq!((refusal.reason(), refusal.value), (RefusalReason::TooMany, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_above_every_bound_ends_its_stream_and_nobody_elses() {
    let server = Server::start().await;
    let (mut greedy, mut other) = (server.appender().await, server.appender().await);
    greedy.send(bytes_of(&trades("A", [1]).encode()));
    greedy.send(vec![0; 8 << 20]);
    assert_eq!(greedy.receipt().await, (1, 1, false));
    let status = greedy.answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    other.send(bytes_of(&trades("A", [2]).encode()));
    assert_eq!(other.receipt().await, (2, 2, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_it_hears_at_once_that_a_batch_is_accepted() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    appender.send_as(&trades("A", [1]).encode(), Durability::Buffered);
    let first = appender.answer().await;
    assert!(matches!((first.request, &first.outcome), (1, Some(Outcome::Accepted(_)))), "{first:?}");
    assert_eq!(appender.receipt().await, (1, 1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn past_what_may_be_in_flight_nothing_is_read() {
    // Without threads of its own the database writes when it is told to.
    let options = Options { background: false, ..options() };
    let limits = Limits { appends_in_flight_max: 4, ..Limits::default() };
    let server = Server::with(Setup { limits, options }).await;
    let mut appender = server.appender().await;
    (0..10).for_each(|n| appender.send(bytes_of(&trades("A", [n]).encode())));
    let queued = || server.node.db.stats().wal.queued_entries as u64;
    let mut answered = 0;
    while answered < 10 {
        let group = (10 - answered).min(4);
        until("requests to be read", || queued() == group).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(queued(), group);
        // The first receipts of a group make room while the rest of it is still answered, and what is read then is written too.
        server.node.db.drive().unwrap();
        let written = server.node.db.snapshot().visible_seq();
        for seq in answered + 1..=written {
            assert_eq!(appender.receipt().await, (seq, seq, false));
        }
        answered = written;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_room_makes_the_stream_wait_and_then_goes_on() {
    // One MemTable may wait to be flushed, and every few batches fill one.
    let options = Options { memtable_bytes: 64 << 10, frozen_memtables_max: 1, ..options() };
    let server = Server::with(Setup { options, ..Setup::default() }).await;
    let mut appender = server.appender().await;
    for n in 0..200 {
        appender.send(bytes_of(&trades("A", n * 200..(n + 1) * 200).encode()));
    }
    for n in 0..200 {
        assert_eq!(appender.receipt().await, (n * 200 + 1, (n + 1) * 200, false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_finds_no_room_in_time_is_refused_as_busy() {
    let options = Options { memtable_bytes: 64 << 10, frozen_memtables_max: 1, ..options() };
    let limits = Limits { append_wait_max: Duration::ZERO, ..Limits::default() };
    let server = Server::with(Setup { options, limits }).await;
    let mut appender = server.appender().await;
    let mut busy = 0;
    for n in 0..2_000 {
        appender.send(bytes_of(&trades("A", n * 200..(n + 1) * 200).encode()));
    }
    for _ in 0..2_000 {
        if let Some(Outcome::Refusal(refusal)) = appender.answer().await.outcome {
            assert_eq!(refusal.reason(), RefusalReason::Busy, "{refusal:?}");
            busy += 1;
        }
    }
    assert!(busy > 0, "the database was never full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_answers_what_it_has_taken_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let options = ServerOptions {
        listen: Some(([127, 0, 0, 1], 0).into()),
        http_listen: None,
        database: options(),
        ..ServerOptions::new(dir.path())
    };
    let server = tapebook_server::Server::start(options).await.unwrap();
    let url = format!("http://{}", server.grpc_address().unwrap());
    let mut appender = Appender::begin(JournalClient::connect(url).await.unwrap(), None).await;
    appender.send(bytes_of(&trades("A", [1]).encode()));
    assert_eq!(appender.receipt().await, (1, 1, false));
    let stopping = tokio::spawn(server.stop());
    let status = appender.answers.message().await.unwrap_err();
    assert_eq!(Refusal::of_status(&status).unwrap().reason(), RefusalReason::Closing);
    stopping.await.unwrap().unwrap();
}
