//! What consensus keeps anyway, read when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tapebook_replication::{NodeStatus, Role};

use super::database::gauge;
use crate::cluster::Cluster;

const ROLES: [(Role, &str); 4] = [
    (Role::Leader, "leader"),
    (Role::Follower, "follower"),
    (Role::Candidate, "candidate"),
    (Role::Learner, "learner"),
];

/// The numbers of this moment, as a registry of their own.
pub(super) fn registry(cluster: &Cluster) -> Registry {
    let mut registry = Registry::with_prefix("tapebook");
    let status = cluster.consensus().status();
    let behind_seconds = cluster.behind().map(|behind| behind.as_secs_f64());
    registry.register_collector(Box::new(Consensus { status, behind_seconds }));
    registry
}

#[derive(Debug)]
struct Consensus {
    status: NodeStatus,
    behind_seconds: Option<f64>,
}

impl Collector for Consensus {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (out, status) = (&mut encoder, &self.status);
        let help = "1 for the role that the node has";
        let mut metric = out.encode_descriptor("cluster_role", help, None, MetricType::Gauge)?;
        for (role, word) in ROLES {
            let is_it = u64::from(role == status.role);
            ConstGauge::new(is_it).encode(metric.encode_family(&[("role", word)])?)?;
        }
        gauge(out, "cluster_term", "The term", None, status.term)?;
        let knows = u64::from(status.leader.is_some());
        gauge(out, "cluster_leader_known", "1 while the node knows who leads", None, knows)?;
        let members = &status.membership.members;
        gauge(out, "cluster_members", "Nodes", None, members.len() as u64)?;
        let voters = members.iter().filter(|member| member.votes != 0).count() as u64;
        gauge(out, "cluster_voters", "Nodes that vote", None, voters)?;
        gauge(out, "cluster_last_index", "The last entry that is durable here", None, status.durable_index)?;
        gauge(
            out,
            "cluster_commit_index",
            "The last entry known to be committed",
            None,
            status.committed.index,
        )?;
        gauge(out, "cluster_applied_index", "The last entry that is applied", None, status.applied.index)?;
        if status.role == Role::Leader {
            let lag = |matched: u64| status.last_index.saturating_sub(matched);
            let lag = status.followers.iter().map(|follower| lag(follower.matched)).max();
            let help = "Entries that the node furthest behind lacks, on the leader";
            gauge(out, "cluster_lag_max", help, None, lag.unwrap_or(0))?;
        }
        if let Some(behind) = self.behind_seconds {
            let help = "How old what is read here can be";
            let metric =
                out.encode_descriptor("cluster_behind", help, Some(&Unit::Seconds), MetricType::Gauge)?;
            ConstGauge::new(behind).encode(metric)?;
        }
        Ok(())
    }
}
