//! `Get` and `Scan`: what is found, in which order, as of when, and in bounded pieces.

use std::time::Duration;

use tapebook_client::{ClientError, RefusalReason, ScanOptions};
use tapebook_server::Limits;

use super::support::{Server, Setup, bytes_of, trades};

async fn filled(numbers: u64) -> Server {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    for from in (0..numbers).step_by(500) {
        appender.send(bytes_of(&trades("A", from..(from + 500).min(numbers)).encode()));
        appender.receipt().await;
    }
    server
}

async fn scanned(server: &Server, options: ScanOptions) -> Vec<(i64, u64)> {
    let mut pieces = server.client().await.scan(options).await.unwrap();
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        all.extend(piece.records().map(|row| (row.ts, row.seq)));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_found_by_its_key_and_the_last_one_by_its_time() {
    let server = filled(10).await;
    let mut appender = server.appender().await;
    appender.send(bytes_of(&trades("A", [4, 4]).encode()));
    appender.receipt().await;
    let client = server.client().await;
    let found = client.get("trades", "A", 4, 5).await.unwrap().unwrap();
    assert_eq!((found.record().ts, found.record().seq, found.record().symbol), (4, 5, "A"));
    assert_eq!(found.as_of_seq(), 12);
    assert_eq!(client.get("trades", "A", 4, 0).await.unwrap().unwrap().record().seq, 12);
    assert!(client.get("trades", "A", 4, 6).await.unwrap().is_none());
    assert!(client.get("trades", "A", 99, 0).await.unwrap().is_none());
    assert!(client.get("trades", "nobody", 4, 0).await.unwrap().is_none());
    let unknown = client.get("nonsense", "A", 4, 0).await.unwrap_err();
    assert!(
        matches!(&unknown, ClientError::Refused(refused) if refused.reason == RefusalReason::Invalid),
        "{unknown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_over_many_pieces_brings_every_row_once_in_either_order() {
    let server = filled(20_000).await;
    let forward: Vec<(i64, u64)> = (0..20_000).map(|n| (n as i64, n + 1)).collect();
    assert_eq!(scanned(&server, ScanOptions::new("trades", "A")).await, forward);
    let back = scanned(&server, ScanOptions { newest_first: true, ..ScanOptions::new("trades", "A") }).await;
    assert_eq!(back, forward.iter().rev().copied().collect::<Vec<_>>());
    // From files as from memory.
    server.node.db.flush().unwrap();
    server.node.db.compact(tapebook::CompactionGoal::History).unwrap();
    assert_eq!(scanned(&server, ScanOptions::new("trades", "A")).await, forward);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_same_time_are_not_lost_between_pieces() {
    let server = Server::start().await;
    let mut appender = server.appender().await;
    for _ in 0..20 {
        appender.send(bytes_of(&trades("A", std::iter::repeat_n(7, 500)).encode()));
        appender.receipt().await;
    }
    let expected: Vec<(i64, u64)> = (1..=10_000).map(|seq| (7, seq)).collect();
    assert_eq!(scanned(&server, ScanOptions::new("trades", "A")).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_time_number_and_sequence_hold() {
    let server = filled(10_000).await;
    let all = ScanOptions::new("trades", "A");
    let some = scanned(&server, ScanOptions { from_ts: Some(10), to_ts: Some(13), ..all.clone() }).await;
    assert_eq!(some, [(10, 11), (11, 12), (12, 13)]);
    let limited = scanned(&server, ScanOptions { limit: Some(5_000), ..all.clone() }).await;
    assert_eq!(limited.len(), 5_000);
    let newest = ScanOptions { limit: Some(2), newest_first: true, as_of_seq: Some(100), ..all.clone() };
    assert_eq!(scanned(&server, newest).await, [(99, 100), (98, 99)]);
    assert_eq!(scanned(&server, ScanOptions::new("trades", "nobody")).await, []);
    let ahead = server.client().await.scan(ScanOptions { as_of_seq: Some(10_001), ..all }).await.unwrap_err();
    assert!(matches!(&ahead, ClientError::Refused(refused) if refused.value == 10_000), "{ahead}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_nobody_takes_lets_go_of_its_snapshot() {
    let limits = Limits { subscriber_stall_max: Duration::from_millis(200), ..Limits::default() };
    let server = Server::with(Setup { limits, ..Setup::default() }).await;
    let mut appender = server.appender().await;
    for n in 0..400 {
        appender.send(bytes_of(&trades("A", n * 500..(n + 1) * 500).encode()));
        appender.receipt().await;
    }
    let mut pieces = server.client().await.scan(ScanOptions::new("trades", "A")).await.unwrap();
    pieces.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let ended = loop {
        match pieces.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was not stopped"),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&ended, ClientError::Refused(refused) if refused.reason == RefusalReason::TooSlow),
        "{ended}"
    );
}
