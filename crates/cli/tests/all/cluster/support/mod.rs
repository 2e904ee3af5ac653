//! Clusters of real processes, what writes to them, what watches them and what checks what they hold.

mod certificates;
mod check;
mod journal;
mod ledger;
mod network;
mod node;
mod test_cluster;
mod watch;
mod workload;

use std::time::{Duration, Instant};

pub(super) use check::{Checked, check_everything};
pub(super) use network::{own_name, run};
pub(super) use test_cluster::TestCluster;
pub(super) use workload::{Plan, Workload};

/// What should come comes within this time, or the test fails. The machine may be busy with other tests.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until there is something to see.
pub(super) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// The same with another bound.
pub(super) async fn within<T>(bound: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(since.elapsed() < bound, "not within {} s: {what}", bound.as_secs_f32());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many rounds a scenario has: few in a normal run, as many as TAPEBOOK_CLUSTER_ROUNDS says in a long one.
pub(super) fn rounds(few: u64) -> u64 {
    match std::env::var("TAPEBOOK_CLUSTER_ROUNDS") {
        Ok(text) => text.parse().expect("TAPEBOOK_CLUSTER_ROUNDS is a number"),
        Err(_) => few,
    }
}
