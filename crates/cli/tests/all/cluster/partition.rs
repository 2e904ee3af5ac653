//! Nodes that do not hear each other.
//!
//! The leader is cut off from the others, both ways and either way alone, and a follower is. Those who are the majority go on, who is
//! alone refuses to write, and when the links are back all nodes hold the same. Clients reach every node the whole time. Where no
//! link can be cut, the node is stopped instead.

use std::time::{Duration, Instant};

use tapebook_client::{Client, ClientError, ProducerError, ProducerOptions, RefusalReason};

use super::support::{Plan, TestCluster, Workload, check_everything, eventually, rounds, within};

const PLAN: Plan = Plan { producers: 8, pause: Duration::from_millis(20) };
/// The others have a leader and the clients have found it. It takes most of them less than a second.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a link is cut after the others have recovered.
const A_WHILE: Duration = Duration::from_secs(1);

/// Which ways are cut between a node and the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ways {
    Both,
    /// What it says is not heard.
    Out,
    /// It hears nothing.
    In,
}

fn cut(cluster: &mut TestCluster, node: u64, ways: Ways) {
    let others = cluster.others(node);
    if !cluster.can_cut() {
        eprintln!("no link can be cut: node {node} is stopped instead");
        return cluster.node(node).pause();
    }
    if ways != Ways::In {
        cluster.cut(node, &others);
    }
    if ways != Ways::Out {
        others.iter().for_each(|other| cluster.cut(*other, &[node]));
    }
}

fn heal(cluster: &mut TestCluster, node: u64, ways: Ways) {
    let others = cluster.others(node);
    if !cluster.can_cut() {
        return cluster.node(node).wake();
    }
    if ways != Ways::In {
        cluster.heal(node, &others);
    }
    if ways != Ways::Out {
        others.iter().for_each(|other| cluster.heal(*other, &[node]));
    }
}

/// A node that is alone takes no writes, whether or not it believes to lead.
async fn refuses(cluster: &TestCluster, node: u64) {
    let mut options = cluster.writer(&[node]);
    options.retry_for = Duration::ZERO;
    let client = Client::connect(options).await.unwrap();
    within(RECOVERY_TIME_MAX, "a leader that is cut off refuses to write", async || {
        match client.producer(ProducerOptions::new(1_000)).await {
            Err(ProducerError::Open(ClientError::Refused(refused))) => {
                let expected = matches!(refused.reason, RefusalReason::NotLeader | RefusalReason::Stale);
                assert!(expected, "{refused}");
                Some(())
            }
            Err(error) => panic!("node {node}: {error}"),
            Ok(_) => None,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_majority_goes_on_without_a_leader_that_is_cut_off() {
    let mut cluster = TestCluster::of(3).await;
    let mut workload = Workload::start(cluster.writer(&[1, 2, 3]), PLAN).await;
    for ways in [Ways::Both, Ways::Out, Ways::In].into_iter().cycle().take(rounds(1) as usize * 3) {
        let leader = cluster.leader().await;
        cut(&mut cluster, leader, ways);
        let cut_at = Instant::now();
        let others = cluster.others(leader);
        let successor = within(RECOVERY_TIME_MAX, "another node leads", async || {
            let seen = others.iter().filter_map(|other| cluster.watch.now(*other));
            seen.filter(|seen| seen.leads).map(|seen| seen.node_id).next()
        })
        .await;
        let elected = cut_at.elapsed();
        let all = workload.all_write_within(RECOVERY_TIME_MAX, cut_at + elected).await;
        eprintln!(
            "{ways:?}: node {successor} leads after {elected:.2?}, every producer writes after {all:.2?} more"
        );
        if cluster.can_cut() {
            refuses(&cluster, leader).await;
        }
        tokio::time::sleep(A_WHILE).await;
        heal(&mut cluster, leader, ways);
        let healed_at = Instant::now();
        catches_up(&cluster, leader).await;
        eprintln!("{ways:?}: node {leader} has caught up {:.2?} after it was healed", healed_at.elapsed());
        workload.all_write_within(RECOVERY_TIME_MAX, Instant::now()).await;
    }
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_cut_off_is_not_missed() {
    let mut cluster = TestCluster::of(3).await;
    let mut workload = Workload::start(cluster.writer(&[1, 2, 3]), PLAN).await;
    for ways in [Ways::Both, Ways::Out, Ways::In].into_iter().cycle().take(rounds(1) as usize * 3) {
        let leader = cluster.leader().await;
        let follower = cluster.others(leader)[0];
        let before = cluster.watch.now(leader).map(|seen| seen.term);
        cut(&mut cluster, follower, ways);
        tokio::time::sleep(A_WHILE).await;
        workload.all_write_within(RECOVERY_TIME_MAX, Instant::now()).await;
        heal(&mut cluster, follower, ways);
        catches_up(&cluster, follower).await;
        let after = cluster.watch.now(leader).map(|seen| seen.term);
        eprintln!("{ways:?}: the term was {before:?} and is {after:?}");
        workload.all_write_within(RECOVERY_TIME_MAX, Instant::now()).await;
    }
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
}

/// Waits until a node has what the leader has had at this moment.
async fn catches_up(cluster: &TestCluster, node: u64) {
    let leader = cluster.leader().await;
    let has = eventually("the leader answers", async || cluster.watch.now(leader)).await.commit_index;
    eventually("the node catches up", async || {
        cluster.watch.now(node).filter(|seen| seen.applied_index >= has)
    })
    .await;
}
