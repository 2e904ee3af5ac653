//! Two of three nodes are lost for ever.

use std::path::Path;
use std::process::Command;

use super::support::{Plan, TestCluster, Workload, check_everything};
use crate::support::Ran;

const LIGHT: Plan = Plan { producers: 4, pause: std::time::Duration::from_millis(20) };

fn on_data(data: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapebook"));
    Ran::of(command.args(args).arg("--data").arg(data).output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_goes_on_alone_and_grows_again() {
    let mut cluster = TestCluster::of(3).await;
    let workload = Workload::start(cluster.writer(&[1, 2, 3]), LIGHT).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    // Nothing is in flight when the others are lost, so nothing is lost with them.
    let ledger = workload.stop().await;
    for id in 1..=3 {
        cluster.node(id).end();
    }
    let data = cluster.node(3).data.clone();
    let wrong = on_data(&data, &["cluster", "recover", "--node-id", "1"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.err.contains("node 3 is there, not node 1"), "{wrong:?}");
    let recovered = on_data(&data, &["cluster", "recover", "--node-id", "3"]);
    assert_eq!(recovered.code, 0, "{recovered:?}");
    assert!(recovered.err.contains("node 3 is alone in the new epoch"), "{recovered:?}");
    let again = on_data(&data, &["cluster", "recover", "--node-id", "3"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("nothing to recover"), "{again:?}");

    cluster.node(3).start();
    cluster.all_vote(&[3]).await;
    cluster.add(4);
    cluster.join(4, 3);
    cluster.all_vote(&[3, 4]).await;
    check_everything(&cluster, &ledger, 0).await;
}

#[test]
fn a_cluster_begins_with_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("db");
    let begun = on_data(&data, &["cluster", "init", "--node-id", "7"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    assert!(begun.err.contains("node 7 of the new cluster"), "{begun:?}");
    let again = on_data(&data, &["cluster", "init"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("is there already"), "{again:?}");
}
