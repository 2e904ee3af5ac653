//! How a server takes part in a cluster.

use std::time::Duration;

/// How a server takes part in a cluster. The defaults make it the only node of a cluster of its own, which others may join.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The node's id. Default: that of the data directory; of a new one, 1.
    pub node_id: Option<u64>,
    /// All founding nodes with their addresses, the same list on each; they form the cluster at their first start.
    pub peers: Vec<(u64, String)>,
    /// Where a node of a cluster is that this one joins at its first start, `HOST:PORT`.
    pub join: Option<String>,
    /// Where the other nodes reach this one, `HOST:PORT`. Default: its entry in `peers`, else the address where gRPC is.
    pub advertise: Option<String>,
    /// Entries that files hold already and that the log keeps for nodes that are behind; who is further behind is sent files. Default
    /// 1,000,000.
    pub log_entries_kept: u64,
    /// Bytes of files that are sent to one node in a second. Default 128 MiB.
    pub snapshot_bytes_per_second: u64,
    /// A leader whose disk has synced nothing for so long while something waits hands over. Default 1 s.
    pub disk_stall_max: Duration,
    /// A node whose disk has synced nothing for so long while something waits ends. Default 30 s.
    pub disk_hang_max: Duration,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            node_id: None,
            peers: Vec::new(),
            join: None,
            advertise: None,
            log_entries_kept: 1_000_000,
            snapshot_bytes_per_second: 128 << 20,
            disk_stall_max: Duration::from_secs(1),
            disk_hang_max: Duration::from_secs(30),
        }
    }
}
