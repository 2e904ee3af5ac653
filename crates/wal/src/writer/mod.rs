//! Writing the log: admission, groups, segments.
//!
//! An entry's life: it is *admitted* (it gets its index and its position, and room is reserved for it) → it
//! waits in the queue → whoever holds the writer's role takes it into a *group* → one write, one sync → the mark → it
//! is *completed* through the sink, in log order. `completed ≤ synced ≤ written ≤ admitted`, always.

mod admit;
mod copy;
mod group;
mod maintain;
mod plan;
mod prepare;
mod queue;
mod segments;
mod shared;
mod stats;
mod tail;
mod threads;
mod wal;

pub use copy::{CopyError, LogCopy};
pub use segments::ClosedSegment;
pub(crate) use segments::PurgedThrough;
pub use stats::WalStats;
pub use wal::Wal;
