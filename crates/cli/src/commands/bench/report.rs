//! What was measured, for people and for programs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::error::{CliError, stdout_error};
use crate::latency::Latency;

/// How a result looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum ReportFormat {
    /// Lines for people
    Text,
    /// One JSON object
    Json,
}

/// Numbers of one measurement.
#[derive(Debug)]
pub(super) struct Report {
    /// What was done.
    pub(super) name: &'static str,
    /// How long it went on.
    pub(super) took: Duration,
    /// How often it was done.
    pub(super) operations: u64,
    /// Rows that were part of it.
    pub(super) rows: u64,
    /// How long what took.
    pub(super) latencies: Vec<(&'static str, Latency)>,
}

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

impl Report {
    pub(super) fn print(&self, format: ReportFormat) -> Result<(), CliError> {
        let text = match format {
            ReportFormat::Text => self.text(),
            ReportFormat::Json => self.json(),
        };
        io::stdout().write_all(text.as_bytes()).map_err(|error| stdout_error(&error))
    }

    fn per_second(&self, number: u64) -> f64 {
        number as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn text(&self) -> String {
        let (operations, rows) = (self.per_second(self.operations), self.per_second(self.rows));
        let seconds = self.took.as_secs_f64();
        let mut text = format!("{}: {operations:.0}/s, {rows:.0} rows/s, for {seconds:.1} s\n", self.name);
        for (name, latency) in &self.latencies {
            let quantiles =
                QUANTILES.map(|(label, share)| format!("{label} {}", micros(latency.quantile(share))));
            let _ = writeln!(text, "{name}: {}, max {}", quantiles.join(", "), micros(latency.max()));
        }
        text
    }

    fn json(&self) -> String {
        let latencies = self.latencies.iter().map(|(name, latency)| {
            let quantiles =
                QUANTILES.map(|(label, share)| format!("\"{label}\":{}", seconds(latency.quantile(share))));
            let (count, max) = (latency.total(), seconds(latency.max()));
            format!("\"{name}\":{{\"count\":{count},{},\"max\":{max}}}", quantiles.join(","))
        });
        format!(
            "{{\"name\":\"{}\",\"seconds\":{},\"operations\":{},\"rows\":{},\"latency_seconds\":{{{}}}}}\n",
            self.name,
            seconds(self.took),
            self.operations,
            self.rows,
            latencies.collect::<Vec<_>>().join(",")
        )
    }
}

fn micros(duration: Duration) -> String {
    format!("{:.0} µs", duration.as_secs_f64() * 1e6)
}

fn seconds(duration: Duration) -> String {
    format!("{:.9}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_are_told_the_same() {
        let mut latency = Latency::new();
        (0..100).for_each(|_| latency.record(Duration::from_micros(250)));
        let took = Duration::from_secs(2);
        let report = Report {
            name: "append",
            took,
            operations: 100,
            rows: 500,
            latencies: vec![("receipt", latency)],
        };
        assert_eq!(
            report.text(),
            "append: 50/s, 250 rows/s, for 2.0 s\nreceipt: p50 250 µs, p99 250 µs, p99.9 250 µs, max 250 µs\n"
        );
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["operations"], &json["rows"]), (&100.into(), &500.into()));
        let p99 = json["latency_seconds"]["receipt"]["p99"].as_f64().unwrap();
        assert!((0.000_249..0.000_251).contains(&p99), "{p99}");
    }
}
