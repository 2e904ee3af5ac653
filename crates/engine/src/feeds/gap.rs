//! A gap as it is shown.

use std::sync::Arc;

use tapebook_record::TableId;

/// Numbers that are missing in a feed, or were and have come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FeedGap {
    /// The producer that declared the feed.
    pub producer: u64,
    /// The table, and the symbol below; `None` where the numbers belong to the producer as a whole.
    pub table: Option<TableId>,
    /// The symbol.
    pub symbol: Option<Arc<str>>,
    /// The first number that is missing.
    pub first_feed_seq: u64,
    /// The last one.
    pub last_feed_seq: u64,
    /// The sequence number of the row that showed the gap.
    pub seen_seq: u64,
    /// The commit clock then, nanoseconds since the epoch.
    pub seen_at: i64,
    /// The sequence number of the row that closed it; `None` while it is open.
    pub closed_seq: Option<u64>,
    /// The commit clock then.
    pub closed_at: Option<i64>,
}
