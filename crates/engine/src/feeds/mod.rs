//! Feed gaps: which numbers of a feed never came.
//!
//! A producer may declare what its `feed_seq` means ([`FeedNumbers`]), by an entry of the log. From then on every row that is applied
//! is looked at: a number that is ahead of the next one opens a *gap*, one that was missing closes it, wholly or in part. All of
//! it happens at apply and depends on earlier entries alone. The gaps are the producer's, not the connection's: they are found
//! across restarts and failovers, because the numbers go on in a greater epoch.
//!
//! Everything is bounded. Past a bound a gap is joined with the one before it in its series, so that what is listed still holds
//! every number that is missing, and some that came; where there is none to join, it is counted and not listed.
//!
//! *Invariant*: the open gaps of one stream of numbers do not overlap.

mod api;
mod entry;
mod gap;
mod gaps;
mod numbers;
mod positions;
mod section;
mod watch;

pub use api::FeedOverflow;
pub use entry::FeedDeclaration;
pub use gap::FeedGap;
pub use numbers::FeedNumbers;

pub(crate) use gaps::{Gap, Gaps};
pub(crate) use numbers::{decode_feed_numbers, put_feed_numbers};
pub(crate) use positions::Positions;
pub(crate) use section::{decode_gaps, decode_positions, encode_gaps, encode_positions};
pub(crate) use watch::{FeedRow, Watch};

/// Open gaps of one producer, and of all together. Bounds of the format and not settings, because every node must decide alike.
const OPEN_GAPS_MAX: usize = 1024;
const OPEN_GAPS_TOTAL_MAX: usize = 1 << 16;
/// Gaps that were closed, the newest ones of all producers together.
const CLOSED_GAPS_MAX: usize = 4096;
/// Streams of numbers that are watched, of all producers together.
const STREAMS_MAX: usize = 1 << 20;
