//! How much memory and time one operation may take.

use std::time::Duration;

/// Bounds of an [`ObjectTarget`](crate::ObjectTarget).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The size of a part; an object of at most this size is sent in one request. Parts of very large objects are larger,
    /// so that there are no more than a store takes. At least 5 MiB, which is what stores ask for.
    pub part_bytes: u64,
    /// Parts in flight, upwards and downwards. With `part_bytes` it bounds the memory that a transfer takes.
    pub parts_in_flight: usize,
    /// Until a connection is there.
    pub connect_timeout: Duration,
    /// One request, with its part.
    pub request_timeout: Duration,
    /// How often a request is sent again where that may help.
    pub retries: usize,
    /// No request is sent again when this has passed since the first.
    pub retry_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            part_bytes: 8 << 20,
            parts_in_flight: 4,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(120),
            retries: 6,
            retry_timeout: Duration::from_secs(150),
        }
    }
}

/// A store takes 10,000 parts.
const PARTS_MAX: u64 = 9_000;

impl Limits {
    /// The size of each part but the last of an object of `bytes` bytes.
    pub(crate) fn part_bytes_of(&self, bytes: u64) -> u64 {
        self.part_bytes.max(1).max(bytes.div_ceil(PARTS_MAX))
    }
}
