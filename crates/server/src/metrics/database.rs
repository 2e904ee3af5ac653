//! What the database keeps anyway, read when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tapebook::{Db, DbStats};

/// The numbers of this moment, as a registry of their own.
pub(super) fn registry(db: &Db) -> Registry {
    let mut registry = Registry::with_prefix("tapebook");
    let visible_seq = db.snapshot().visible_seq();
    let disk_free_bytes = db.vfs().available_bytes(db.layout().root()).ok();
    let failed = db.failure().is_some();
    registry.register_collector(Box::new(Database {
        stats: db.stats(),
        visible_seq,
        failed,
        disk_free_bytes,
    }));
    registry
}

#[derive(Debug)]
struct Database {
    stats: DbStats,
    visible_seq: u64,
    failed: bool,
    /// `None` where the system does not say.
    disk_free_bytes: Option<u64>,
}

impl Collector for Database {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Self { stats, visible_seq, failed, disk_free_bytes } = self;
        let out = &mut encoder;
        journal(out, stats, *visible_seq, *failed)?;
        memory(out, stats)?;
        files(out, stats)?;
        compaction(out, stats)?;
        if let Some(free) = disk_free_bytes {
            gauge(out, "disk_free", "Free space where the data directory is", Some(Unit::Bytes), *free)?;
        }
        Ok(())
    }
}

fn journal(
    out: &mut DescriptorEncoder<'_>,
    stats: &DbStats,
    visible_seq: u64,
    failed: bool,
) -> Result<(), fmt::Error> {
    let wal = &stats.wal;
    gauge(out, "journal_last_seq", "The newest sequence that readers see", None, visible_seq)?;
    counter(out, "rows", "Rows applied", None, stats.rows_applied)?;
    counter(
        out,
        "commits",
        "Entries of the log that are durable: batches and changes of state",
        None,
        wal.entries,
    )?;
    counter(out, "log_groups", "Groups of entries, each durable by one sync", None, wal.groups)?;
    counter(out, "log_written", "Bytes written to the log", Some(Unit::Bytes), wal.bytes)?;
    gauge(out, "log_unsynced", "Bytes that wait to be synced", Some(Unit::Bytes), wal.unsynced_bytes)?;
    counter(out, "log_stalls", "Appends that waited for the log", None, wal.stalls)?;
    gauge(
        out,
        "log_poisoned",
        "1 once a write or sync of the log has failed; only a restart helps",
        None,
        u64::from(failed),
    )?;
    let mut metric =
        out.encode_descriptor("log_sync", "Syncs of groups", Some(&Unit::Seconds), MetricType::Histogram)?;
    let last = wal.sync_micros_log2.len() - 1;
    let buckets: Vec<(f64, u64)> = (0..)
        .zip(wal.sync_micros_log2)
        .map(|(slot, count)| match slot == last as i32 {
            true => (f64::INFINITY, count),
            false => (2f64.powi(slot) / 1e6, count),
        })
        .collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    metric.encode_histogram::<NoLabelSet>(wal.sync_nanos as f64 / 1e9, count, &buckets, None)
}

fn memory(out: &mut DescriptorEncoder<'_>, stats: &DbStats) -> Result<(), fmt::Error> {
    let active = Some(Unit::Bytes);
    gauge(out, "memtable", "The active MemTable, batches and index", active, stats.memtable_bytes)?;
    gauge(out, "memtables_frozen", "MemTables that wait to be flushed", None, stats.frozen_memtables as u64)?;
    counter(out, "flush_stalls", "Appends that waited for a flush", None, stats.stalls)?;
    let waited = stats.stall_time.as_secs_f64();
    counter(out, "flush_stall", "How long they waited, together", Some(Unit::Seconds), waited)?;
    let failing = u64::from(stats.flush_failing.is_some());
    gauge(out, "flush_failing", "1 while MemTables cannot be flushed", None, failing)
}

fn files(out: &mut DescriptorEncoder<'_>, stats: &DbStats) -> Result<(), fmt::Error> {
    let version = &stats.version;
    let levels: Vec<(String, u64, u64)> = (0..tapebook::LEVELS)
        .map(|level| {
            let files = version.level(level);
            (level.to_string(), files.len() as u64, files.iter().map(|file| file.bytes).sum())
        })
        .collect();
    let mut metric = out.encode_descriptor("sstables", "SSTables by level", None, MetricType::Gauge)?;
    for (level, count, _) in &levels {
        ConstGauge::new(*count).encode(metric.encode_family(&[("level", level.as_str())])?)?;
    }
    let unit = Some(&Unit::Bytes);
    let mut metric =
        out.encode_descriptor("sstable", "Bytes of SSTables by level", unit, MetricType::Gauge)?;
    for (level, _, bytes) in &levels {
        ConstGauge::new(*bytes).encode(metric.encode_family(&[("level", level.as_str())])?)?;
    }
    gauge(out, "history_files", "Parquet files of history", None, version.history().count() as u64)?;
    let history_bytes = version.history().map(|file| file.bytes).sum();
    gauge(out, "history", "Bytes of history", Some(Unit::Bytes), history_bytes)?;
    let problems = stats.scrub.problems.len() as u64;
    gauge(out, "damaged_files", "What reading the files again has found wrong", None, problems)
}

fn compaction(out: &mut DescriptorEncoder<'_>, stats: &DbStats) -> Result<(), fmt::Error> {
    let compaction = &stats.compaction;
    let mut metric =
        out.encode_descriptor("compactions", "Steps of compaction by kind", None, MetricType::Counter)?;
    for (kind, count) in
        [("move", compaction.moves), ("merge", compaction.merges), ("convert", compaction.conversions)]
    {
        ConstCounter::new(count).encode(metric.encode_family(&[("kind", kind)])?)?;
    }
    let bytes = Some(Unit::Bytes);
    counter(out, "compaction_read", "Bytes of files that were merged", bytes.clone(), compaction.read_bytes)?;
    counter(
        out,
        "compaction_written",
        "Bytes of those that took their place",
        bytes,
        compaction.written_bytes,
    )?;
    let failing = u64::from(compaction.failing.is_some());
    gauge(out, "compaction_failing", "1 while files cannot be compacted", None, failing)
}

pub(super) fn gauge(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    value: u64,
) -> Result<(), fmt::Error> {
    let metric: MetricEncoder<'_> = out.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

fn counter<N>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    value: N,
) -> Result<(), fmt::Error>
where
    ConstCounter<N>: EncodeMetric,
{
    let metric: MetricEncoder<'_> = out.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}
