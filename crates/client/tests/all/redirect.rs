//! Writes and reads that a node sends elsewhere.

use std::time::Duration;

use tapebook_client::{
    Client, ClientError, ClientOptions, Producer, ProducerError, ProducerOptions, RefusalReason, Start,
    SubscribeOptions,
};
use tapebook_record::{Batch, Trade};

use super::fake::{Node, Part, Written, client_of, nobody, options};

fn one_trade() -> Batch {
    let mut batch = Batch::new();
    batch.push(Trade { symbol: "A", ts: 1, ..Trade::default() }).unwrap();
    batch
}

async fn producer_of(nodes: &[&Node]) -> Producer {
    client_of(nodes).await.producer(ProducerOptions::new(7)).await.unwrap()
}

/// Writes a batch; its sequence.
async fn write(producer: &Producer) -> u64 {
    producer.append(one_trade()).await.unwrap().await.unwrap().first_seq
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_named_is_found_without_another_attempt() {
    let written = Written::default();
    let leader = Node::start(&written, Part::Leads).await;
    let follower = Node::start(&written, Part::Follows(leader.address.to_string())).await;
    let producer = producer_of(&[&follower]).await;
    assert_eq!(write(&producer).await, 1);
    assert_eq!(follower.calls(), ["open"]);
    assert_eq!(leader.calls(), ["open", "open", "append", "batch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_leader_does_not_take_goes_to_the_new_one_once() {
    let written = Written::default();
    let [a, b] = [Node::start(&written, Part::Leads).await, Node::start(&written, Part::Leads).await];
    b.follows(&a);
    let producer = producer_of(&[&a]).await;
    assert_eq!(write(&producer).await, 1);
    b.becomes(Part::Leads);
    a.follows(&b);
    let mut appended = Vec::new();
    for _ in 0..20 {
        appended.push(producer.append(one_trade()).await.unwrap());
    }
    for (seq, batch) in (2..).zip(appended) {
        let receipt = batch.await.unwrap();
        assert_eq!((receipt.first_seq, receipt.duplicate), (seq, false));
    }
    // And back again.
    a.becomes(Part::Leads);
    b.follows(&a);
    assert_eq!(write(&producer).await, 22);
    assert_eq!(*written.lock().unwrap(), (1..=22).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_sent_before_is_not_given_up_because_a_node_follows() {
    let written = Written::default();
    let [a, b] = [Node::start(&written, Part::Leads).await, Node::start(&written, Part::Leads).await];
    let producer = producer_of(&[&a, &b]).await;
    assert_eq!(write(&producer).await, 1);
    // Its outcome is not known from the first node, and the next one does not lead when it gets it.
    a.becomes(Part::RefusesBatches(RefusalReason::UnknownOutcome));
    b.becomes(Part::RefusesBatches(RefusalReason::NotLeader));
    let waiting = producer.append(one_trade()).await.unwrap();
    while !b.calls().contains(&"batch") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    b.becomes(Part::Leads);
    assert_eq!(waiting.await.unwrap().first_seq, 2);
    assert_eq!(*written.lock().unwrap(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_no_node_has_taken_may_be_refused_for_good() {
    let written = Written::default();
    let [a, b] = [Node::start(&written, Part::Leads).await, Node::start(&written, Part::Leads).await];
    let producer = producer_of(&[&a]).await;
    assert_eq!(write(&producer).await, 1);
    a.follows(&b);
    b.becomes(Part::RefusesBatches(RefusalReason::Future));
    let refused = producer.append(one_trade()).await.unwrap().await.unwrap_err();
    assert!(
        matches!(&refused, ProducerError::Refused(refused) if refused.reason == RefusalReason::Future),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_at_the_address_that_is_named_the_others_are_tried() {
    for named in [nobody().await, String::new(), "no address:x".to_owned()] {
        let written = Written::default();
        let leader = Node::start(&written, Part::Leads).await;
        let follower = Node::start(&written, Part::Follows(named.clone())).await;
        let producer = producer_of(&[&follower, &leader]).await;
        assert_eq!(write(&producer).await, 1, "{named:?}");
        assert_eq!(follower.calls(), ["open"], "{named:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_back_to_what_it_knows_where_a_leader_ends() {
    let written = Written::default();
    let known = Node::start(&written, Part::Leads).await;
    let leader = Node::start(&written, Part::Leads).await;
    known.follows(&leader);
    let producer = producer_of(&[&known]).await;
    assert_eq!(write(&producer).await, 1);
    known.becomes(Part::Leads);
    leader.becomes(Part::Breaks);
    assert_eq!(write(&producer).await, 2);
    assert_eq!(known.calls(), ["open", "open", "append", "batch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_name_each_other_are_not_stormed() {
    let written = Written::default();
    let [a, b] = [Node::start(&written, Part::Leads).await, Node::start(&written, Part::Leads).await];
    a.follows(&b);
    b.follows(&a);
    let options = ClientOptions { retry_for: Duration::from_millis(300), ..options(&[&a]) };
    let client = Client::connect(options).await.unwrap();
    let refused = match client.known_producer(7).await.unwrap_err() {
        ClientError::Refused(refused) => refused,
        other => panic!("{other}"),
    };
    assert_eq!(refused.reason, RefusalReason::NotLeader);
    assert!(refused.leader.is_some());
    // One at once, the others after pauses of 20, 40, 80, 160 and 320 ms.
    let calls = a.calls().len() + b.calls().len();
    assert!((2..=7).contains(&calls), "{calls} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_election_is_waited_for() {
    let written = Written::default();
    let node = Node::start(&written, Part::Follows(String::new())).await;
    let client = client_of(&[&node]).await;
    let opened = tokio::spawn(async move { client.producer(ProducerOptions::new(7)).await });
    while node.calls().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.becomes(Part::Leads);
    assert_eq!(write(&opened.await.unwrap().unwrap()).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_far_behind_is_not_read_from() {
    let written = Written::default();
    let stale = Node::start(&written, Part::Refuses(RefusalReason::Stale)).await;
    let fresh = Node::start(&written, Part::Leads).await;
    let client = client_of(&[&stale, &fresh]).await;
    assert!(client.get("trades", "A", 1, 0).await.unwrap().is_none());
    assert_eq!((stale.calls(), fresh.calls()), (vec!["get"], vec!["get"]));

    let client = client_of(&[&stale, &fresh]).await;
    let mut journal = client.subscribe(SubscribeOptions::new(Start::Seq(1)));
    journal.next().await.unwrap();
    assert_eq!(journal.cursor().map(|cursor| cursor.seq), Some(1));
    assert_eq!(fresh.calls(), ["get", "subscribe"]);
}
