//! What a cluster does not let in, and says why, while it goes on.

use std::time::Duration;

use super::support::{Plan, TestCluster, Workload, check_everything, eventually, within};

/// A few producers, to see that the cluster goes on.
const LIGHT: Plan = Plan { producers: 4, pause: Duration::from_millis(20) };
/// What must not happen is waited for so long.
const A_WHILE: Duration = Duration::from_secs(2);

/// Waits until a node that was started has given up, and returns the reason.
async fn gives_up(cluster: &mut TestCluster, id: u64) -> String {
    eventually(&format!("node {id} ends"), async || cluster.node(id).has_ended().then_some(())).await;
    assert!(!cluster.node(id).ended().success());
    let log = cluster.node(id).log();
    let reason = log.lines().find_map(|line| line.strip_prefix("tapebook: "));
    reason.unwrap_or_else(|| panic!("node {id} gives no reason")).to_owned()
}

/// A command that must fail; its one line.
fn refused(cluster: &TestCluster, args: &[&str]) -> String {
    let ran = cluster.command(args);
    assert_eq!(ran.code, 1, "{args:?}: {ran:?}");
    ran.err
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_lost_its_disk_does_not_come_back_under_its_id() {
    let mut cluster = TestCluster::of(3).await;
    let workload = Workload::start(cluster.writer(&[1, 2, 3]), LIGHT).await;
    // It founded the cluster, and would found another one if any node did.
    cluster.node(1).kill();
    lose_disk(&mut cluster, 1);
    let reason = gives_up(&mut cluster, 1).await;
    assert!(
        reason.contains("node 1 belongs to the cluster already, and its data directory is empty"),
        "{reason}"
    );
    assert!(reason.contains("tapebook cluster replace 1 --by ID HOST:PORT"), "{reason}");
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;

    // Now most of them have. The one that is left belongs to the cluster, and so the others wait.
    cluster.node(2).kill();
    lose_disk(&mut cluster, 1);
    lose_disk(&mut cluster, 2);
    tokio::time::sleep(A_WHILE).await;
    for id in [1, 2] {
        assert!(!cluster.node(id).has_ended(), "node {id} does not wait");
        assert!(cluster.watch.now(id).is_none(), "node {id} has a journal");
        assert!(cluster.node(id).log().contains("waits for"));
    }
}

/// Starts a node again, with the same flags.
fn lose_disk(cluster: &mut TestCluster, id: u64) {
    // It may not have got as far as to make it.
    let _ = std::fs::remove_dir_all(&cluster.node(id).data);
    cluster.node(id).start();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_taken_out_does_not_come_back() {
    let mut cluster = TestCluster::of(3).await;
    let workload = Workload::start(cluster.writer(&[1, 2, 3]), LIGHT).await;
    let ran = cluster.command(&["cluster", "remove", "3"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    cluster.all_vote(&[1, 2]).await;
    // It still has its disk, and does not disturb those who stay.
    cluster.node(3).kill();
    cluster.node(3).start();
    let term = cluster.watch.now(1).unwrap().term;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(cluster.watch.now(1).unwrap().term, term);
    cluster.node(3).kill();
    std::fs::remove_dir_all(&cluster.node(3).data).unwrap();
    cluster.node(3).start();
    let reason = gives_up(&mut cluster, 3).await;
    assert!(reason.contains("ids are never used again; the next free one is 4"), "{reason}");
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_not_taken_in() {
    let mut cluster = TestCluster::of(3).await;
    let workload = Workload::start(cluster.writer(&[1, 2, 3]), LIGHT).await;
    // It has a cluster of its own, under the same authority.
    cluster.add(4).start();
    eventually("node 4 leads its own cluster", async || cluster.watch.now(4).filter(|seen| seen.leads)).await;
    cluster.node(4).kill();
    cluster.join(4, 1);
    eventually("node 4 leads its own cluster", async || cluster.watch.now(4).filter(|seen| seen.leads)).await;
    let address = cluster.address(4);
    let line = refused(&cluster, &["cluster", "add", "4", &address]);
    assert!(line.contains("belongs to another cluster") && line.contains("empty data directory"), "{line}");
    cluster.node(4).kill();

    // Nobody here knows who vouches for it.
    let foreign = cluster.foreign_certificates();
    cluster.add_with(5, &foreign);
    cluster.join(5, 1);
    let log = within(A_WHILE * 5, "node 5 says why it waits", async || {
        Some(cluster.node(5).log()).filter(|log| log.contains("node 5 waits for"))
    })
    .await;
    assert!(log.to_lowercase().contains("certificate"), "{log}");
    let address = cluster.address(5);
    let line = refused(&cluster, &["cluster", "add", "5", &address]);
    assert!(line.contains("node 5 cannot be reached"), "{line}");
    assert!(!cluster.node(5).has_ended(), "it waits");
    cluster.node(5).kill();
    cluster.all_vote(&[1, 2, 3]).await;
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_node_that_waits_at_its_address_is_added() {
    let mut cluster = TestCluster::of(3).await;
    let workload = Workload::start(cluster.writer(&[1, 2, 3]), LIGHT).await;
    cluster.add(4);
    cluster.add(6);
    let (address, other, taken) = (cluster.address(4), cluster.address(6), cluster.address(1));
    for (args, reason) in [
        ([&*address, "4"], "node 4 cannot be reached"),
        ([&*taken, "4"], "node 1 is at"),
        ([&*address, "2"], "node 2 is a member already, at"),
        (["nowhere.invalid:7700", "4"], "node 4 cannot be reached at nowhere.invalid:7700"),
    ] {
        let line = refused(&cluster, &["cluster", "add", args[1], args[0]]);
        assert!(line.contains(reason), "{args:?}: {line}");
    }
    cluster.node(6).flags.extend(["--join".to_owned(), address.clone()]);
    cluster.node(6).start();
    eventually("node 6 waits", async || cluster.node(6).log().contains("waits for").then_some(())).await;
    let line = refused(&cluster, &["cluster", "add", "4", &other]);
    assert!(line.contains("node 6 is at") && line.contains("expected node 4"), "{line}");
    cluster.node(6).kill();
    cluster.all_vote(&[1, 2, 3]).await;
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
}
