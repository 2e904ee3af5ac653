//! Latencies, counted in buckets whose width is a sixty-fourth of their value.

const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB;

/// Counts of durations in nanoseconds; a quantile is at most 1.6 % too large.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    greatest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, greatest: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.greatest = self.greatest.max(nanos);
    }

    /// Adds everything that another one counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.greatest = self.greatest.max(other.greatest);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest duration, exactly.
    pub fn greatest(&self) -> u64 {
        self.greatest
    }

    /// The duration that a share of all does not exceed; 0 where nothing was counted.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return greatest_of(at).min(self.greatest);
            }
        }
        0
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < SUB as u64 {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - SUB_BITS;
    (shift as usize + 1) * SUB + (nanos >> shift) as usize - SUB
}

/// The greatest duration that a bucket counts.
fn greatest_of(bucket: usize) -> u64 {
    if bucket < SUB {
        return bucket as u64;
    }
    let shift = bucket / SUB - 1;
    let first = ((bucket % SUB + SUB) as u64) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bucket, greatest_of};

    #[test]
    fn every_duration_is_in_the_bucket_that_ends_at_it_or_just_behind() {
        for nanos in (0..1 << 14).chain([u64::MAX, u64::MAX >> 1, 1 << 40, (1 << 40) - 1]) {
            let end = greatest_of(bucket(nanos));
            assert!(end >= nanos && end - nanos <= nanos / 64, "{nanos} is said to be {end}");
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|nanos| histogram.record(nanos * 1_000));
        for (share, exact) in [(0.5, 500_000), (0.99, 990_000), (0.999, 999_000), (1.0, 1_000_000)] {
            let found = histogram.quantile(share);
            assert!(found >= exact && found <= exact + exact / 64, "{share}: {found}");
        }
        assert_eq!(histogram.greatest(), 1_000_000);
        assert_eq!(histogram.total(), 1_000);
    }
}
