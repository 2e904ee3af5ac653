//! What the server counts, in the text format of OpenMetrics.
//!
//! Two kinds of numbers: those that services count as they work ([`Metrics`]), and those that the database and other parts of the
//! server keep anyway and that are read when somebody asks (`database`, `server`). Every name begins with `tapebook_`, units are base units.
//!
//! *Invariant*: a label is one of a few words that stand in this source. No symbol, caller, table or text of a query ever
//! becomes one, so the number of series is bounded.

mod cluster;
mod database;
mod server;

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tapebook_proto::v1::RefusalReason;

use crate::Node;

/// The `Content-Type` of what [`Metrics::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds of queries: from 1 ms to 17 min, each bucket four times the one before.
const QUERY_BUCKETS: (f64, f64, u16) = (0.001, 4.0, 11);

/// One label, whose name and values are words of this source.
type Label = [(&'static str, &'static str); 1];

/// What services count. Cheap to bump from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    connections: Family<Label, Gauge>,
    appends_refused: Family<Label, Counter>,
    queries_running: Gauge,
    queries: Family<Label, Counter>,
    query_seconds: Histogram,
    query_rows: Counter,
    rows_ingested: Counter,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tapebook");
        let (start, factor, count) = QUERY_BUCKETS;
        let query_seconds = Histogram::new(exponential_buckets(start, factor, count));
        let metrics = Self {
            connections: Family::default(),
            appends_refused: Family::default(),
            queries_running: Gauge::default(),
            queries: Family::default(),
            query_seconds,
            query_rows: Counter::default(),
            rows_ingested: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("connections", "Open connections by port", metrics.connections.clone());
        registry.register(
            "appends_refused",
            "Batches that were refused, by reason",
            metrics.appends_refused.clone(),
        );
        registry.register("queries_running", "Queries that run", metrics.queries_running.clone());
        registry.register("queries", "Queries that ended, by outcome", metrics.queries.clone());
        registry.register_with_unit(
            "query",
            "From the beginning of a query to its last row",
            Unit::Seconds,
            metrics.query_seconds.clone(),
        );
        registry.register("query_rows", "Rows that queries gave", metrics.query_rows.clone());
        registry.register(
            "ingested_rows",
            "Rows that came by bulk ingest of Flight SQL and are durable",
            metrics.rows_ingested.clone(),
        );
        Self { registry, ..metrics }
    }

    /// A connection was accepted. `port` is what it speaks: `grpc` or `http`.
    pub fn connection_opened(&self, port: &'static str) {
        self.connections.get_or_create(&[("port", port)]).inc();
    }

    /// It is closed.
    pub fn connection_closed(&self, port: &'static str) {
        self.connections.get_or_create(&[("port", port)]).dec();
    }

    /// A batch was refused.
    pub fn append_refused(&self, reason: RefusalReason) {
        let name = reason.as_str_name();
        let word = name.strip_prefix("REFUSAL_REASON_").unwrap_or(name);
        self.appends_refused.get_or_create(&[("reason", word)]).inc();
    }

    /// A query began to run.
    pub(crate) fn query_began(&self) {
        self.queries_running.inc();
    }

    /// A query that had begun to run ended.
    pub(crate) fn query_ended(&self, outcome: &'static str, took: Duration, rows: u64) {
        self.queries_running.dec();
        self.query_seconds.observe(took.as_secs_f64());
        self.query_rows.inc_by(rows);
        self.query_outcome(outcome);
    }

    /// A query was refused before it ran.
    pub(crate) fn query_outcome(&self, outcome: &'static str) {
        self.queries.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Rows came by bulk ingest and are durable.
    pub(crate) fn ingested(&self, rows: u64) {
        self.rows_ingested.inc_by(rows);
    }

    /// Everything, with what the rest of the server counts by itself.
    pub fn render(&self, node: &Node) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry)?;
        text::encode_registry(&mut out, &server::registry(node))?;
        text::encode_registry(&mut out, &database::registry(&node.db))?;
        if let Some(cluster) = &node.cluster {
            text::encode_registry(&mut out, &cluster::registry(cluster))?;
        }
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
