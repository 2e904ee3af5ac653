//! One row group on its way into the file.

use std::io::Write;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;

/// The columns of a row group, compressed page by page, each in all the ways that it is tried in.
pub(crate) struct RowGroup {
    leaves: Vec<Vec<ArrowColumnWriter>>,
    pub(crate) rows: usize,
    /// Bytes of its rows, as they were given.
    pub(crate) row_bytes: usize,
}

impl RowGroup {
    /// An empty row group; `ways` has the number of ways for each leaf, `factories` makes the writers of each way.
    pub(crate) fn new(factories: &[ArrowRowGroupWriterFactory], ways: &[usize]) -> Result<Self> {
        let mut leaves: Vec<Vec<ArrowColumnWriter>> = ways.iter().map(|_| Vec::new()).collect();
        for (number, factory) in factories.iter().enumerate() {
            // The number of the row group would only matter for encryption.
            let writers = factory.create_column_writers(0)?;
            for ((leaf, writer), ways) in leaves.iter_mut().zip(writers).zip(ways) {
                if number < *ways {
                    leaf.push(writer);
                }
            }
        }
        Ok(Self { leaves, rows: 0, row_bytes: 0 })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut leaves = self.leaves.iter_mut();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            for values in compute_leaves(field, column)? {
                for writer in leaves.next().into_iter().flatten() {
                    writer.write(&values)?;
                }
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Appends the smallest of each leaf's ways to the file.
    pub(crate) fn finish<W: Write + Send>(self, file: &mut SerializedFileWriter<W>) -> Result<()> {
        let mut group = file.next_row_group()?;
        for leaf in self.leaves {
            let mut smallest: Option<ArrowColumnChunk> = None;
            for writer in leaf {
                let chunk = writer.close()?;
                let bytes = |chunk: &ArrowColumnChunk| chunk.close().bytes_written;
                if smallest.as_ref().is_none_or(|smallest| bytes(&chunk) < bytes(smallest)) {
                    smallest = Some(chunk);
                }
            }
            let Some(mut chunk) = smallest else { continue };
            let close = chunk.close_mut();
            let nulls = close.metadata.statistics().and_then(|statistics| statistics.null_count_opt());
            if nulls == Some(close.rows_written) {
                // A column without ids needs no filter: its statistics say so.
                close.bloom_filter = None;
            }
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}
