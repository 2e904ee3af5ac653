//! What the numbers of a feed mean.

use tapebook_record::TableId;
use tapebook_record::codec::{DecodeError, Decoder, Encoder};

/// What a producer's `feed_seq` means.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum FeedNumbers {
    /// Nothing.
    #[default]
    None,
    /// It grows by one from row to row of one table and symbol.
    PerSymbol,
    /// It grows by one from row to row of the producer.
    PerChannel,
    /// An event covers the numbers from that of its first row to that of its last, and the next one of its table and symbol begins
    /// right behind it. A row of a table without `event_end`, or where that is NULL, is an event of its own.
    Ranges,
    /// They are those of another producer's feed: these rows fill its gaps, and open none.
    Backfill {
        /// The producer whose gaps are filled.
        of: u64,
    },
}

/// Where numbers follow one another: a producer's channel as a whole, or one table and symbol.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stream {
    Channel,
    Series { table: TableId, symbol: u32 },
}

/// Numbers from the first to the last one, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Numbers {
    pub first: u64,
    pub last: u64,
}

impl Numbers {
    pub(crate) fn one(number: u64) -> Self {
        Self { first: number, last: number }
    }

    /// The numbers that both have.
    pub(crate) fn common(self, other: Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(Self { first, last })
    }
}

const NONE: u8 = 0;
const PER_SYMBOL: u8 = 1;
const PER_CHANNEL: u8 = 2;
const RANGES: u8 = 3;
const BACKFILL: u8 = 4;

pub(crate) fn put_feed_numbers(out: &mut Encoder, numbers: FeedNumbers) {
    match numbers {
        FeedNumbers::None => out.u8(NONE),
        FeedNumbers::PerSymbol => out.u8(PER_SYMBOL),
        FeedNumbers::PerChannel => out.u8(PER_CHANNEL),
        FeedNumbers::Ranges => out.u8(RANGES),
        FeedNumbers::Backfill { of } => out.u8(BACKFILL).u64(of),
    };
}

pub(crate) fn decode_feed_numbers(fields: &mut Decoder<'_>) -> Result<FeedNumbers, DecodeError> {
    let offset = fields.offset();
    Ok(match fields.u8()? {
        NONE => FeedNumbers::None,
        PER_SYMBOL => FeedNumbers::PerSymbol,
        PER_CHANNEL => FeedNumbers::PerChannel,
        RANGES => FeedNumbers::Ranges,
        BACKFILL => FeedNumbers::Backfill { of: fields.u64()? },
        _ => return Err(DecodeError { offset, reason: "what a feed's numbers mean (0 to 4)" }),
    })
}
