//! Subscribers that do not take what they are sent.

use std::time::Duration;

use tapebook::Options;
use tapebook_client::{ClientError, RefusalReason, Start, SubscribeOptions};
use tapebook_server::Limits;

use super::support::{Server, Setup, bytes_of, options, trades, until};

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_told_where_he_can_go_on_and_does_so() {
    let limits = Limits { subscriber_stall_max: Duration::from_millis(300), ..Limits::default() };
    let server = Server::with(Setup { limits, ..Setup::default() }).await;
    let mut appender = server.appender().await;
    // A credit of one byte is one batch.
    let options = SubscribeOptions::new(Start::Seq(1)).credit_bytes(1);
    let mut journal = server.client().await.subscribe(options);
    for n in 0..5 {
        appender.send(bytes_of(&trades("A", n * 100..(n + 1) * 100).encode()));
        appender.receipt().await;
    }
    let first = journal.next_batch().await.unwrap();
    assert_eq!((first.first_seq(), first.last_seq()), (1, 100));
    until("the slow one to be ended", || server.node.subscribers.is_empty()).await;
    let ended = loop {
        match journal.next().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    match ended {
        ClientError::Refused(refused) => {
            assert_eq!((refused.reason, refused.value), (RefusalReason::TooSlow, 101));
            assert!(refused.message.contains("seq 101"), "{refused:?}");
        }
        other => panic!("{other}"),
    }
    for n in 1..5 {
        let batch = journal.next_batch().await.unwrap();
        assert_eq!((batch.first_seq(), batch.last_seq()), (n * 100 + 1, (n + 1) * 100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_who_stand_still_do_not_keep_one_from_getting_everything() {
    let options = Options { memtable_bytes: 256 << 10, ..options() };
    let server = Server::with(Setup { options, ..Setup::default() }).await;
    let client = server.client().await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut journal = client.subscribe(SubscribeOptions::new(Start::Seq(1)).credit_bytes(1));
        journal.next().await.unwrap();
        slow.push(journal);
    }
    let mut fast = client.subscribe(SubscribeOptions::new(Start::Seq(1)));
    let mut appender = server.appender().await;
    for n in 0..300 {
        appender.send(bytes_of(&trades("A", n * 100..(n + 1) * 100).encode()));
        appender.receipt().await;
        let batch = fast.next_batch().await.unwrap();
        assert_eq!((batch.first_seq(), batch.last_seq()), (n * 100 + 1, (n + 1) * 100));
    }
    // They are all there yet, and can catch up.
    assert_eq!(server.node.subscribers.len(), 11);
    for journal in &mut slow {
        for n in 0..300 {
            let batch = journal.next_batch().await.unwrap();
            assert_eq!((batch.first_seq(), batch.last_seq()), (n * 100 + 1, (n + 1) * 100));
        }
    }
}
