//! What other parts of the server keep anyway, read when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::Node;
use crate::access::RefusalKind;

/// The numbers of this moment, as a registry of their own.
pub(super) fn registry(node: &Node) -> Registry {
    let mut registry = Registry::with_prefix("tapebook");
    let refused = RefusalKind::ALL.map(|kind| (kind.name(), node.access.refusals().count(kind)));
    let subscribers = node.subscribers.len() as u64;
    registry.register_collector(Box::new(Server { refused, subscribers }));
    registry
}

#[derive(Debug)]
struct Server {
    refused: [(&'static str, u64); RefusalKind::ALL.len()],
    subscribers: u64,
}

impl Collector for Server {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Connections and calls that were turned away before a service was asked, and rights that were missing, by kind";
        let mut metric = encoder.encode_descriptor("refusals", help, None, MetricType::Counter)?;
        for (kind, count) in self.refused {
            ConstCounter::new(count).encode(metric.encode_family(&[("kind", kind)])?)?;
        }
        let help = "Subscriptions that run";
        let metric = encoder.encode_descriptor("subscribers", help, None, MetricType::Gauge)?;
        ConstGauge::new(self.subscribers).encode(metric)
    }
}
