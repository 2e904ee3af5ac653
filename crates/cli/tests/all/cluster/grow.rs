//! A database that was written without a server is served, grows to three nodes under load, loses one and gets another in its place, and
//! every node is restarted. No write fails.

use std::time::Duration;

use super::support::{Plan, TestCluster, Workload, check_everything, eventually};
use crate::support::Ran;

/// Rows of the file, imported before there is a server.
const ROWS: u64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn one_node_becomes_three_and_each_of_them_is_replaced_or_restarted() {
    let mut cluster = TestCluster::new();
    for id in 1..=4 {
        cluster.add(id);
    }
    let rows: String = (1..=ROWS).map(|row| format!("{row},S{},1.5,{row}\n", row % 7)).collect();
    let file = cluster.dir.path().join("rows.csv");
    std::fs::write(&file, format!("ts,symbol,price,trade_id\n{rows}")).unwrap();
    let mut import = std::process::Command::new(env!("CARGO_BIN_EXE_tapebook"));
    import.args(["import", "trades", "--time-unit", "s"]).arg(&file).arg("--data").arg(&cluster.node(1).data);
    let ran = Ran::of(import.output().unwrap());
    assert_eq!(ran.out, format!("imported {ROWS} rows, skipped 0, seq 1..{ROWS}\n"), "{ran:?}");

    cluster.node(1).start();
    cluster.all_vote(&[1]).await;
    let plan = Plan { producers: 16, pause: Duration::from_millis(20) };
    let mut workload = Workload::start(cluster.writer(&[1, 2, 3, 4]), plan).await;
    for id in [2, 3] {
        cluster.join(id, 1);
        cluster.all_vote(&(1..=id).collect::<Vec<_>>()).await;
        workload.check();
    }

    cluster.node(2).kill();
    cluster.join(4, 1);
    let ran = cluster.command(&["cluster", "replace", "2", "--by", "4", &cluster.address(4)]);
    assert_eq!(ran.code, 0, "{ran:?}");
    cluster.all_vote(&[1, 3, 4]).await;
    workload.check();

    for id in [1, 3, 4] {
        assert!(cluster.node(id).end().success(), "node {id} did not end in order");
        cluster.node(id).start();
        // The next one must not go before this one can be counted on.
        eventually(&format!("node {id} has caught up"), async || {
            let leader = cluster.watch.now(cluster.leader_now()?)?;
            cluster.watch.now(id).filter(|seen| seen.commit_index + 100 >= leader.commit_index)
        })
        .await;
        workload.check();
    }
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, ROWS).await;
}
