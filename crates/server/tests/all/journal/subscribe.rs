//! `Subscribe`: where it begins, what passes, and that nothing comes twice or is left out.

use std::time::Duration;

use tapebook::Options;
use tapebook_client::{ClientError, Cursor, Event, RefusalReason, Start, SubscribeOptions, Subscription};
use tapebook_proto::v1::subscribe_request::What as Request;
use tapebook_proto::v1::subscribe_response::What;
use tapebook_proto::v1::subscribe_start::From;
use tapebook_proto::v1::{self, Refusal, SubscribeRequest, SubscribeStart};
use tapebook_server::Limits;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::support::{Appender, Server, Setup, bytes_of, options, trades, until};

/// The sequences that come until one is reached.
async fn seqs_through(journal: &mut Subscription, last: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.last() != Some(&last) {
        let batch = tokio::time::timeout(super::support::PATIENCE, journal.next_batch()).await;
        seqs.extend(batch.expect("it comes in time").unwrap().records().map(|(_, row)| row.seq));
    }
    seqs
}

async fn write(appender: &mut Appender, symbol: &str, numbers: std::ops::Range<u64>) {
    appender.send(bytes_of(&trades(symbol, numbers).encode()));
    appender.receipt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_what_comes_is_one_sequence() {
    // Small MemTables: the beginning is in the archive, the rest in the log and in memory.
    let options = Options { memtable_bytes: 64 << 10, ..options() };
    let server = Server::with(Setup { options, ..Setup::default() }).await;
    let mut appender = server.appender().await;
    for n in 0..200 {
        write(&mut appender, "A", n * 100..(n + 1) * 100).await;
    }
    let writing = tokio::spawn(async move {
        for n in 200..400 {
            write(&mut appender, "A", n * 100..(n + 1) * 100).await;
        }
    });
    let mut journal = server.client().await.subscribe(SubscribeOptions::new(Start::Seq(1)));
    assert_eq!(seqs_through(&mut journal, 40_000).await, (1..=40_000).collect::<Vec<u64>>());
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_in_the_middle_of_a_batch_at_a_time_or_with_what_comes() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    write(&mut appender, "A", 0..10).await;
    let client = server.client().await;

    let mut middle = client.subscribe(SubscribeOptions::new(Start::Seq(4)));
    assert_eq!(seqs_through(&mut middle, 10).await, [4, 5, 6, 7, 8, 9, 10]);

    let mut latest = client.subscribe(SubscribeOptions::new(Start::Latest));
    let begun = latest.next().await.unwrap();
    let epoch = server.node.db.epoch();
    assert!(
        matches!(begun, Event::Progress { cursor, .. } if cursor == Cursor { epoch, seq: 11 }),
        "{begun:?}"
    );

    let first = client.subscribe(SubscribeOptions::new(Start::Seq(1))).next_batch().await.unwrap();
    write(&mut appender, "A", 10..12).await;
    let mut at_time = client.subscribe(SubscribeOptions::new(Start::Time(first.commit_time() + 1)));
    assert_eq!(seqs_through(&mut at_time, 12).await, [11, 12]);
    assert_eq!(seqs_through(&mut latest, 12).await, [11, 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_symbols_are_chosen_and_the_cursor_passes_over_the_rest() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    let client = server.client().await;
    let mut chosen = client.subscribe(SubscribeOptions::new(Start::Seq(1)).table("trades").symbol("B"));
    for n in 0..10 {
        write(&mut appender, if n % 5 == 0 { "B" } else { "A" }, n..n + 1).await;
    }
    assert_eq!(seqs_through(&mut chosen, 6).await, [1, 6]);
    loop {
        if let Event::Progress { cursor, live: true } = chosen.next().await.unwrap()
            && cursor.seq == 11
        {
            break;
        }
    }
    let unknown =
        client.subscribe(SubscribeOptions::new(Start::Seq(1)).table("nonsense")).next().await.unwrap_err();
    assert!(
        matches!(&unknown, ClientError::Refused(refused) if refused.reason == RefusalReason::Invalid),
        "{unknown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_quiet_is_told_every_second_where_he_is() {
    let server = Server::start().await;
    let mut journal = server.client().await.subscribe(SubscribeOptions::new(Start::Seq(1)));
    for _ in 0..3 {
        let event = tokio::time::timeout(Duration::from_secs(30), journal.next()).await.unwrap().unwrap();
        assert!(matches!(event, Event::Progress { cursor: Cursor { seq: 1, .. }, .. }), "{event:?}");
    }
}

/// A subscription that says whatever it is told to.
struct Raw {
    requests: mpsc::Sender<SubscribeRequest>,
    messages: tonic::Streaming<v1::SubscribeResponse>,
}

impl Raw {
    async fn begin(server: &Server, start: SubscribeStart) -> Result<Self, Refusal> {
        let (requests, waiting) = mpsc::channel(16);
        requests.try_send(SubscribeRequest { what: Some(Request::Start(start)) }).unwrap();
        let answer = server.raw().await.subscribe(ReceiverStream::new(waiting)).await;
        let messages = answer.map_err(|status| Refusal::of_status(&status).unwrap())?.into_inner();
        Ok(Self { requests, messages })
    }

    /// The next rows; `None` where none come for a while.
    async fn rows(&mut self) -> Option<u64> {
        let message = tokio::time::timeout(Duration::from_millis(1_500), async {
            loop {
                match self.messages.message().await.unwrap().unwrap().what {
                    Some(What::Batch(batch)) => return batch,
                    _ => continue,
                }
            }
        });
        message.await.ok().map(|batch| batch.last_seq - batch.first_seq + 1)
    }
}

fn from_seq(seq: u64, credit_bytes: u64) -> SubscribeStart {
    let from = Some(From::Cursor(v1::Cursor { epoch: 0, seq }));
    SubscribeStart { from, credit_bytes, ..SubscribeStart::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_beyond_the_credit_but_the_end_of_one_batch() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    for n in 0..10 {
        write(&mut appender, "A", n * 10..(n + 1) * 10).await;
    }
    let mut raw = Raw::begin(&server, from_seq(1, 0)).await.unwrap();
    assert_eq!(raw.rows().await, None);
    raw.requests.try_send(SubscribeRequest { what: Some(Request::CreditBytes(1)) }).unwrap();
    assert_eq!(raw.rows().await, Some(10));
    assert_eq!(raw.rows().await, None);
    raw.requests.try_send(SubscribeRequest { what: Some(Request::CreditBytes(1 << 20)) }).unwrap();
    for _ in 1..10 {
        assert_eq!(raw.rows().await, Some(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_makes_no_sense_is_refused() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    write(&mut appender, "A", 0..10).await;
    let epoch = server.node.db.epoch();
    let of_epoch = |epoch| From::Cursor(v1::Cursor { epoch, seq: 1 });
    let cases = [
        (None, RefusalReason::Invalid, 0),
        (Some(From::Latest(false)), RefusalReason::Invalid, 0),
        (Some(From::Cursor(v1::Cursor { epoch: 0, seq: 12 })), RefusalReason::Invalid, 11),
        (Some(of_epoch(epoch + 1)), RefusalReason::Epoch, epoch),
    ];
    for (from, reason, value) in cases {
        let start = SubscribeStart { from, ..SubscribeStart::default() };
        let refusal = Raw::begin(&server, start).await.err().unwrap();
        assert_eq!((refusal.reason(), refusal.value), (reason, value), "{refusal:?}");
    }
    assert!(
        Raw::begin(&server, SubscribeStart { from: Some(of_epoch(epoch)), ..SubscribeStart::default() })
            .await
            .is_ok()
    );

    let mut twice = Raw::begin(&server, from_seq(1, 0)).await.unwrap();
    twice.requests.try_send(SubscribeRequest { what: Some(Request::Start(from_seq(1, 1))) }).unwrap();
    let ended = loop {
        if let Err(status) = twice.messages.message().await {
            break Refusal::of_status(&status).unwrap();
        }
    };
    assert_eq!(ended.reason(), RefusalReason::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_kept_is_refused_with_what_is() {
    let options = Options { memtable_bytes: 64 << 10, ..options() };
    let dir = tempfile::tempdir().unwrap();
    {
        let db = tapebook::Db::open_with(dir.path(), options.clone()).unwrap();
        for n in 0..50 {
            let batch = trades("A", n * 100..(n + 1) * 100);
            db.append(batch, tapebook::Durability::Synced).unwrap().wait().unwrap();
        }
        db.flush().unwrap();
        db.close().unwrap();
    }
    // Without an archive, what is flushed is gone, and a restart has nothing in memory.
    let server = Server::over(dir, Setup { options, ..Setup::default() }).await;
    let refusal = Raw::begin(&server, from_seq(1, 1)).await.err().unwrap();
    assert_eq!((refusal.reason(), refusal.value), (RefusalReason::JournalGone, 5_001), "{refusal:?}");
    assert!(Raw::begin(&server, from_seq(5_001, 1)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_bound_on_subscriptions_and_one_that_ends_makes_room() {
    let limits = Limits { subscriptions_max: 2, ..Limits::default() };
    let server = Server::with(Setup { limits, ..Setup::default() }).await;
    let _first = Raw::begin(&server, from_seq(1, 1)).await.unwrap();
    let second = Raw::begin(&server, from_seq(1, 1)).await.unwrap();
    let third = Raw::begin(&server, from_seq(1, 1)).await.err().unwrap();
    assert_eq!((third.reason(), third.value), (RefusalReason::TooMany, 2));
    let states = server.node.subscribers.states(9);
    assert_eq!(
        states.iter().map(|state| (&*state.name, state.next_seq, state.lag)).collect::<Vec<_>>(),
        [("admin", 1, 9), ("admin", 1, 9),]
    );
    drop(second);
    until("the second one to be gone", || server.node.subscribers.len() == 1).await;
    assert!(Raw::begin(&server, from_seq(1, 1)).await.is_ok());
}
