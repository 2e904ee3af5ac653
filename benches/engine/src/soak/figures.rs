//! What is watched, and its table.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tapebook::Db;

use super::trend::Trend;
use crate::AnyError;
use crate::measure::{anonymous_mib, mean, quantile, resident_mib};

/// What is looked at once a second; a minute has the mean.
const GAUGES: [&str; 7] =
    ["anonymous_mib", "resident_mib", "files", "sstables", "history_files", "held_mrows", "bytes_per_row"];
/// What is counted over a minute.
const COUNTED: [&str; 5] =
    ["append_p50_us", "append_p99_us", "bare_p50_us", "cpu_seconds", "write_amplification"];
/// What must not grow.
const PROMISED: [&str; 6] =
    ["anonymous_mib", "resident_mib", "files", "bytes_per_row", "append_p50_us", "append_p99_us"];

/// What was seen and measured within one minute.
#[derive(Debug, Default)]
pub struct Minute {
    gauges: Vec<[f64; GAUGES.len()]>,
    /// What each append took.
    pub append_micros: Vec<f64>,
    /// What each bare write of as many bytes took, with its sync.
    pub bare_micros: Vec<f64>,
    /// Processor time of all threads.
    pub cpu_seconds: f64,
    /// Bytes that were written for each byte of batches.
    pub write_amplification: f64,
}

impl Minute {
    /// Looks at memory, files and rows.
    pub fn look(&mut self, db: &Db, dir: &Path) -> Result<(), AnyError> {
        let version = db.version();
        let snapshot = db.snapshot();
        let (tables, history) = (|| version.tables(), || version.history());
        let in_files =
            tables().map(|file| file.rows).sum::<u64>() + history().map(|file| file.rows).sum::<u64>();
        let held = in_files + snapshot.visible_seq().saturating_sub(version.last_seq());
        let usage = DiskUsage::of(dir)?;
        self.gauges.push([
            anonymous_mib(),
            resident_mib(),
            usage.names as f64,
            tables().count() as f64,
            history().count() as f64,
            held as f64 / 1e6,
            usage.bytes as f64 / held.max(1) as f64,
        ]);
        Ok(())
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let gauge = |at: usize| mean(&self.gauges.iter().map(|values| values[at]).collect::<Vec<_>>());
        let counted = [
            quantile(&self.append_micros, 0.5),
            quantile(&self.append_micros, 0.99),
            quantile(&self.bare_micros, 0.5),
            self.cpu_seconds,
            self.write_amplification,
        ];
        (0..GAUGES.len()).map(gauge).chain(counted)
    }
}

/// One row for each minute.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<f64>>,
}

impl Table {
    fn columns() -> impl Iterator<Item = &'static str> {
        GAUGES.into_iter().chain(COUNTED)
    }

    /// The CSV header.
    pub fn header() -> String {
        let columns: Vec<&str> = Self::columns().collect();
        format!("minute,{}", columns.join(","))
    }

    /// Takes the next minute; returns its CSV row.
    pub fn push(&mut self, minute: &Minute) -> String {
        let values: Vec<f64> = minute.values().collect();
        let mut row = format!("{}", self.rows.len() + 1);
        for value in &values {
            let _ = write!(row, ",{value:.2}");
        }
        self.rows.push(values);
        row
    }

    /// The minutes so far.
    pub fn minutes(&self) -> usize {
        self.rows.len()
    }

    /// A column's values, minute by minute.
    pub fn column(&self, name: &str) -> Vec<f64> {
        let at = Self::columns().position(|column| column == name).expect("a column of the table");
        self.rows.iter().map(|row| row[at]).collect()
    }

    /// How each figure that must not grow did, and the disk beside them, after the first `settled` minutes.
    pub fn trends(&self, settled: usize) -> Vec<(&'static str, Trend)> {
        let watched = PROMISED.into_iter().chain(["bare_p50_us"]);
        let after = |name| self.column(name).get(settled..).and_then(Trend::of);
        watched.filter_map(|name| Some((name, after(name)?))).collect()
    }
}

/// What a directory with everything below it takes.
#[derive(Default)]
struct DiskUsage {
    names: u64,
    /// Blocks of the disk; a file of two names counts once.
    bytes: u64,
}

impl DiskUsage {
    fn of(dir: &Path) -> Result<Self, AnyError> {
        let (mut usage, mut seen) = (Self::default(), std::collections::HashSet::new());
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                // A file may be removed while they are counted.
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                usage.names += 1;
                if seen.insert(metadata.ino()) {
                    usage.bytes += metadata.blocks() * 512;
                }
            }
        }
        Ok(usage)
    }
}
