//! The files that a step of compaction writes.

use std::sync::Arc;
use std::time::Duration;

use tapebook_history::{HistoryFile, HistoryWriter};
use tapebook_lsm::compaction::{ConvertOutputs, Outputs, Slice};
use tapebook_lsm::manifest::{LogRange, Partition, TableFile};
use tapebook_lsm::sstable::{Table, TableMeta, TableWriter};
use tapebook_record::{Schemas, TableId, TableSchema};

use super::Compactor;
use crate::files::describe;
use crate::{CompactionError, FlushError};

/// The files that a step writes.
pub(super) struct NewFiles<'a> {
    pub compactor: &'a Compactor,
    pub schemas: Schemas,
    pub origin: TableMeta,
    pub log_indexes: LogRange,
    /// What becomes history, where something does.
    pub partition: Option<Partition>,
    pub began: Duration,
    pub written: u64,
    /// Every file that was begun.
    pub begun: Vec<u64>,
    pub tables: Vec<(TableFile, Arc<Table>)>,
    pub history: Vec<Arc<HistoryFile>>,
}

impl NewFiles<'_> {
    fn take_id(&mut self) -> Result<u64, CompactionError> {
        let files = &self.compactor.flusher.files;
        let file_id = files.lock().map_err(|_| CompactionError::Interrupted)?.take_id();
        self.begun.push(file_id);
        Ok(file_id)
    }

    fn schema(&self, table: TableId) -> Result<Arc<TableSchema>, CompactionError> {
        self.schemas.get(table).cloned().ok_or(CompactionError::Interrupted)
    }
}

impl Outputs for NewFiles<'_> {
    type Error = CompactionError;

    fn begin(&mut self, _: &Slice) -> Result<TableWriter, CompactionError> {
        let file_id = self.take_id()?;
        Ok(self.compactor.flusher.store.begin(file_id, &self.schemas)?)
    }

    fn end(&mut self, slice: &Slice, writer: TableWriter) -> Result<(), CompactionError> {
        let file_id = writer.identity().file_id;
        let meta = TableMeta { level: u32::from(slice.level), partition: slice.times, ..self.origin };
        let table = self.compactor.flusher.store.end(file_id, writer, meta)?;
        self.tables.push((describe(&table, slice.level, slice.partition, self.log_indexes), table));
        Ok(())
    }

    /// Waits as long as the bytes so far should have taken. What is closing does not wait for a merge to end.
    fn pace(&mut self, bytes: u64) -> Result<(), CompactionError> {
        self.written += bytes;
        let wake = &self.compactor.flusher.compaction;
        let due = match self.compactor.bytes_per_second {
            Some(rate) if !self.compactor.files_pile_up() => {
                let should = Duration::from_secs_f64(self.written as f64 / rate.max(1) as f64);
                let clock = self.compactor.flusher.store.vfs.clock();
                should.saturating_sub(clock.monotonic().saturating_sub(self.began))
            }
            _ => Duration::ZERO,
        };
        if wake.pause(due) { Ok(()) } else { Err(CompactionError::Files(FlushError::Closed)) }
    }
}

impl ConvertOutputs for NewFiles<'_> {
    fn begin_history(&mut self, table: TableId) -> Result<HistoryWriter, CompactionError> {
        let file_id = self.take_id()?;
        Ok(self.compactor.flusher.store.begin_history(file_id, &self.schema(table)?)?)
    }

    fn end_history(&mut self, table: TableId, writer: HistoryWriter) -> Result<(), CompactionError> {
        let (file_id, schema) = (writer.identity().file_id, self.schema(table)?);
        self.history.push(self.compactor.flusher.store.end_history(file_id, writer, &schema)?);
        Ok(())
    }
}

/// Where the rows of the inputs come from, together.
pub(super) fn origin(inputs: &[Arc<Table>]) -> TableMeta {
    let metas = || inputs.iter().map(|input| input.meta());
    TableMeta {
        log_index_first: metas().map(|meta| meta.log_index_first).min().unwrap_or(0),
        log_index_last: metas().map(|meta| meta.log_index_last).max().unwrap_or(0),
        term_min: metas().map(|meta| meta.term_min).min().unwrap_or(0),
        term_max: metas().map(|meta| meta.term_max).max().unwrap_or(0),
        retractions_through: metas().map(|meta| meta.retractions_through).min().unwrap_or(0),
        ..TableMeta::default()
    }
}
