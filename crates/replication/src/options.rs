//! How a node takes part.

use std::time::Duration;

use crate::Disk;

/// How a node takes part. The defaults are right for nodes of one site.
#[derive(Clone)]
pub struct NodeOptions {
    /// How often the leader tells its followers that it is there. Default 100 ms.
    pub heartbeat: Duration,
    /// A follower that was not told so for `election_timeout.1` waits a random time between both and then campaigns. Default
    /// 125 to 150 ms, so that it does about 300 ms after the last heartbeat.
    pub election_timeout: (Duration, Duration),
    /// Entries that files hold already and that the log keeps for nodes that are behind; who is further behind is sent files. Default
    /// 1,000,000.
    pub log_entries_kept: u64,
    /// How the replica's disk is driven.
    pub disk: Disk,
    /// What chance is drawn from: another number on every node and at every start. Equal numbers make equal simulations.
    pub seed: u64,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_timeout: (Duration::from_millis(125), Duration::from_millis(150)),
            log_entries_kept: 1_000_000,
            disk: Disk::Threads,
            seed: 0,
        }
    }
}

impl NodeOptions {
    /// The library's settings, the ones on which correctness rests set outright.
    pub(crate) fn to_raft(&self) -> Result<openraft::Config, openraft::ConfigError> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (timeout_min, timeout_max) = self.election_timeout;
        let config = openraft::Config {
            cluster_name: "tapebook".to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(timeout_min),
            election_timeout_max: millis(timeout_max),
            enable_pre_vote: Some(true),
            // A node that comes back is a follower, whatever it was, and a log never gets shorter than it said.
            enable_leader_restore: Some(false),
            allow_log_reversion: Some(false),
            // A leader that hears nobody must fall silent for long enough that others elect one.
            quorum_loss_probe_interval: Some(4 * millis(timeout_max)),
            max_payload_entries: 4096,
            // A follower is sent files where the log no longer has its entries, and never because there are many.
            replication_lag_threshold: u64::MAX,
            snapshot_policy: openraft::SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: self.log_entries_kept,
            // Files are sent for as long as it takes; whoever receives nothing for a while ends it.
            install_snapshot_timeout: 60 * 60 * 1_000,
            // Commands are small. The library must not wait for an engine that waits for a flush.
            state_machine_channel_size: Some(1 << 20),
            ..openraft::Config::default()
        };
        config.validate()
    }
}
