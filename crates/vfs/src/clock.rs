//! Clocks: the machine's, and one that a test moves by hand.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time, as the database sees it.
pub trait Clock: Debug + Send + Sync {
    /// Wall-clock time in nanoseconds since the Unix epoch, UTC. May jump in either direction.
    fn unix_nanos(&self) -> i64;

    /// Time since some fixed moment; never goes back. For timeouts and measurements.
    fn monotonic(&self) -> Duration;

    /// Waits: a real clock puts the thread to sleep, a clock that is moved by hand moves.
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

#[allow(clippy::disallowed_methods, reason = "this is the clock that others are sent to")]
impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the clock that others are sent to")]
impl Clock for SystemClock {
    fn unix_nanos(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
        }
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until somebody moves it.
#[derive(Debug)]
pub struct ManualClock {
    unix_nanos: AtomicI64,
    started: i64,
}

impl ManualClock {
    /// A clock that shows `unix_nanos`.
    pub fn new(unix_nanos: i64) -> Self {
        Self { unix_nanos: AtomicI64::new(unix_nanos), started: unix_nanos }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.unix_nanos.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn unix_nanos(&self) -> i64 {
        self.unix_nanos.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        let nanos = self.unix_nanos.load(Ordering::Relaxed) - self.started;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}
