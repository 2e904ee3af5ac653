//! Compaction: which files are moved or merged, and how rows get from old files into new ones.
//!
//! Two things, kept apart. [`choose`] decides: a pure function of the version and of [`Facts`] about its files.
//! [`rewrite`] does the one part of carrying that out that touches rows. When to ask, how fast to write and how to
//! commit the result is the engine's.
//!
//! A flushed file belongs to no partition. From there
//!
//! ```text
//! L0, as flushed ── lies in one partition ───────────► moved: L1, or L0 of the partition where rows are late
//!                └─ lies in several ─────────────────► divided among them
//! L0 of a partition ── overlaps nothing any more ────► moved to L1
//!                   ├─ several of a size ────────────► merged into one, still L0
//!                   └─ as much as what they overlap ─► merged into L1
//! L1 ── small neighbours ────────────────────────────► merged
//!    └─ a partition that outgrew its bound ──────────► divided into shorter ones
//! a partition ── nothing came for a while ───────────► converted: history, and L2 for what retractions hide
//!             └─ a retraction was made or undone ────► converted anew
//! a table's part of a partition ── too old, too many ► dropped
//! ```
//!
//! A partition with history is never divided again. What comes late for it lies in SSTables like any other rows, and goes
//! into its history when it has grown to a share of it, or once it has been quiet for a day.
//!
//! *Invariant*: two files overlap only if some series has overlapping times in both. Data that came in order is
//! therefore moved, which writes a version edit and no rows.
//!
//! *Invariant*: in L1 of a partition no two files overlap, so that a series is read front to back, one file after the
//! other. Reading does not rely on it: a scan merges by key whatever it is given.

mod choice;
mod convert;
mod facts;
mod partitions;
mod retention;
mod rewrite;
mod slice_name;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use choice::{Choice, Convert, Goal, LEVEL_ASIDE, Merge, MergeReason, Move, Slice, choose};
pub use convert::{ConvertOutputs, convert};
pub use facts::{Facts, OpenFiles};
pub use retention::{Expired, Retention, RetentionPolicy};
pub use rewrite::{Outputs, PACE_BYTES, rewrite};
pub use slice_name::slice_name;

/// What compaction aims for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompactionOptions {
    /// A new file of L1 ends when it has about this many bytes, and files are merged up to it. Default 64 MiB.
    pub file_bytes: u64,
    /// So many files of about one size are merged together, at least 2. Default 4.
    pub fan_in: usize,
    /// Late rows are merged into what they overlap when that has at most this many times their bytes. Default 4.
    pub late_ratio: u64,
    /// A day with fewer bytes shares a partition with its neighbours, where there are more than two of them. Default 16 MiB.
    pub partition_bytes_min: u64,
    /// A partition with more bytes is divided, if it is longer than a day. Default 1 GiB.
    pub partition_bytes_max: u64,
    /// A partition becomes history when nothing has come for it for so long, and its time is over or nothing has come for
    /// a day. `None`: only when asked. Default one hour.
    pub late_allowance: Option<Duration>,
}

impl Default for CompactionOptions {
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            fan_in: 4,
            late_ratio: 4,
            partition_bytes_min: 16 << 20,
            partition_bytes_max: 1 << 30,
            late_allowance: Some(Duration::from_secs(60 * 60)),
        }
    }
}
