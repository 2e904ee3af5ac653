//! The writer's side of a MemTable: finds each row's series and appends the row to it.
//!
//! There is one writer at a time, behind the MemTable's lock, which no reader takes.

use std::sync::Arc;

use tapebook_record::{EncodedBatch, TableId};

use super::append_vec::Appender;
use super::directory::{Directory, TableIndex};
use super::held_batch::{Entry, HeldBatch};
use super::series_index::{SeriesIndex, SeriesWriter};
use crate::key::TimeRange;

/// Everything that only the writer needs.
pub(super) struct Writer {
    pub(super) batches: Appender<HeldBatch>,
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
        Self { batches: Appender::new(), tables: Vec::new(), last_seq: 0 }
    }

    /// See [`MemTable::insert`](super::MemTable::insert).
    pub(super) fn insert(
        &mut self,
        directory: &Directory,
        batch: &EncodedBatch,
        first_seq: u64,
        handles: Box<[u32]>,
    ) -> Inserted {
        assert!(first_seq > self.last_seq, "rows come in order: {first_seq} after {}", self.last_seq);
        assert_eq!(handles.len(), batch.header().symbol_count as usize, "a handle for each name");
        let slot = u32::try_from(self.batches.len()).expect("a MemTable has fewer than 2^32 batches");
        let mut inserted =
            Inserted { times: TimeRange::EMPTY, index_bytes: size_of_val(&*handles).cast_signed() };
        // Rows point at the batch, so it is there before the first of them can be found.
        inserted.index_bytes +=
            self.batches.push(HeldBatch { batch: batch.clone(), first_seq, handles }).cast_signed();
        let batches = Arc::clone(self.batches.shared());
        let handles = batches.get(slot as usize).map_or(&[][..], |held| &held.handles);
        let mut current = None;
        for row in 0..batch.len() {
            let header = batch.row_header(row);
            let table = match current {
                Some((id, table)) if id == header.table => table,
                _ => self.table(directory, header.table, &mut inserted),
            };
            current = Some((header.table, table));
            let seq = first_seq + row as u64;
            let series = self.tables[table].series(handles[header.symbol as usize], seq, &mut inserted);
            inserted.index_bytes += series.push(Entry { ts: header.ts, seq, batch: slot, row: row as u32 });
            inserted.times = inserted.times.including(header.ts);
            self.last_seq = seq;
        }
        inserted
    }

    /// The position of a table.
    #[inline]
    fn table(&mut self, directory: &Directory, id: TableId, inserted: &mut Inserted) -> usize {
        if let Some(table) = directory.table(id) {
            return table.slot;
        }
        let list = Appender::new();
        let slot = self.tables.len();
        let index = Arc::new(TableIndex::new(id, slot, &list));
        inserted.index_bytes += directory.add_table(&index).cast_signed();
        self.tables.push(TableWriter { index, list, series: Vec::new() });
        slot
    }
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
