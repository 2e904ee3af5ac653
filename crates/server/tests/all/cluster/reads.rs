//! Writing through any node, and reading on each as new as it must be.

use tapebook_client::{ProducerOptions, RefusalReason};
use tapebook_proto::v1::journal_client::JournalClient;
use tapebook_proto::v1::{OpenProducerRequest, Refusal, ScanRequest};
use tapebook_record::Trade;
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;

use super::support::{Node, three, until};

async fn journal(node: &Node) -> JournalClient<Channel> {
    JournalClient::connect(format!("http://{}", node.address())).await.unwrap()
}

fn scan(read: &str) -> Request<ScanRequest> {
    let mut request =
        Request::new(ScanRequest { table: "trades".into(), symbol: "A".into(), ..ScanRequest::default() });
    request.metadata_mut().insert("tapebook-read", MetadataValue::try_from(read).unwrap());
    request
}

async fn rows(node: &Node, read: &str) -> Result<(usize, u64), Refusal> {
    let answer = journal(node).await.scan(scan(read)).await;
    let answer =
        answer.map_err(|status| Refusal::of_status(&status).unwrap_or_else(|| panic!("{status}")))?;
    let applied = answer.metadata().get("tapebook-applied-seq").unwrap().to_str().unwrap().parse().unwrap();
    let (mut pieces, mut found) = (answer.into_inner(), 0);
    while let Some(piece) = pieces.message().await.unwrap() {
        found += piece.seqs.len();
    }
    Ok((found, applied))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_takes_readers_and_shows_the_way_to_writers() {
    let mut nodes = three().await;
    // A client of a follower is sent to the leader.
    let producer = nodes[2].client().await.producer(ProducerOptions::new(7)).await.unwrap();
    for n in 0..100 {
        let trade = Trade { symbol: "A", ts: n, price: Some(1.0), ..Trade::default() };
        let receipt = producer.push(trade).await.unwrap();
        producer.flush().await.unwrap();
        let receipt = receipt.await.unwrap();
        // What was acknowledged is seen at once, wherever it is read.
        let reader = &nodes[(n % 3) as usize];
        let (found, applied) = rows(reader, "linearizable").await.unwrap();
        assert_eq!(found as i64, n + 1);
        assert!(applied >= receipt.seq);
    }
    for node in &nodes {
        let (found, _) = rows(node, "local").await.unwrap();
        assert!(found <= 100);
        assert!(rows(node, "stale-ms=60000").await.is_ok());
        let refused = rows(node, "yesterday").await.unwrap_err();
        assert_eq!(refused.reason(), RefusalReason::Invalid);
    }
    let refused = rows(&nodes[1], "stale-ms=0").await.unwrap_err();
    assert_eq!(refused.reason(), RefusalReason::Stale, "a follower is never as new as now: {refused:?}");

    let open = OpenProducerRequest { producer_id: 7, feed: 0, backfill_of: 0 };
    let status = journal(&nodes[1]).await.open_producer(open).await.unwrap_err();
    let refused = Refusal::of_status(&status).unwrap();
    assert_eq!((refused.reason(), &*refused.leader), (RefusalReason::NotLeader, &*nodes[0].address()));

    // The leader ends in order: another one leads before it is gone, and the writer goes there.
    nodes.remove(0).server.stop().await.unwrap();
    until("another node leads", || nodes.iter().any(Node::leads)).await;
    let trade = Trade { symbol: "A", ts: 100, price: Some(1.0), ..Trade::default() };
    let receipt = producer.push(trade).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(receipt.await.unwrap().seq, 101);
    for node in &nodes {
        assert_eq!(rows(node, "linearizable").await.unwrap().0, 101);
    }

    // With one of three left nothing is certain any more, and it says so.
    nodes.remove(0).server.stop().await.unwrap();
    let refused = rows(&nodes[0], "linearizable").await.unwrap_err();
    assert_eq!(refused.reason(), RefusalReason::Stale);
    assert_eq!(rows(&nodes[0], "local").await.unwrap().0, 101);
}
