//! The leader is stopped where it is, and goes on as if nothing had happened.
//!
//! It believes to lead when it wakes, and others have led since. Nothing that was acknowledged is lost, by it or by them.

use std::time::{Duration, Instant};

use tapebook_client::Client;

use super::support::{Plan, TestCluster, Workload, check_everything, rounds};

/// From a moment of no answer to one at which every timeout has passed.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_has_lost_nothing() {
    let mut cluster = TestCluster::of(3).await;
    let plan = Plan { producers: 8, pause: Duration::from_millis(20) };
    let mut workload = Workload::start(cluster.writer(&[1, 2, 3]), plan).await;
    let mut newcomer = 100;
    for pause in PAUSES.into_iter().cycle().take(rounds(1) as usize * PAUSES.len()) {
        let leader = cluster.leader().await;
        let others = cluster.others(leader);
        let paused_at = Instant::now();
        cluster.node(leader).pause();
        // Those who are connected with it wait; whoever comes now does not.
        newcomer += 1;
        let client = Client::connect(cluster.writer(&others)).await.unwrap();
        workload.writer(&client, newcomer).await.unwrap().write().await;
        eprintln!("a newcomer has written {:.2?} after the leader was stopped", paused_at.elapsed());
        tokio::time::sleep(pause.saturating_sub(paused_at.elapsed())).await;
        cluster.node(leader).wake();
        let all = workload.all_write_within(RECOVERY_TIME_MAX, Instant::now()).await;
        eprintln!("stopped for {pause:?}: every producer writes {all:.2?} after it woke");
    }
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
}
