//! Counters of the writer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the log has done since it was started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WalStats {
    /// Groups written.
    pub groups: u64,
    /// Entries and notes written.
    pub entries: u64,
    /// Bytes written, headers and padding included.
    pub bytes: u64,
    /// The most entries of one group.
    pub group_entries_max: u64,
    /// Syncs of segments, those of new headers included.
    pub syncs: u64,
    /// Time spent in the syncs of groups.
    pub sync_nanos: u64,
    /// The longest sync of a group.
    pub sync_nanos_max: u64,
    /// Syncs of groups by duration: slot `i` counts those of less than `2^i` µs, the last one all longer.
    pub sync_micros_log2: [u64; 24],
    /// Bytes that are queued or being written now.
    pub unsynced_bytes: u64,
    /// Entries that are queued now.
    pub queued_entries: u64,
    /// How often an append had to wait for the bound of unsynced bytes or for a segment.
    pub stalls: u64,
    /// Segments begun.
    pub segments_begun: u64,
    /// Files that were zeroed to become segments.
    pub segments_zeroed: u64,
    /// Purged segments that were kept as spares.
    pub segments_recycled: u64,
}

/// The counters behind [`WalStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub groups: AtomicU64,
    pub entries: AtomicU64,
    pub bytes: AtomicU64,
    pub group_entries_max: AtomicU64,
    pub syncs: AtomicU64,
    pub sync_nanos: AtomicU64,
    pub sync_nanos_max: AtomicU64,
    pub sync_micros_log2: [AtomicU64; 24],
    pub stalls: AtomicU64,
    pub segments_begun: AtomicU64,
    pub segments_zeroed: AtomicU64,
    pub segments_recycled: AtomicU64,
}

impl Counters {
    pub fn group(&self, entries: usize, bytes: usize, sync: Duration) {
        let nanos = u64::try_from(sync.as_nanos()).unwrap_or(u64::MAX);
        self.groups.fetch_add(1, Relaxed);
        self.entries.fetch_add(entries as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.group_entries_max.fetch_max(entries as u64, Relaxed);
        self.syncs.fetch_add(1, Relaxed);
        self.sync_nanos.fetch_add(nanos, Relaxed);
        self.sync_nanos_max.fetch_max(nanos, Relaxed);
        let slot = (u64::BITS - (nanos / 1000).leading_zeros()) as usize;
        self.sync_micros_log2[slot.min(23)].fetch_add(1, Relaxed);
    }

    pub fn snapshot(&self) -> WalStats {
        WalStats {
            groups: self.groups.load(Relaxed),
            entries: self.entries.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            group_entries_max: self.group_entries_max.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            sync_nanos: self.sync_nanos.load(Relaxed),
            sync_nanos_max: self.sync_nanos_max.load(Relaxed),
            sync_micros_log2: std::array::from_fn(|slot| self.sync_micros_log2[slot].load(Relaxed)),
            stalls: self.stalls.load(Relaxed),
            segments_begun: self.segments_begun.load(Relaxed),
            segments_zeroed: self.segments_zeroed.load(Relaxed),
            segments_recycled: self.segments_recycled.load(Relaxed),
            ..WalStats::default()
        }
    }
}
