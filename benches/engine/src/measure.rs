//! Time, processor time, counters of the operating system, and medians of them.

use std::fmt;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// One value for each run.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<f64>);

impl Runs {
    /// Adds the value of a run.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Each run's value divided by that of the same run of `other`.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// Each run's value times `factor`.
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }
}

impl FromIterator<f64> for Runs {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// `median [least–greatest]`.
impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        write!(f, "{} [{}–{}]", short(median(&self.0)), short(least), short(greatest))
    }
}

/// Three significant digits, and all digits before the point.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The median; the upper one of an even number of values.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which a share of the values lies.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// From its begin to its end.
    pub wall_seconds: f64,
    /// Processor time of all threads of the process.
    pub cpu_seconds: f64,
    /// Processor time of the calling thread.
    pub thread_seconds: f64,
}

/// Runs something and says what it took.
pub fn cost<T>(run: impl FnOnce() -> T) -> (Cost, T) {
    let (cpu, thread) = (seconds(ClockId::ProcessCPUTime), seconds(ClockId::ThreadCPUTime));
    let begun = Instant::now();
    let result = run();
    let cost = Cost {
        wall_seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: seconds(ClockId::ProcessCPUTime) - cpu,
        thread_seconds: seconds(ClockId::ThreadCPUTime) - thread,
    };
    (cost, result)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A counter of `/proc/self/io`, in bytes.
pub fn io_counter(name: &str) -> u64 {
    field("/proc/self/io", name)
}

/// The most memory that this process ever had resident, mapped files included, in MiB.
pub fn peak_mib() -> u64 {
    field("/proc/self/status", "VmHWM") / 1024
}

/// Memory of the process itself that is resident now, without mapped files, in MiB.
pub fn anonymous_mib() -> u64 {
    field("/proc/self/status", "RssAnon") / 1024
}

fn field(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
