//! How long nothing can be written when the leader is killed. A measurement, not a test:
//!
//! ```text
//! TAPEBOOK_CLUSTER_ROUNDS=100 cargo test -p tapebook-cli --test all failover -- --ignored --nocapture
//! ```
//!
//! Both times begin with the kill. The first ends when a new leader acknowledges a write of somebody who is connected with every node, asks
//! each of them every two milliseconds whether it leads, and writes at once to the one that does: that is how long there is no leader. The
//! second ends when a write of an ordinary client is acknowledged, which was connected with the old leader: what a user waits for.

use std::time::{Duration, Instant};

use futures::future::select_ok;
use tapebook_client::{Client, ProducerError};

use super::support::{Plan, TestCluster, Workload, check_everything, rounds};

const ASK_EVERY: Duration = Duration::from_millis(2);
/// Between a cluster that is whole again and the next kill.
const REST: Duration = Duration::from_secs(1);
const BEHIND_THE_WORKLOAD: u64 = 1_000;

#[ignore = "a measurement"]
#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_else_writes() {
    measure("idle", Plan { producers: 0, pause: Duration::ZERO }).await;
}

#[ignore = "a measurement"]
#[tokio::test(flavor = "multi_thread")]
async fn under_load() {
    measure("under load", Plan { producers: 32, pause: Duration::from_millis(20) }).await;
}

async fn measure(what: &str, plan: Plan) {
    let mut cluster = TestCluster::of(3).await;
    let workload = Workload::start(cluster.writer(&[1, 2, 3]), plan).await;
    let client = Client::connect(cluster.writer(&[1, 2, 3])).await.unwrap();
    let ordinary = workload.writer(&client, BEHIND_THE_WORKLOAD).await.unwrap();
    let (mut no_leader, mut no_write) = (Vec::new(), Vec::new());
    for round in 1..=rounds(20) {
        cluster.all_vote(&[1, 2, 3]).await;
        tokio::time::sleep(REST).await;
        let leader = cluster.leader().await;
        // It is connected with the leader now.
        ordinary.write().await;
        let mut probes = Vec::new();
        for node in cluster.others(leader) {
            let mut options = cluster.writer(&[node]);
            options.retry_for = Duration::ZERO;
            probes.push((node, Client::connect(options).await.unwrap()));
        }
        let killed_at = Instant::now();
        cluster.node(leader).kill();
        let probes = probes.into_iter().map(|(node, client)| {
            let (cluster, workload) = (&cluster, &workload);
            Box::pin(async move {
                loop {
                    cluster.watch.begins_to_lead(node, ASK_EVERY).await;
                    if let Ok(writer) = workload.writer(&client, BEHIND_THE_WORKLOAD + round).await {
                        writer.write().await;
                        return Ok::<_, ProducerError>(killed_at.elapsed());
                    }
                }
            })
        });
        let ordinary = async {
            ordinary.write().await;
            killed_at.elapsed()
        };
        let (probed, written) = tokio::join!(select_ok(probes), ordinary);
        no_leader.push(probed.unwrap().0);
        no_write.push(written);
        cluster.node(leader).start();
    }
    eprintln!("{what}: no leader for {}", in_words(no_leader));
    eprintln!("{what}: an ordinary client waits {}", in_words(no_write));
    cluster.all_vote(&[1, 2, 3]).await;
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
}

fn in_words(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    // The nearest rank.
    let at = |share: f64| times[((times.len() as f64 * share).ceil() as usize).max(1) - 1].as_millis();
    format!("p50 {} ms, p99 {} ms, max {} ms of {} kills", at(0.5), at(0.99), at(1.0), times.len())
}
