//! Rows as Arrow columns: the schema of every table, and the copy of rows into record batches.
//!
//! A [`Projection`] reads each wanted column straight from the bytes of the rows, one column after another, so that
//! the inner loops are short and what is not wanted costs nothing. It knows nothing of files, order or filters.

mod column;
mod levels;
mod numbers;
mod row_block;
mod schema;
mod texts;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

pub use row_block::{RowBlock, RowBlockError};
pub use schema::arrow_schema;

use crate::record::RawRecord;
use crate::schema::TableSchema;
use column::ColumnBuilder;

/// Copies columns of rows into Arrow record batches.
///
/// Rows go in with [`Projection::append`], a batch comes out of [`Projection::finish`], and then the next one can
/// be begun. A row of an older layout has NULL in the columns that it does not know, and so has a damaged row
/// whose bytes cannot be a value.
///
/// ```
/// use std::sync::Arc;
/// use tapebook_record::{Batch, RawRecord, StandardTable, Trade, projection::Projection};
///
/// let mut batch = Batch::new();
/// batch.push(Trade { symbol: "X", ts: 7, price: Some(1.5), ..Trade::default() })?;
/// let encoded = batch.encode();
/// let header = encoded.row_header(0);
/// let record = RawRecord {
///     ts: header.ts,
///     seq: 1,
///     recv_ts: header.recv_ts,
///     feed_seq: header.feed_seq,
///     flags: header.flags,
///     layout: header.layout,
///     symbol: "X",
///     row: encoded.row(&header),
/// };
/// let mut projection = Projection::new(&Arc::new(Trade::schema().clone()), &[0, 2]);
/// projection.append(&[record]);
/// let columns = projection.finish();
/// assert_eq!(columns.num_rows(), 1);
/// assert_eq!(columns.schema().field(1).name(), "price");
/// # Ok::<(), tapebook_record::PushError>(())
/// ```
#[derive(Debug)]
pub struct Projection {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    rows: usize,
}

impl Projection {
    /// A projection to `columns`, positions in [`arrow_schema`] of the table, in the order wanted; none is
    /// possible and then only rows are counted.
    ///
    /// # Panics
    ///
    /// Where a position is not below the number of fields.
    pub fn new(schema: &Arc<TableSchema>, columns: &[usize]) -> Self {
        let full = arrow_schema(schema);
        let projected = full.project(columns).expect("positions are those of the table's Arrow schema");
        let builders = columns.iter().map(|at| ColumnBuilder::new(schema, *at)).collect();
        Self { schema: Arc::new(projected), columns: builders, rows: 0 }
    }

    /// The schema of the batches that come out.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The number of rows since the last [`Projection::finish`].
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True where no row was appended since the last [`Projection::finish`].
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends rows of the table.
    ///
    /// Arrow counts the levels of a list column in 31 bits. A row has at most 64 KiB, so that 500,000 rows
    /// before each [`Projection::finish`] can never have more.
    pub fn append(&mut self, records: &[RawRecord<'_>]) {
        for column in &mut self.columns {
            column.append(records);
        }
        self.rows += records.len();
    }

    /// The rows appended since the last call, as one batch.
    pub fn finish(&mut self) -> RecordBatch {
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .expect("builders give the schema's types, as many rows each, and NULL only where it may be")
    }
}

#[cfg(test)]
pub(crate) mod tests;
