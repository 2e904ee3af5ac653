//! Scans of a snapshot: one series, one series with its type, a whole table.

use std::marker::PhantomData;

use tapebook_record::{RawRecord, ReadRecord, Record, StandardTable, TableId};

use super::history_scan::HistoryScan;
use super::merge::{Merge, Source};
use super::watch::Watch;
use super::{ReadError, Snapshot};
use crate::key::{Direction, TimeRange};
use crate::memtable::MemScan;
use crate::retraction::Shown;
use crate::sstable::Scan as FileScan;

/// The records of one series, ordered by `(ts, seq)`. Ends after the first error.
pub struct SeriesScan<'a> {
    merge: Merge<'a>,
    /// The only source, where there is just one: then nothing is merged.
    file: Option<FileScan<'a>>,
    /// The next record of a merge, on its way to the caller.
    merged: Option<ReadRecord<'a>>,
    error: Option<ReadError>,
    watch: Watch<'a>,
}

impl<'a> SeriesScan<'a> {
    /// An empty one, to which pieces of the snapshot are added.
    pub(super) fn of_snapshot(snapshot: &'a Snapshot, direction: Direction) -> Self {
        Self { watch: Watch::of(snapshot), ..Self::empty(direction) }
    }

    fn empty(direction: Direction) -> Self {
        Self { merge: Merge::new(direction), file: None, merged: None, error: None, watch: Watch::default() }
    }

    /// The records of several files' scans of one series, which must go in that direction. Nothing is hidden.
    pub(crate) fn of_files(
        scans: impl IntoIterator<Item = FileScan<'a>>,
        direction: Direction,
    ) -> Result<Self, ReadError> {
        let mut scan = Self::empty(direction);
        scans.into_iter().try_for_each(|file| scan.add_file(|| file, Shown::All))?;
        scan.choose();
        Ok(scan)
    }

    /// Adds what is shown of the series of a file.
    pub(super) fn add_file(
        &mut self,
        scan: impl FnOnce() -> FileScan<'a>,
        shown: Shown<'a>,
    ) -> Result<(), ReadError> {
        match (shown, &self.file) {
            (Shown::Nothing, _) => Ok(()),
            (Shown::All, None) if self.merge.is_empty() => {
                self.file = Some(scan());
                Ok(())
            }
            _ => self.add(Source::File(scan()), shown),
        }
    }

    /// Adds what is shown of the series of a MemTable.
    pub(super) fn add_memtable(
        &mut self,
        scan: impl FnOnce() -> MemScan<'a>,
        shown: Shown<'a>,
    ) -> Result<(), ReadError> {
        match shown {
            Shown::Nothing => Ok(()),
            _ => self.add(Source::MemTable(scan()), shown),
        }
    }

    /// Adds what is shown of the series in history files.
    pub(crate) fn add_history(&mut self, scan: HistoryScan, shown: Shown<'a>) -> Result<(), ReadError> {
        self.add(Source::History(Box::new(scan)), shown)
    }

    fn add(&mut self, source: Source<'a>, shown: Shown<'a>) -> Result<(), ReadError> {
        if let Some(file) = self.file.take() {
            self.merge.add(Source::File(file))?;
        }
        self.merge.add(match shown {
            Shown::Except(hidden) => Source::Except(Box::new(source), hidden),
            _ => source,
        })?;
        Ok(())
    }

    pub(crate) fn choose(&mut self) {
        self.merge.choose();
    }

    /// The next record where that needs nothing but the block that the only file is in.
    #[inline(always)]
    fn next_in_block(&mut self) -> Option<RawRecord<'a>> {
        self.file.as_mut()?.next_in_block()
    }

    /// Goes on where the block that the only file is in does not give the next record.
    #[inline(never)]
    fn advance(&mut self) -> Step {
        match self.try_advance() {
            Ok(step) => step,
            Err(error) => {
                self.file = None;
                self.merge = Merge::new(Direction::Forward);
                self.error = Some(error);
                Step::Failed
            }
        }
    }

    fn try_advance(&mut self) -> Result<Step, ReadError> {
        if let Some(file) = &mut self.file {
            // Once a block is often enough.
            self.watch.look()?;
            return Ok(if file.advance()? { Step::Block } else { Step::End });
        }
        if self.watch.is_due() {
            self.watch.look()?;
        }
        self.merged = self.merge.next()?;
        Ok(if self.merged.is_some() { Step::Merged } else { Step::End })
    }
}

/// Where the next record is.
enum Step {
    /// In the block that the only file is in by now.
    Block,
    /// In [`SeriesScan::merged`].
    Merged,
    /// Nowhere: [`SeriesScan::error`] says why.
    Failed,
    End,
}

impl<'a> Iterator for SeriesScan<'a> {
    type Item = Result<ReadRecord<'a>, ReadError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.next_in_block() {
                return Some(Ok(record.into()));
            }
            match self.advance() {
                Step::Block => {}
                Step::Merged => return self.merged.take().map(Ok),
                Step::Failed => return self.error.take().map(Err),
                Step::End => return None,
            }
        }
    }
}

/// The records of one symbol of a standard table, read in place.
pub struct RecordScan<'a, T> {
    scan: SeriesScan<'a>,
    table: PhantomData<fn() -> T>,
}

impl<'a, T: StandardTable> RecordScan<'a, T> {
    pub(super) fn new(scan: SeriesScan<'a>) -> Self {
        Self { scan, table: PhantomData }
    }
}

impl<'a, T: StandardTable> Iterator for RecordScan<'a, T> {
    type Item = Result<Record<'a, T>, ReadError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        match self.scan.next()? {
            Ok(record) => Some(typed(record)),
            Err(error) => Some(Err(error)),
        }
    }
}

#[inline(always)]
pub(super) fn typed<T: StandardTable>(record: ReadRecord<'_>) -> Result<Record<'_, T>, ReadError> {
    let seq = record.seq();
    Record::new(record).ok_or_else(|| ReadError::ShortRow { table: T::schema().name.to_string(), seq })
}

/// Every record of a table, ordered by `(symbol name, ts, seq)`. Ends after the first error.
pub struct TableScan<'a> {
    snapshot: &'a Snapshot,
    table: TableId,
    range: TimeRange,
    symbols: std::vec::IntoIter<&'a str>,
    series: Option<SeriesScan<'a>>,
}

impl<'a> TableScan<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, table: TableId, range: TimeRange) -> Self {
        let symbols = snapshot.symbols_of(table).into_iter();
        Self { snapshot, table, range, symbols, series: None }
    }

    fn end(&mut self) {
        self.series = None;
        self.symbols = Vec::new().into_iter();
    }
}

impl<'a> Iterator for TableScan<'a> {
    type Item = Result<ReadRecord<'a>, ReadError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(series) = &mut self.series {
                match series.next() {
                    Some(Ok(record)) => return Some(Ok(record)),
                    Some(Err(error)) => {
                        self.end();
                        return Some(Err(error));
                    }
                    None => self.series = None,
                }
            }
            let symbol = self.symbols.next()?;
            match self.snapshot.scan_series(self.table, symbol, self.range, Direction::Forward) {
                Ok(scan) => self.series = Some(scan),
                Err(error) => {
                    self.end();
                    return Some(Err(error));
                }
            }
        }
    }
}
