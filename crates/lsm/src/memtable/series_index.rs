//! One series: the run that its rows are appended to, and the late rows beside it.

use std::sync::{Arc, OnceLock};

use super::append_vec::{AppendVec, Appender};
use super::held_batch::Entry;
use super::late::{LateIndex, LateWriter};

/// The readers' side.
pub(super) struct SeriesIndex {
    /// The symbol's handle.
    pub(super) symbol: u32,
    /// The sequence number of the first row.
    pub(super) first_seq: u64,
    /// The run in order.
    pub(super) in_order: Arc<AppendVec<Entry>>,
    late: OnceLock<Arc<LateIndex>>,
}

impl SeriesIndex {
    /// The late rows, where there are any.
    #[inline]
    pub(super) fn late(&self) -> Option<&LateIndex> {
        self.late.get().map(|late| &**late)
    }
}

/// The writer's side; one cache line, which is all that the writer waits for when it appends a row.
#[repr(align(64))]
pub(super) struct SeriesWriter {
    in_order: Appender<Entry>,
    last_ts: i64,
    index: Arc<SeriesIndex>,
    late: Option<Box<LateWriter>>,
}

impl SeriesWriter {
    const _ONE_LINE: () = assert!(size_of::<Self>() == 64);

    /// What an empty series takes.
    pub(super) const EMPTY_BYTES: usize =
        size_of::<Self>() + size_of::<SeriesIndex>() + size_of::<AppendVec<Entry>>();

    /// A series without rows, the first of which will have `first_seq`.
    pub(super) fn new(symbol: u32, first_seq: u64) -> Self {
        let in_order = Appender::new();
        let shared = Arc::clone(in_order.shared());
        let index = SeriesIndex { symbol, first_seq, in_order: shared, late: OnceLock::new() };
        Self { in_order, last_ts: i64::MIN, index: Arc::new(index), late: None }
    }

    /// The readers' side.
    pub(super) fn shared(&self) -> &Arc<SeriesIndex> {
        &self.index
    }

    /// Adds a row and returns by how many bytes the index grew.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) -> isize {
        if self.last_ts <= entry.ts {
            self.last_ts = entry.ts;
            return self.in_order.push(entry).cast_signed();
        }
        self.push_late(entry)
    }

    fn push_late(&mut self, entry: Entry) -> isize {
        if let Some(late) = &mut self.late {
            return late.push(entry);
        }
        let late = self.late.insert(Box::new(LateWriter::new()));
        let bytes = LateWriter::EMPTY_BYTES.cast_signed() + late.push(entry);
        let late = Arc::clone(late.shared());
        self.index.late.get_or_init(|| late);
        bytes
    }
}
