//! The leader is killed again and again while producers write.

use std::time::{Duration, Instant};

use super::support::{Checked, PATIENCE, Plan, TestCluster, Workload, check_everything, rounds};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_killed_leaders() {
    let mut cluster = TestCluster::of(3).await;
    let plan = Plan { producers: 32, pause: Duration::from_millis(20) };
    let mut workload = Workload::start(cluster.writer(&[1, 2, 3]), plan).await;
    let mut checked = Checked::new(&workload.ledger, 0);
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for round in 0..rounds(5) {
        let leader = cluster.leader().await;
        cluster.node(leader).kill();
        let killed_at = Instant::now();
        first.push(workload.writes_within(PATIENCE, killed_at).await);
        // It has to catch up while it is written to, and is read, in its turn, right after.
        cluster.node(leader).start();
        checked.read_on(&cluster, 1 + round % 3).await;
        all.push(workload.all_write_within(PATIENCE, killed_at).await);
        cluster.all_vote(&[1, 2, 3]).await;
    }
    eprintln!("from the kill to the first write {first:.2?}, until every producer wrote {all:.2?}");
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
}
