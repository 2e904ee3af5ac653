//! Time, processor time, counters of the operating system, and medians of them.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

/// `USER_HZ`, which every Linux has at 100.
const TICKS_OF_SECOND: f64 = 100.0;

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

    /// The same value for each of these runs.
    pub fn constant(&self, value: f64) -> Self {
        Self(vec![value; self.0.len()])
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

/// The mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
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
    let (cpu, thread) = (process_seconds(), thread_seconds());
    let begun = Instant::now();
    let result = run();
    let wall_seconds = begun.elapsed().as_secs_f64();
    let (thread, cpu) = (thread_seconds() - thread, process_seconds() - cpu);
    (Cost { wall_seconds, cpu_seconds: cpu, thread_seconds: thread }, result)
}

/// Processor time of the process so far, in steps of 10 ms: only sums over many slices say something.
pub fn process_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process, in parentheses, may hold blanks.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_OF_SECOND
}

fn thread_seconds() -> f64 {
    // The kernel counts up to the last time that the thread was put aside.
    std::thread::yield_now();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos: u64 = stat.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
    nanos as f64 / 1e9
}

/// A counter of `/proc/self/io`, in bytes.
pub fn io_counter(name: &str) -> u64 {
    field("/proc/self/io", name)
}

/// Bytes that the device under a directory was given so far, by anybody; `None` where the system does not say.
///
/// The kernel's counter of the process, `write_bytes`, is of no use here: it counts every page of a large folio of
/// which one byte is written anew.
pub fn device_bytes(dir: &Path) -> Option<u64> {
    let device = std::fs::metadata(dir).ok()?.dev();
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    let stats = std::fs::read_to_string("/proc/diskstats").ok()?;
    let of_device = |line: &&str| {
        let mut words = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        words.next() == Some(major) && words.next() == Some(minor)
    };
    let sectors: u64 = stats.lines().find(of_device)?.split_whitespace().nth(9)?.parse().ok()?;
    Some(sectors * 512)
}

/// The most memory that this process ever had resident, mapped files included, in MiB.
pub fn peak_mib() -> u64 {
    field("/proc/self/status", "VmHWM") / 1024
}

/// Memory of the process itself that is resident now, without mapped files, in MiB.
pub fn anonymous_mib() -> f64 {
    field("/proc/self/status", "RssAnon") as f64 / 1024.0
}

/// All memory that is resident now, mapped files included, in MiB.
pub fn resident_mib() -> f64 {
    field("/proc/self/status", "VmRSS") as f64 / 1024.0
}

fn field(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
