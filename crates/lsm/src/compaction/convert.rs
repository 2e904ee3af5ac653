//! The rows of a partition into history.

use std::collections::BTreeSet;
use std::sync::Arc;

use tapebook_history::{HistoryFile, HistoryWriter, WriteError};
use tapebook_record::{RawRecord, ReadRecord, TableId};

use super::rewrite::{Outputs, PACE_BYTES};
use super::{LEVEL_ASIDE, Slice};
use crate::key::{Direction, TimeRange};
use crate::manifest::Partition;
use crate::retraction::{Retractions, Shown};
use crate::snapshot::{HistoryScan, ReadError, SeriesScan};
use crate::sstable::{Table, TableWriter};

/// Where converted rows go; those that retractions hide go to files of [`LEVEL_ASIDE`].
pub trait ConvertOutputs: Outputs<Error: From<WriteError>> {
    /// Begins the history file of a table.
    fn begin_history(&mut self, table: TableId) -> Result<HistoryWriter, Self::Error>;

    /// Takes a history file with all its rows; the writer is still to be finished.
    fn end_history(&mut self, table: TableId, writer: HistoryWriter) -> Result<(), Self::Error>;
}

/// Rows that are handed to a writer together.
const RUN_ROWS: usize = 1024;

/// Writes every row of `inputs` and `history`, which are files of one partition, to one history file for each table, or
/// aside where `retractions` hide it.
///
/// After an error the unfinished files are the caller's to remove.
pub fn convert<O: ConvertOutputs>(
    inputs: &[Arc<Table>],
    history: &[Arc<HistoryFile>],
    retractions: &Retractions,
    partition: Partition,
    outputs: &mut O,
) -> Result<(), O::Error> {
    let slice = Slice { times: partition.times, partition: partition.id, level: LEVEL_ASIDE };
    let mut tables: BTreeSet<TableId> = history.iter().map(|file| file.schema().id).collect();
    tables.extend(inputs.iter().flat_map(|input| input.tables()).map(|stats| stats.table));
    let mut aside: Option<TableWriter> = None;
    let mut paced = 0;
    for table in tables {
        let hidden = retractions.hidden(table, u64::MAX);
        let mut shown = ShownRows { table, writer: None, run: Vec::with_capacity(RUN_ROWS) };
        for name in names_of(inputs, history, table) {
            for record in scan(inputs, history, table, name)? {
                let record = record?;
                paced += record.raw().row.len() as u64;
                if hidden.contains(record.seq()) {
                    let writer = match &mut aside {
                        Some(writer) => writer,
                        none => none.insert(outputs.begin(&slice)?),
                    };
                    writer.add(table, &record.raw())?;
                } else {
                    shown.add(record, outputs)?;
                }
                if paced >= PACE_BYTES {
                    outputs.pace(std::mem::take(&mut paced))?;
                }
            }
        }
        shown.end(outputs)?;
    }
    outputs.pace(paced)?;
    match aside {
        Some(writer) => outputs.end(&slice, writer),
        None => Ok(()),
    }
}

/// The rows of one table that become history.
struct ShownRows<'a> {
    table: TableId,
    writer: Option<HistoryWriter>,
    run: Vec<ReadRecord<'a>>,
}

impl<'a> ShownRows<'a> {
    fn add<O: ConvertOutputs>(&mut self, record: ReadRecord<'a>, outputs: &mut O) -> Result<(), O::Error> {
        self.run.push(record);
        if self.run.len() == RUN_ROWS { self.write(outputs) } else { Ok(()) }
    }

    fn write<O: ConvertOutputs>(&mut self, outputs: &mut O) -> Result<(), O::Error> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(outputs.begin_history(self.table)?),
        };
        let rows: Vec<RawRecord<'_>> = self.run.iter().map(ReadRecord::raw).collect();
        writer.add(&rows)?;
        self.run.clear();
        Ok(())
    }

    fn end<O: ConvertOutputs>(mut self, outputs: &mut O) -> Result<(), O::Error> {
        if !self.run.is_empty() {
            self.write(outputs)?;
        }
        match self.writer {
            Some(writer) => outputs.end_history(self.table, writer),
            None => Ok(()),
        }
    }
}

/// The symbols of a table, in name order.
fn names_of<'a>(inputs: &'a [Arc<Table>], history: &'a [Arc<HistoryFile>], table: TableId) -> Vec<&'a str> {
    let mut names: Vec<&str> =
        inputs.iter().flat_map(|input| input.series_of(table)).map(|series| series.name()).collect();
    let files = history.iter().filter(|file| file.schema().id == table);
    names.extend(files.flat_map(|file| file.all_series()).map(|span| span.symbol.as_str()));
    names.sort_unstable();
    names.dedup();
    names
}

fn scan<'a>(
    inputs: &'a [Arc<Table>],
    history: &[Arc<HistoryFile>],
    table: TableId,
    name: &str,
) -> Result<SeriesScan<'a>, ReadError> {
    let series = inputs.iter().filter_map(|input| input.series(table, name));
    let files = series.map(|series| series.scan(TimeRange::ALL, Direction::Forward));
    let there = history.iter().filter(|file| file.schema().id == table && file.series(name).is_some());
    let there: Vec<_> = there.cloned().collect();
    let mut scan = SeriesScan::of_files(files, Direction::Forward)?;
    if !there.is_empty() {
        scan.add_history(HistoryScan::new(name, TimeRange::ALL, Direction::Forward, there), Shown::All)?;
        scan.choose();
    }
    Ok(scan)
}
