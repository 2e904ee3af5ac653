//! The leader's disk is full, and has room again later.
//!
//! The leader hands over, or refuses; the others go on. When there is room it takes part again, without a restart. Its directory is a small
//! file system of its own, which only root can mount; for others the test says that it was left out.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::support::{Plan, TestCluster, Workload, check_everything, eventually, own_name, run};

/// The size of the file system, in mebibytes.
const SIZE: u64 = 48;
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(20);

/// A small file system, until it is dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Result<Self, String> {
        std::fs::create_dir(at).unwrap();
        let (size, place) = (format!("size={SIZE}m"), at.display().to_string());
        run("mount", &["-t", "tmpfs", "-o", &size, &own_name(), &place])?;
        Ok(Self(at))
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.join("ballast")
    }

    /// Takes all room that there is.
    fn fill(&self) {
        let mut file = File::options().append(true).create(true).open(self.ballast()).unwrap();
        for bytes in [64 << 10, 1] {
            while file.write_all(&vec![0; bytes]).is_ok() {}
        }
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", &self.0.display().to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_is_full_is_replaced_and_comes_back() {
    let mut cluster = TestCluster::new();
    for id in 1..=3 {
        cluster.add(id);
    }
    let data = cluster.node(1).data.clone();
    let small = match Small::mount(&data) {
        Ok(small) => small,
        Err(reason) => return eprintln!("left out: {reason}"),
    };
    for id in 1..=3 {
        // A log that fills its segments soon needs new ones soon.
        cluster.node(id).set("--wal-segment-bytes", "512KiB");
        cluster.node(id).set("--memtable-bytes", "1MiB");
    }
    cluster.found(&[1, 2, 3]);
    cluster.all_vote(&[1, 2, 3]).await;
    let plan = Plan { producers: 16, pause: Duration::from_millis(2) };
    let mut workload = Workload::start(cluster.writer(&[1, 2, 3]), plan).await;
    if cluster.leader().await != 1 {
        let ran = cluster.command(&["cluster", "transfer", "1"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let life = cluster.watch.now(1).unwrap().life;

    small.fill();
    let full_at = Instant::now();
    let filling = async {
        // What is flushed and removed makes room again.
        loop {
            small.fill();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let leader = tokio::select! {
        leader = eventually("another node leads", async || cluster.leader_now().filter(|leader| *leader != 1)) => leader,
        () = filling => unreachable!(),
    };
    eprintln!("node {leader} leads {:.2?} after the disk was full", full_at.elapsed());
    let all = workload.all_write_within(RECOVERY_TIME_MAX, Instant::now()).await;
    eprintln!("every producer writes after {all:.2?} more");

    std::fs::remove_file(small.ballast()).unwrap();
    let room_at = Instant::now();
    let has = eventually("the leader answers", async || cluster.watch.now(leader)).await.commit_index;
    eventually("node 1 catches up", async || {
        cluster.watch.now(1).filter(|seen| seen.applied_index >= has && seen.life == life)
    })
    .await;
    eprintln!("node 1 has caught up {:.2?} after there was room", room_at.elapsed());
    let ran = cluster.command(&["cluster", "transfer", "1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    workload.all_write_within(RECOVERY_TIME_MAX, Instant::now()).await;
    let ledger = workload.stop().await;
    check_everything(&cluster, &ledger, 0).await;
    assert_eq!(cluster.watch.now(1).unwrap().life, life, "node 1 was restarted");
    drop(cluster);
}
