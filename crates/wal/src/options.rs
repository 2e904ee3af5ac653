//! How a log is written.

use std::time::Duration;

use crate::WalError;
use crate::format::{
    GROUP_BYTES_MAX, PAYLOAD_BYTES_MAX, SEGMENT_BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
    frame_bytes,
};

/// How a log is written. None of it is needed to read the log: a segment states its own length.
#[derive(Clone, Debug)]
pub struct WalOptions {
    /// The length of a new segment; a multiple of 4096 from 64 KiB to 4 GiB. Default 64 MiB.
    pub segment_bytes: u64,
    /// The longest payload; at most 1 MiB, and a segment must hold it. Default 264 KiB, a full batch and some room.
    pub payload_bytes_max: u32,
    /// Bytes that wait for a sync at most; past it an append waits. Default 16 MiB.
    pub unsynced_bytes_max: u64,
    /// The most bytes of one group; at most 4 MiB, the default.
    pub group_bytes_max: usize,
    /// How long a group waits for as many entries as the last one had. Default 60 µs.
    pub linger_max: Duration,
    /// Spares that are kept when segments are purged; more are removed. Default 4.
    pub spare_segments_max: usize,
    /// True (the default): a thread writes what callers hand over, another one prepares segments ahead. False: no
    /// thread is started, what is queued waits for [`Wal::drive`](crate::Wal::drive) or the next
    /// [`Wal::append`](crate::Wal::append), and segments are prepared when they are needed.
    pub background: bool,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            payload_bytes_max: 264 << 10,
            unsynced_bytes_max: 16 << 20,
            group_bytes_max: GROUP_BYTES_MAX,
            linger_max: Duration::from_micros(60),
            spare_segments_max: 4,
            background: true,
        }
    }
}

impl WalOptions {
    pub(crate) fn validate(&self) -> Result<(), WalError> {
        let refuse = |reason| Err(WalError::Options { reason });
        let frames_bytes = self.segment_bytes.saturating_sub(2 * SEGMENT_BLOCK_BYTES as u64);
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return refuse("segment_bytes is not between 64 KiB and 4 GiB");
        }
        if !self.segment_bytes.is_multiple_of(SEGMENT_BLOCK_BYTES as u64) {
            return refuse("segment_bytes is not a multiple of 4096");
        }
        if self.payload_bytes_max as usize > PAYLOAD_BYTES_MAX {
            return refuse("payload_bytes_max is more than 1 MiB");
        }
        if frame_bytes(self.payload_bytes_max as usize) as u64 > frames_bytes {
            return refuse("a segment of segment_bytes does not hold a payload of payload_bytes_max");
        }
        if self.group_bytes_max > GROUP_BYTES_MAX {
            return refuse("group_bytes_max is more than 4 MiB");
        }
        Ok(())
    }
}
