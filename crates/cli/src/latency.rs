//! How long things took: a histogram that is right to three digits.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer durations count as this one.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Durations, counted by size.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    nanos: Histogram<u64>,
}

impl Latency {
    pub(crate) fn new() -> Self {
        let nanos = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3);
        Self { nanos: nanos.expect("the bounds are in order and three digits are possible") }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        self.nanos.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts what another one has counted, too.
    pub(crate) fn add(&mut self, other: &Self) {
        self.nanos.add(&other.nanos).expect("the bounds are the same");
    }

    /// The duration that a share of all (0 to 1) did not exceed; zero where there are none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.nanos.value_at_quantile(share)).min(self.max())
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.nanos.max())
    }

    pub(crate) fn total(&self) -> u64 {
        self.nanos.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::new();
        assert_eq!(latency.quantile(0.5), Duration::ZERO);
        for millis in 1..=50 {
            latency.record(Duration::from_millis(millis));
        }
        let mut other = Latency::new();
        for millis in 51..=100 {
            other.record(Duration::from_millis(millis));
        }
        latency.add(&other);
        let p50 = latency.quantile(0.5).as_secs_f64();
        assert!((0.050..0.0501).contains(&p50), "{p50}");
        assert_eq!((latency.total(), latency.quantile(1.0)), (100, latency.max()));
        latency.record(Duration::MAX);
        assert!(latency.max() >= LONGEST);
    }
}
