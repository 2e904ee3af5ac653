//! Rows of a file as Arrow batches.

use std::iter::FusedIterator;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampNanosecondType, UInt64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tapebook_record::projection::arrow_schema;

use crate::decoder::decoding;
use crate::error::{HistoryError, Part, structure};
use crate::file::HistoryFile;
use crate::prune::{Candidates, row_groups};
use crate::selection::Selection;
use crate::verified::{Pages, VerifiedFile};

/// An iterator over batches of rows in file order. After an error it is at its end.
pub struct HistoryBatches {
    path: Arc<Path>,
    source: VerifiedFile,
    reader: Option<ParquetRecordBatchReader>,
    schema: SchemaRef,
    /// For each column wanted, which of the decoded ones it is; `None` where the file is older than the column.
    columns: Vec<Option<usize>>,
    selection: Selection,
    /// Where the decoded columns have the time, if it is to be compared.
    ts: Option<usize>,
    /// Where the decoded columns have the sequence number, if it is to be compared.
    seq: Option<usize>,
}

impl HistoryBatches {
    pub(crate) fn new(
        file: &HistoryFile,
        columns: &[usize],
        selection: &Selection,
        batch_rows: usize,
    ) -> Result<Self, HistoryError> {
        Self::of_candidates(file, columns, &file.candidates(selection), selection, batch_rows)
    }

    /// The rows at exactly these places, ascending.
    pub(crate) fn at(
        file: &HistoryFile,
        columns: &[usize],
        ranges: Vec<Range<u64>>,
        batch_rows: usize,
    ) -> Result<Self, HistoryError> {
        let candidates = Candidates { ranges, check_times: false, check_seqs: false };
        Self::of_candidates(file, columns, &candidates, &Selection::default(), batch_rows)
    }

    fn of_candidates(
        file: &HistoryFile,
        columns: &[usize],
        candidates: &Candidates,
        selection: &Selection,
        batch_rows: usize,
    ) -> Result<Self, HistoryError> {
        let full = arrow_schema(&file.schema);
        let schema =
            Arc::new(full.project(columns).expect("positions are those of the table's Arrow schema"));
        let (all, own) = (file.schema.columns.len(), file.own_columns());
        // Where a column of the table stands in the file.
        let in_file = |position: usize| match position {
            before if before < 2 + own => Some(before),
            absent if absent < 2 + all => None,
            behind => Some(behind - (all - own)),
        };
        let (ts, seq) = (0, own + 4);
        let mut read: Vec<usize> = columns.iter().filter_map(|position| in_file(*position)).collect();
        read.extend(candidates.check_times.then_some(ts));
        read.extend(candidates.check_seqs.then_some(seq));
        read.sort_unstable();
        read.dedup();
        let decoded = |column: usize| read.binary_search(&column).ok();
        let source = file.source.for_scan();
        let reader = if candidates.ranges.is_empty() {
            None
        } else {
            Some(decoding(&file.path, Part::Pages, || {
                let metadata = file.metadata.metadata();
                let (groups, rows, policy) = row_groups(metadata, &candidates.ranges);
                let mask = ProjectionMask::roots(file.metadata.parquet_schema(), read.iter().copied());
                ParquetRecordBatchReaderBuilder::new_with_metadata(
                    Pages(source.clone()),
                    file.metadata.clone(),
                )
                .with_projection(mask)
                .with_row_groups(groups)
                .with_row_selection(rows)
                .with_row_selection_policy(policy)
                .with_batch_size(batch_rows.max(1))
                .build()
            })?)
        };
        Ok(Self {
            path: Arc::clone(&file.path),
            source,
            reader,
            columns: columns.iter().map(|position| in_file(*position).and_then(decoded)).collect(),
            ts: candidates.check_times.then(|| decoded(ts)).flatten(),
            seq: candidates.check_seqs.then(|| decoded(seq)).flatten(),
            schema,
            selection: selection.clone(),
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Gives up what is left.
    pub(crate) fn end(&mut self) {
        self.reader = None;
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, HistoryError> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        loop {
            let Some(decoded) = decoding(&self.path, Part::Pages, || reader.next().transpose())? else {
                return Ok(None);
            };
            let rows = wanted(&decoded, &self.selection, self.ts, self.seq);
            let count = rows.as_ref().map_or(decoded.num_rows(), BooleanBuffer::count_set_bits);
            if count == 0 {
                continue;
            }
            let columns = self.columns.iter().zip(self.schema.fields()).map(|(column, field)| match column {
                Some(at) => Arc::clone(decoded.column(*at)),
                None => new_null_array(field.data_type(), decoded.num_rows()),
            });
            let options = RecordBatchOptions::new().with_row_count(Some(decoded.num_rows()));
            let result =
                RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.collect(), &options)
                    .and_then(|batch| match rows {
                        Some(rows) if count < batch.num_rows() => {
                            filter_record_batch(&batch, &BooleanArray::new(rows, None))
                        }
                        _ => Ok(batch),
                    });
            return result.map(Some).map_err(|error| structure(&self.path, Part::Pages, error));
        }
    }
}

/// Which rows have a time and a sequence number as wanted; `None` where nothing is to be compared.
fn wanted(
    decoded: &RecordBatch,
    selection: &Selection,
    ts: Option<usize>,
    seq: Option<usize>,
) -> Option<BooleanBuffer> {
    let times = ts.map(|at| {
        let values = decoded.column(at).as_primitive::<TimestampNanosecondType>().values();
        BooleanBuffer::collect_bool(values.len(), |row| selection.times.contains(&values[row]))
    });
    let seqs = seq.map(|at| {
        let values = decoded.column(at).as_primitive::<UInt64Type>().values();
        BooleanBuffer::collect_bool(values.len(), |row| selection.seqs.contains(&values[row]))
    });
    match (times, seqs) {
        (Some(times), Some(seqs)) => Some(&times & &seqs),
        (times, seqs) => times.or(seqs),
    }
}

impl Iterator for HistoryBatches {
    type Item = Result<RecordBatch, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch().map_err(|error| self.source.take_failure().unwrap_or(error));
        if !matches!(next, Ok(Some(_))) {
            self.end();
        }
        next.transpose()
    }
}

impl FusedIterator for HistoryBatches {}

impl std::fmt::Debug for HistoryBatches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryBatches")
            .field("path", &self.path)
            .field("selection", &self.selection)
            .field("at_end", &self.reader.is_none())
            .finish_non_exhaustive()
    }
}
