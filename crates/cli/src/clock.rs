//! The clock of the command's own measurements.

use std::sync::LazyLock;
use std::time::Duration;

use tapebook_vfs::{Clock, SystemClock};

static CLOCK: LazyLock<SystemClock> = LazyLock::new(SystemClock::new);

/// Time since the first call.
pub(crate) fn monotonic() -> Duration {
    CLOCK.monotonic()
}

/// Wall-clock time, nanoseconds since the epoch, UTC.
pub(crate) fn unix_nanos() -> i64 {
    CLOCK.unix_nanos()
}
