//! The writer's side of a MemTable: finds each row's series and appends the row to it.
//!
//! There is one writer at a time, behind the MemTable's lock, which no reader takes.

use std::sync::Arc;

use tapebook_record::{EncodedBatch, TableId};

use super::append_vec::Appender;
use super::directory::{Directory, TableIndex};
use super::held_batch::{Entry, HeldBatch, HeldBatches};
use super::series_index::{SeriesIndex, SeriesWriter};
use crate::key::TimeRange;

/// Everything that only the writer needs.
pub(super) struct Writer {
    batches: Appender<HeldBatch>,
    /// The global handles of all batches' names. A list of its own for each batch would be an allocation for each batch.
    handles: Appender<u32>,
    tables: Vec<TableWriter>,
    /// The sequence number of the newest row, 0 where there is none.
    pub(super) last_seq: u64,
}

/// What an insert added.
pub(super) struct Inserted {
    pub(super) times: TimeRange,
    pub(super) index_bytes: isize,
}

struct TableWriter {
    index: Arc<TableIndex>,
    list: Appender<Arc<SeriesIndex>>,
    series: Vec<SeriesWriter>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { batches: Appender::new(), handles: Appender::new(), tables: Vec::new(), last_seq: 0 }
    }

    /// The readers' side of the batches.
    pub(super) fn held(&self) -> HeldBatches {
        HeldBatches { batches: Arc::clone(self.batches.shared()), handles: Arc::clone(self.handles.shared()) }
    }

    /// See [`MemTable::insert`](super::MemTable::insert).
    pub(super) fn insert(
        &mut self,
        directory: &Directory,
        batch: EncodedBatch,
        first_seq: u64,
        handles: &[u32],
    ) -> Inserted {
        assert!(first_seq > self.last_seq, "rows come in order: {first_seq} after {}", self.last_seq);
        assert_eq!(handles.len(), batch.header().symbol_count as usize, "a handle for each name");
        let slot = u32::try_from(self.batches.len()).expect("a MemTable has fewer than 2^32 batches");
        let mut inserted = Inserted { times: TimeRange::EMPTY, index_bytes: 0 };
        let first_handle = self.handles.len();
        for handle in handles {
            inserted.index_bytes += self.handles.push(*handle).cast_signed();
        }
        // Rows point at the batch, and the batch at its handles, so both are there before the first row can be found.
        inserted.index_bytes += self.batches.push(HeldBatch { batch, first_seq, first_handle }).cast_signed();
        let Self { batches, tables, last_seq, .. } = self;
        let batch = &batches.shared().get(slot as usize).expect("it was just added").batch;
        let mut current = None;
        for row in 0..batch.len() {
            let header = batch.row_header(row);
            let table = match current {
                Some((id, table)) if id == header.table => table,
                _ => position(tables, directory, header.table, &mut inserted),
            };
            current = Some((header.table, table));
            let seq = first_seq + row as u64;
            let series = tables[table].series(handles[header.symbol as usize], seq, &mut inserted);
            inserted.index_bytes += series.push(Entry { ts: header.ts, seq, batch: slot, row: row as u32 });
            inserted.times = inserted.times.including(header.ts);
            *last_seq = seq;
        }
        inserted
    }
}

/// The position of a table, which is added where there is none.
#[inline]
fn position(
    tables: &mut Vec<TableWriter>,
    directory: &Directory,
    id: TableId,
    inserted: &mut Inserted,
) -> usize {
    if let Some(table) = directory.table(id) {
        return table.slot;
    }
    let list = Appender::new();
    let slot = tables.len();
    let index = Arc::new(TableIndex::new(id, slot, &list));
    inserted.index_bytes += directory.add_table(&index).cast_signed();
    tables.push(TableWriter { index, list, series: Vec::new() });
    slot
}

impl TableWriter {
    #[inline]
    fn series(&mut self, symbol: u32, seq: u64, inserted: &mut Inserted) -> &mut SeriesWriter {
        let position = match self.index.position(symbol) {
            Some(position) => position,
            None => self.add_series(symbol, seq, inserted),
        };
        &mut self.series[position]
    }

    #[cold]
    fn add_series(&mut self, symbol: u32, seq: u64, inserted: &mut Inserted) -> usize {
        let position = self.series.len();
        let writer = SeriesWriter::new(symbol, seq);
        let listed = self.list.push(Arc::clone(writer.shared()));
        self.series.push(writer);
        let placed = self.index.set_position(symbol, position);
        inserted.index_bytes += (SeriesWriter::EMPTY_BYTES + listed + placed).cast_signed();
        position
    }
}
