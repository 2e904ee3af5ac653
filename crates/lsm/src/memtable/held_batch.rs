//! A batch as the MemTable keeps it, and how its rows are pointed at.

use std::sync::Arc;

use tapebook_record::{EncodedBatch, RawRecord};

use super::append_vec::AppendVec;

/// Where one row is. Within a run, entries are ordered by `(ts, seq)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) ts: i64,
    pub(super) seq: u64,
    /// Position of the batch among those of the MemTable.
    pub(super) batch: u32,
    /// Position of the row in the batch.
    pub(super) row: u32,
}

impl Entry {
    #[inline]
    pub(super) fn key(&self) -> (i64, u64) {
        (self.ts, self.seq)
    }
}

/// One batch: its bytes, its place in the journal, and what its names are called here.
pub(super) struct HeldBatch {
    pub(super) batch: EncodedBatch,
    /// The position of row 0 in the journal; row `i` follows `i` later.
    pub(super) first_seq: u64,
    /// Where the global handles of the batch's names begin in the MemTable's list of them; one follows the other.
    pub(super) first_handle: usize,
}

impl HeldBatch {
    /// Reads a row in place.
    #[inline]
    pub(super) fn record<'a>(&'a self, row: u32, symbol: &'a str) -> RawRecord<'a> {
        let header = self.batch.row_header(row as usize);
        RawRecord {
            ts: header.ts,
            seq: self.first_seq + u64::from(row),
            recv_ts: header.recv_ts,
            feed_seq: header.feed_seq,
            flags: header.flags,
            layout: header.layout,
            symbol,
            row: self.batch.row(&header),
        }
    }
}

/// The readers' side of all batches.
pub(super) struct HeldBatches {
    pub(super) batches: Arc<AppendVec<HeldBatch>>,
    pub(super) handles: Arc<AppendVec<u32>>,
}

impl HeldBatches {
    /// The global handle of a name of the batch's dictionary.
    pub(super) fn handle(&self, held: &HeldBatch, name: u32) -> Option<u32> {
        self.handles.get(held.first_handle + name as usize).copied()
    }
}
