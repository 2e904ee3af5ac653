//! How long synced appends took: a histogram with a relative error of at most 1/16.

use std::time::Duration;

/// Sixteen slots between a power of two and the next.
const SLOTS_PER_DOUBLING: u32 = 16;
const SLOTS: usize = 64 * SLOTS_PER_DOUBLING as usize;

/// Durations, counted by size.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; SLOTS], total: 0, max: Duration::ZERO }
    }

    pub(super) fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[slot(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(took);
    }

    /// The duration that a share of all (0 to 1) did not exceed; zero where there are none.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (slot, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(slot_end(slot)).min(self.max);
            }
        }
        self.max
    }

    pub(super) fn max(&self) -> Duration {
        self.max
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

fn slot(nanos: u64) -> usize {
    let bits = u64::BITS - nanos.leading_zeros();
    let shift = bits.saturating_sub(5);
    (shift * SLOTS_PER_DOUBLING) as usize + (nanos >> shift) as usize
}

/// The largest number of nanoseconds that falls into a slot.
fn slot_end(slot: usize) -> u64 {
    let per_doubling = SLOTS_PER_DOUBLING as usize;
    let shift = (slot / per_doubling).saturating_sub(1);
    let top = (slot - shift * per_doubling) as u64;
    (top << shift) | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_each_other_and_end_where_the_next_begins() {
        let mut last = 0;
        for nanos in (0..5000).chain((13..63).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let slot = slot(nanos);
            assert!(slot >= last && slot < SLOTS, "{nanos}");
            let end = slot_end(slot);
            assert!(end >= nanos && end as f64 <= nanos as f64 * (1.0 + 1.0 / 16.0), "{nanos} {end}");
            last = slot;
        }
        assert!(slot(u64::MAX) < SLOTS);
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::new();
        assert_eq!(latency.quantile(0.5), Duration::ZERO);
        for millis in 1..=100 {
            latency.record(Duration::from_millis(millis));
        }
        let p50 = latency.quantile(0.5).as_secs_f64();
        assert!((0.050..0.0535).contains(&p50), "{p50}");
        assert_eq!(latency.quantile(1.0), Duration::from_millis(100));
    }
}
