//! What is known of one producer.

use std::collections::VecDeque;

use crate::FeedNumbers;

/// Receipts that are kept for each producer, so that a retry gets the one of the first time.
pub const RECEIPTS_KEPT: usize = 64;

/// What is known of one producer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProducerState {
    /// His newest epoch; 0 where he has never written, unless he writes in that one.
    pub epoch: u32,
    /// The number of his last applied batch in that epoch.
    pub last_number: u64,
    /// First and last sequence number of his last batches, oldest first; the newest is number `last_number`. At most
    /// [`RECEIPTS_KEPT`], and none once he has expired.
    pub receipts: VecDeque<(u64, u64)>,
    /// The last sequence number that he was given; 0 where there was none.
    pub last_seq: u64,
    /// The commit clock when he was last heard of, nanoseconds since the epoch.
    pub seen_at: i64,
    /// He has expired: his batches are refused until they come with a greater epoch.
    pub expired: bool,
    /// What the numbers of its feed mean.
    pub feed: FeedNumbers,
}
