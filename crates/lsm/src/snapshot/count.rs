//! Exact numbers of rows, where retractions make the stored ones too high.

use tapebook_history::{HistoryFile, SeriesSpan};
use tapebook_record::TableId;

use super::{ReadError, Snapshot, piece};
use crate::key::{Direction, TimeRange};
use crate::manifest::SeqRange;
use crate::retraction::{Hidden, Shown};
use crate::sstable::{TableError, TableSeries};

/// Every sequence number.
const ALL_SEQS: SeqRange = SeqRange { first: 0, last: u64::MAX };

impl Snapshot {
    /// The number of records of a series that the snapshot shows. Reads rows only where retractions, or the sequence
    /// that the snapshot is as of, divide those of a file or MemTable.
    pub fn count_series(&self, table: TableId, symbol: &str) -> Result<u64, ReadError> {
        self.count(table, symbol, ALL_SEQS)
    }

    /// The number of records of a table that the snapshot shows of a range of sequence numbers.
    pub fn count_rows(&self, table: TableId, seqs: SeqRange) -> Result<u64, ReadError> {
        self.symbols_of(table).into_iter().map(|symbol| self.count(table, symbol, seqs)).sum()
    }

    fn count(&self, table: TableId, symbol: &str, seqs: SeqRange) -> Result<u64, ReadError> {
        self.check_held()?;
        let hidden = self.hidden(table);
        let mut rows = 0;
        for (file, span) in self.pieces.history.series(table, symbol) {
            rows += count_in_history(file, span, hidden, seqs)?;
        }
        for file in &self.pieces.tables {
            if let Some(series) = file.series(table, symbol) {
                rows += count_in_file(&series, hidden, seqs)?;
            }
        }
        for memtable in &self.pieces.memtables {
            let (Some(range), Some(series)) =
                (memtable.seq_range(), self.mem_series(memtable, table, symbol))
            else {
                continue;
            };
            let last = (*range.end()).min(self.visible_seq);
            rows += match hidden.among(*range.start(), last) {
                Shown::All if seqs.first <= *range.start() && last <= seqs.last => series.len() as u64,
                Shown::Nothing => 0,
                _ if last < seqs.first || seqs.last < *range.start() => 0,
                _ => {
                    let scan = series.scan(TimeRange::ALL, Direction::Forward);
                    scan.filter(|record| is_counted(record.seq, hidden, seqs)).count() as u64
                }
            };
        }
        Ok(rows)
    }
}

fn count_in_file(series: &TableSeries<'_>, hidden: Hidden<'_>, seqs: SeqRange) -> Result<u64, TableError> {
    let (first, last) = series.seq_range();
    if last < seqs.first || seqs.last < first {
        return Ok(0);
    }
    match piece::shown_of(series, hidden) {
        Shown::Nothing => Ok(0),
        Shown::All if seqs.first <= first && last <= seqs.last => Ok(series.rows()),
        _ => {
            let scan = series.scan(TimeRange::ALL, Direction::Forward);
            scan.map(|record| Ok(u64::from(is_counted(record?.seq, hidden, seqs)))).sum()
        }
    }
}

fn count_in_history(
    file: &HistoryFile,
    span: &SeriesSpan,
    hidden: Hidden<'_>,
    seqs: SeqRange,
) -> Result<u64, ReadError> {
    let (first, last) = (span.seq_min, span.seq_max);
    if last < seqs.first || seqs.last < first {
        return Ok(0);
    }
    match hidden.among(first, last) {
        Shown::Nothing => Ok(0),
        Shown::All if seqs.first <= first && last <= seqs.last => Ok(span.rows),
        _ => {
            let mut blocks = file.blocks(&span.symbol, i64::MIN..=i64::MAX);
            let mut rows = 0;
            while let Some(block) = blocks.next().map_err(Box::new)? {
                let keys = (0..block.len()).filter_map(|at| block.key(at));
                rows += keys.filter(|(_, seq)| is_counted(*seq, hidden, seqs)).count() as u64;
            }
            Ok(rows)
        }
    }
}

fn is_counted(seq: u64, hidden: Hidden<'_>, seqs: SeqRange) -> bool {
    seqs.contains(seq) && !hidden.contains(seq)
}
