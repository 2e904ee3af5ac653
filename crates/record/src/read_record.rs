//! A record as a read hands it out: in place, or in a block that it shares.

use std::fmt;
#[cfg(feature = "arrow")]
use std::sync::Arc;

#[cfg(feature = "arrow")]
use crate::projection::RowBlock;
use crate::record::RawRecord;

/// A record that was found.
///
/// Where its bytes lie in memory or in a mapped file, it refers to them. Where its row had to be made from the columns of
/// a history file, it holds on to the block that it was made in, which goes when the last record of it goes. Either way
/// [`ReadRecord::raw`] gives the row.
#[derive(Clone)]
pub struct ReadRecord<'a> {
    place: Place<'a>,
}

#[derive(Clone)]
enum Place<'a> {
    Stored(RawRecord<'a>),
    #[cfg(feature = "arrow")]
    Decoded {
        block: Held,
        /// Below the block's length.
        at: usize,
    },
}

/// A block that a record holds on to; always `Some` until it is dropped.
///
/// Nothing takes the address of a record to drop it. So a loop over records that lie in a file keeps them in registers,
/// which makes it twice as fast.
#[cfg(feature = "arrow")]
#[derive(Clone)]
struct Held(Option<Arc<RowBlock>>);

#[cfg(feature = "arrow")]
impl Held {
    #[inline(never)]
    fn record(&self, at: usize) -> RawRecord<'_> {
        self.rows().get(at).expect("its place is in the block")
    }

    #[inline(never)]
    fn key(&self, at: usize) -> (i64, u64) {
        self.rows().key(at).expect("its place is in the block")
    }

    fn rows(&self) -> &RowBlock {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

#[cfg(feature = "arrow")]
impl Drop for Held {
    #[inline(always)]
    fn drop(&mut self) {
        release(self.0.take());
    }
}

#[cfg(feature = "arrow")]
#[inline(never)]
fn release(block: Option<Arc<RowBlock>>) {
    drop(block);
}

impl<'a> ReadRecord<'a> {
    /// A row of a block that was made from columns; `None` behind its last one.
    #[cfg(feature = "arrow")]
    pub fn decoded(block: &Arc<RowBlock>, at: usize) -> Option<Self> {
        (at < block.len())
            .then(|| Self { place: Place::Decoded { block: Held(Some(Arc::clone(block))), at } })
    }

    /// The row and its place in the journal.
    #[inline(always)]
    pub fn raw(&self) -> RawRecord<'_> {
        match &self.place {
            Place::Stored(raw) => *raw,
            #[cfg(feature = "arrow")]
            Place::Decoded { block, at } => block.record(*at),
        }
    }

    /// Fixed part and tail.
    #[inline(always)]
    pub(crate) fn row(&self) -> &[u8] {
        match &self.place {
            Place::Stored(raw) => raw.row,
            #[cfg(feature = "arrow")]
            Place::Decoded { block, at } => block.record(*at).row,
        }
    }

    /// Event time, nanoseconds since the epoch, UTC.
    #[inline(always)]
    pub fn ts(&self) -> i64 {
        self.key().0
    }

    /// Position in the journal.
    #[inline(always)]
    pub fn seq(&self) -> u64 {
        self.key().1
    }

    /// What orders the records of a series: `(ts, seq)`.
    #[inline(always)]
    pub fn key(&self) -> (i64, u64) {
        match &self.place {
            Place::Stored(raw) => (raw.ts, raw.seq),
            #[cfg(feature = "arrow")]
            Place::Decoded { block, at } => block.key(*at),
        }
    }

    /// What the record is about.
    #[inline]
    pub fn symbol(&self) -> &str {
        self.raw().symbol
    }
}

impl<'a> From<RawRecord<'a>> for ReadRecord<'a> {
    #[inline]
    fn from(raw: RawRecord<'a>) -> Self {
        Self { place: Place::Stored(raw) }
    }
}

impl fmt::Debug for ReadRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw().fmt(f)
    }
}

/// A record is as large in a merge as its references are.
const _: () = assert!(size_of::<ReadRecord<'_>>() == size_of::<RawRecord<'_>>());
