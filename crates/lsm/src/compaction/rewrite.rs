//! Rows of old files, in key order, into new ones.

use std::sync::Arc;

use tapebook_record::TableId;

use super::Slice;
use crate::key::{Direction, TimeRange};
use crate::snapshot::{ReadError, SeriesScan};
use crate::sstable::{Table, TableWriter, WriteError};

/// Where rewritten rows go.
pub trait Outputs {
    /// Why rewriting ended early.
    type Error: From<ReadError> + From<WriteError>;

    /// Begins a file for a slice.
    fn begin(&mut self, slice: &Slice) -> Result<TableWriter, Self::Error>;

    /// Takes a file with all its rows; the writer is still to be finished.
    fn end(&mut self, slice: &Slice, writer: TableWriter) -> Result<(), Self::Error>;

    /// Called whenever about [`PACE_BYTES`] more were written, with the bytes since the last call: the place to wait,
    /// and to give up.
    fn pace(&mut self, bytes: u64) -> Result<(), Self::Error>;
}

/// How much is written between two calls of [`Outputs::pace`].
pub const PACE_BYTES: u64 = 1 << 20;

/// Writes every row of `inputs`, but for those of the tables in `without`, to the slice that its time lies in. A file of
/// level 1 and higher ends at about `file_bytes`.
///
/// Files are begun and ended slice by slice as rows come, so that as many are open as there are slices. After an error
/// the unfinished files are the caller's to remove.
///
/// # Panics
///
/// Where a row lies in no slice. [`choose`](super::choose) covers the times of all inputs.
pub fn rewrite<O: Outputs>(
    inputs: &[Arc<Table>],
    slices: &[Slice],
    without: &[TableId],
    file_bytes: u64,
    outputs: &mut O,
) -> Result<(), O::Error> {
    let mut lanes: Vec<Lane<'_>> = slices.iter().map(|slice| Lane { slice, writer: None }).collect();
    let mut paced = 0;
    for (table, name) in series_of(inputs).into_iter().filter(|(table, _)| !without.contains(table)) {
        let sources = inputs.iter().filter_map(|input| input.series(table, name));
        let scans = sources.map(|series| series.scan(TimeRange::ALL, Direction::Forward));
        let mut at = 0;
        for record in SeriesScan::of_files(scans, Direction::Forward)? {
            let record = record?;
            while !lanes[at].slice.times.contains(record.ts()) {
                at += 1;
            }
            let lane = &mut lanes[at];
            let writer = match &mut lane.writer {
                Some(writer) => writer,
                none => none.insert(outputs.begin(lane.slice)?),
            };
            let before = writer.written_bytes();
            writer.add(table, &record.raw())?;
            let after = writer.written_bytes();
            paced += after - before;
            if paced >= PACE_BYTES {
                outputs.pace(std::mem::take(&mut paced))?;
            }
            if lane.slice.level > 0 && after >= file_bytes {
                lane.end(outputs)?;
            }
        }
    }
    outputs.pace(paced)?;
    lanes.iter_mut().try_for_each(|lane| lane.end(outputs))
}

/// One slice and the file that is being written for it.
struct Lane<'a> {
    slice: &'a Slice,
    writer: Option<TableWriter>,
}

impl Lane<'_> {
    fn end<O: Outputs>(&mut self, outputs: &mut O) -> Result<(), O::Error> {
        match self.writer.take() {
            Some(writer) => outputs.end(self.slice, writer),
            None => Ok(()),
        }
    }
}

/// Every series that some input has, in key order.
fn series_of(inputs: &[Arc<Table>]) -> Vec<(TableId, &str)> {
    let mut all: Vec<(TableId, &str)> = inputs
        .iter()
        .flat_map(|input| input.all_series())
        .map(|series| (series.table_id(), series.name()))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
