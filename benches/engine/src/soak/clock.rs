//! A wall clock that runs with the event time of the load.

use std::time::{Duration, Instant};

use tapebook_vfs::Clock;

/// Shows a time that passes faster than it does; what is measured and waited for is real.
#[derive(Debug)]
pub struct EventClock {
    started: Instant,
    first: i64,
    speed: u32,
}

impl EventClock {
    /// Shows `first` now, and so many seconds more each second.
    pub fn new(first: i64, speed: u32) -> Self {
        Self { started: Instant::now(), first, speed }
    }
}

impl Clock for EventClock {
    fn unix_nanos(&self) -> i64 {
        let passed = self.started.elapsed() * self.speed;
        self.first + i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX - self.first)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
