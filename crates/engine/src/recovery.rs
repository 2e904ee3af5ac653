//! The recovery target: how much log there may be for a restart to replay.

use std::time::Duration;

use crate::Options;
use crate::apply::MemtableBounds;

/// Bytes a second that a restart replays as long as nothing was measured: less than what is usual.
pub(crate) const ASSUMED_RATE: u64 = 400 << 20;
/// What was replayed in less bytes says little about the rate.
const MEASURED_BYTES_MIN: u64 = 16 << 20;
/// A stall or a clock that jumped must not lead to tiny files, nor a lucky run to a log without end.
const RATES: std::ops::RangeInclusive<u64> = (64 << 20)..=(2 << 30);
const LOG_BYTES_MIN: u64 = 64 << 10;

/// Bytes a second of the replay that just ended, where it was long enough to tell.
pub(crate) fn measured(bytes: u64, took: Duration) -> Option<u64> {
    let rate = (bytes as f64 / took.as_secs_f64()) as u64;
    (bytes >= MEASURED_BYTES_MIN && !took.is_zero()).then(|| rate.clamp(*RATES.start(), *RATES.end()))
}

/// The bounds with which the log of all MemTables together, frozen ones included, is replayed in the target time.
pub(crate) fn bounds(options: &Options, bytes_per_second: u64) -> MemtableBounds {
    let all = (options.recovery_target.as_secs_f64() * bytes_per_second as f64) as u64;
    let memtables = options.frozen_memtables_max.max(1) as u64 + 1;
    MemtableBounds { memtable_bytes: options.memtable_bytes, log_bytes: (all / memtables).max(LOG_BYTES_MIN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_all_memtables_is_replayed_in_time() {
        let options = Options {
            frozen_memtables_max: 4,
            recovery_target: Duration::from_secs(2),
            ..Options::default()
        };
        assert_eq!(bounds(&options, 500).log_bytes, LOG_BYTES_MIN);
        assert_eq!(bounds(&options, 100 << 20).log_bytes, 40 << 20);
        let default = bounds(&Options::default(), ASSUMED_RATE);
        assert!(default.log_bytes >= default.memtable_bytes, "the usual MemTable is not cut short");
    }

    #[test]
    fn only_a_replay_of_some_length_counts() {
        assert_eq!(measured(1 << 20, Duration::from_secs(1)), None);
        assert_eq!(measured(1 << 30, Duration::ZERO), None);
        assert_eq!(measured(1 << 30, Duration::from_secs(2)), Some(512 << 20));
        assert_eq!(measured(1 << 30, Duration::from_secs(1_000)), Some(64 << 20));
    }
}
