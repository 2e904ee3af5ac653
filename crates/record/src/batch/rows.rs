//! The rows of a batch, read in place.

use super::EncodedBatch;
use crate::{RawRecord, TableId};

/// Reads the rows of a batch. It looks at the dictionary once, when it is made.
#[derive(Debug)]
pub struct BatchRows<'a> {
    batch: &'a EncodedBatch,
    symbols: Vec<&'a str>,
}

impl<'a> BatchRows<'a> {
    pub(super) fn new(batch: &'a EncodedBatch) -> Self {
        Self { batch, symbols: batch.symbols().collect() }
    }

    /// The row at a place and its table; `seq` is where it stands in the journal, which the batch itself does not know.
    /// `None` behind the last row.
    pub fn get(&self, place: usize, seq: u64) -> Option<(TableId, RawRecord<'a>)> {
        if place >= self.batch.len() {
            return None;
        }
        let header = self.batch.row_header(place);
        let record = RawRecord {
            ts: header.ts,
            seq,
            recv_ts: header.recv_ts,
            feed_seq: header.feed_seq,
            flags: header.flags,
            layout: header.layout,
            symbol: self.symbols.get(header.symbol as usize)?,
            row: self.batch.row(&header),
        };
        Some((header.table, record))
    }
}
