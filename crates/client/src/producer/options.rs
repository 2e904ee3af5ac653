//! How a producer writes.

use std::time::Duration;

use tapebook_proto::v1;
use tapebook_record::batch::BATCH_BYTES_MAX;

/// The longest row, and a symbol, still fit into a batch that is not closed yet.
const BATCH_BYTES_OPEN_MAX: usize = BATCH_BYTES_MAX - 72 * 1024;

/// How a producer writes.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// Its id, not 0. Whoever writes one feed keeps the same one for ever.
    pub id: u64,
    /// Its epoch. `None`, the default: the next one, numbers begin at 1. One that has written already goes on behind its last
    /// batch, for whoever knows which rows that held.
    pub epoch: Option<u32>,
    /// What the feed's numbers mean from now on; `None`: what was said before.
    pub feed: Option<FeedNumbers>,
    /// A batch is closed when its first row has waited for so long. Default 1 ms.
    pub linger: Duration,
    /// A batch is closed when it has so many bytes; at most 184 KiB count. Default 64 KiB.
    pub batch_bytes: usize,
    /// Batches without a receipt at one time, at most as many as the server keeps receipts of. Default 64.
    pub in_flight_max: usize,
    /// True: a refused batch ends the producer, and nothing behind it is written; for rows that must not be written without those
    /// before them. False, the default: later batches go on, in the next epoch.
    pub end_at_refusal: bool,
    /// A batch that has no receipt after so long ends the producer, with an outcome that is not known. Default 60 s.
    pub give_up_after: Duration,
}

/// What the numbers say that a feed gives its messages. See `sys.gaps`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FeedNumbers {
    /// Nothing.
    None,
    /// They grow by one from row to row of a symbol.
    PerSymbol,
    /// They grow by one from row to row of the producer.
    PerChannel,
    /// An event covers the numbers from that of its first row to that of its last.
    Ranges,
    /// They are those of another producer's feed, whose gaps these rows fill.
    Backfill {
        /// The other producer.
        of: u64,
    },
}

impl ProducerOptions {
    /// The defaults, with an id.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            epoch: None,
            feed: None,
            linger: Duration::from_millis(1),
            batch_bytes: 64 * 1024,
            in_flight_max: 64,
            end_at_refusal: false,
            give_up_after: Duration::from_secs(60),
        }
    }

    /// When a batch is closed, within what is possible.
    pub(super) fn batch_bytes(&self) -> usize {
        self.batch_bytes.min(BATCH_BYTES_OPEN_MAX)
    }
}

impl FeedNumbers {
    /// As the protocol says it: what they are, and whose gaps they fill.
    pub(super) fn to_wire(self) -> (v1::FeedNumbers, u64) {
        match self {
            Self::None => (v1::FeedNumbers::None, 0),
            Self::PerSymbol => (v1::FeedNumbers::PerSymbol, 0),
            Self::PerChannel => (v1::FeedNumbers::PerChannel, 0),
            Self::Ranges => (v1::FeedNumbers::Ranges, 0),
            Self::Backfill { of } => (v1::FeedNumbers::Backfill, of),
        }
    }
}
