//! The way back: Arrow columns as rows.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringViewArray,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type,
};

use super::arrow_schema;
use crate::AlignedBytes;
use crate::record::{RawRecord, flags};
use crate::row_writer::{RowWriter, ValueError};
use crate::schema::{ColumnKind, TableSchema};
use crate::slot::{Level, NULL_BIGINT};

/// The most bytes that one row can come to: far more than any row has, far less than its offsets can count.
const ROW_BYTES_MAX: usize = 16 << 20;

/// Columns that are not rows of the table.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowBlockError {
    /// Not the columns of the table's Arrow schema, in its order.
    #[error("column {position} of table {table} should be {expected}, found {found}")]
    Column {
        /// The table's name.
        table: String,
        /// The position in the table's Arrow schema.
        position: usize,
        /// Name and type in the table's schema.
        expected: String,
        /// Name and type in the batch.
        found: String,
    },
    /// A value that the table's column cannot hold.
    #[error("row {row}: {source}")]
    Value {
        /// The position in the batch.
        row: usize,
        /// What is wrong with it.
        source: ValueError,
    },
}

/// Rows made from Arrow columns; what [`Projection`](super::Projection) does, undone.
///
/// The rows have the schema's own layout, each text and list in a place of its own, in column order: the bytes that
/// [`RowWriter`] gives when the columns are set from the first to the last.
///
/// ```
/// use std::sync::Arc;
/// use tapebook_record::projection::{Projection, RowBlock};
/// use tapebook_record::{Batch, RawRecord, StandardTable, Trade};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
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
/// let schema = Arc::new(Trade::schema().clone());
/// let all: Vec<usize> = (0..schema.columns.len() + 5).collect();
/// let mut projection = Projection::new(&schema, &all);
/// projection.append(&[record]);
///
/// let mut block = RowBlock::new(&schema);
/// block.fill(&projection.finish())?;
/// let found = block.get(0).ok_or("not there")?;
/// assert_eq!((found.symbol, found.ts, found.row), ("X", 7, record.row));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RowBlock {
    schema: Arc<TableSchema>,
    rows: AlignedBytes,
    names: String,
    heads: Vec<RowHead>,
}

/// A row's place and what is not in its bytes.
#[derive(Clone, Copy, Debug)]
struct RowHead {
    ts: i64,
    seq: u64,
    recv_ts: i64,
    feed_seq: u64,
    /// Where the row begins in the block, and its length.
    row: (u32, u32),
    /// Where the symbol begins among the names, and its length.
    name: (u32, u8),
    flags: u8,
}

impl RowBlock {
    /// An empty block for rows of a table.
    pub fn new(schema: &Arc<TableSchema>) -> Self {
        Self {
            schema: Arc::clone(schema),
            rows: AlignedBytes::new(),
            names: String::new(),
            heads: Vec::new(),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// True where there are no rows.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The row at a position of the batch; `None` behind the last one.
    #[inline]
    pub fn get(&self, at: usize) -> Option<RawRecord<'_>> {
        let head = self.heads.get(at)?;
        let (name, row) = (head.name.0 as usize, head.row.0 as usize);
        Some(RawRecord {
            ts: head.ts,
            seq: head.seq,
            recv_ts: head.recv_ts,
            feed_seq: head.feed_seq,
            flags: head.flags,
            layout: self.schema.layout,
            symbol: &self.names[name..name + usize::from(head.name.1)],
            row: &self.rows[row..row + head.row.1 as usize],
        })
    }

    /// `(ts, seq)` of the row at a position; `None` behind the last one.
    #[inline]
    pub fn key(&self, at: usize) -> Option<(i64, u64)> {
        self.heads.get(at).map(|head| (head.ts, head.seq))
    }

    /// Replaces the rows by those of a batch with all columns of [`arrow_schema`] of the table. After an error the
    /// block is empty.
    pub fn fill(&mut self, batch: &RecordBatch) -> Result<(), RowBlockError> {
        self.rows.clear();
        self.names.clear();
        self.heads.clear();
        let result = self.try_fill(batch);
        if result.is_err() {
            self.heads.clear();
        }
        result
    }

    fn try_fill(&mut self, batch: &RecordBatch) -> Result<(), RowBlockError> {
        let schema = Arc::clone(&self.schema);
        check_columns(&schema, batch)?;
        let own: Vec<Values> = schema
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| Values::of(column.kind, batch.column(at + 2)))
            .collect();
        let last = schema.columns.len() + 2;
        let ts = batch.column(0).as_primitive::<TimestampNanosecondType>();
        let symbols = batch.column(1).as_string_view();
        let recv_ts = batch.column(last).as_primitive::<TimestampNanosecondType>();
        let feed_seq = batch.column(last + 1).as_primitive::<UInt64Type>();
        let seq = batch.column(last + 2).as_primitive::<UInt64Type>();
        self.heads.reserve(batch.num_rows());
        let mut levels = Vec::new();
        let mut name = (0, 0);
        for row in 0..batch.num_rows() {
            let fail = |source| RowBlockError::Value { row, source };
            let symbol = symbols.value(row);
            if row == 0 || self.names[name.0 as usize..] != *symbol {
                let length = u8::try_from(symbol.len()).map_err(|_| {
                    let column = "symbol".to_owned();
                    fail(ValueError::OutOfRange { column, value: symbol.to_owned() })
                })?;
                name = (self.names.len() as u32, length);
                self.names.push_str(symbol);
            }
            let mut writer = RowWriter::begin_with_max(&mut self.rows, &schema, ROW_BYTES_MAX);
            let start = writer.start;
            for (at, values) in own.iter().enumerate() {
                values.write(&mut writer, at, row, &mut levels).map_err(fail)?;
            }
            let (length, mut row_flags) = writer.finish().map_err(fail)?;
            if feed_seq.is_valid(row) {
                row_flags |= flags::FEED_SEQ;
            }
            let Ok(end) = u32::try_from(start + length) else {
                return Err(fail(ValueError::RowTooLong { bytes: start + length }));
            };
            self.heads.push(RowHead {
                ts: ts.value(row),
                seq: seq.value(row),
                recv_ts: if recv_ts.is_valid(row) { recv_ts.value(row) } else { NULL_BIGINT },
                feed_seq: if feed_seq.is_valid(row) { feed_seq.value(row) } else { 0 },
                row: (end - length as u32, length as u32),
                name,
                flags: row_flags,
            });
        }
        Ok(())
    }
}

fn check_columns(schema: &TableSchema, batch: &RecordBatch) -> Result<(), RowBlockError> {
    let (expected, found) = (arrow_schema(schema), batch.schema());
    let describe = |field: Option<&Arc<arrow::datatypes::Field>>| match field {
        Some(field) => format!("{} {}", field.name(), field.data_type()),
        None => "nothing".to_owned(),
    };
    for position in 0..expected.fields().len().max(found.fields().len()) {
        let (expected, found) = (expected.fields().get(position), found.fields().get(position));
        let same = expected.zip(found).is_some_and(|(expected, found)| {
            expected.name() == found.name()
                && expected.data_type() == found.data_type()
                && (expected.is_nullable() || batch.column(position).null_count() == 0)
        });
        if !same {
            return Err(RowBlockError::Column {
                table: schema.name.to_string(),
                position,
                expected: describe(expected),
                found: describe(found),
            });
        }
    }
    Ok(())
}

/// The values of one column, by the table's kind. The column's type was checked before.
enum Values<'a> {
    Double(&'a PrimitiveArray<Float64Type>),
    BigInt(&'a PrimitiveArray<Int64Type>),
    Timestamp(&'a PrimitiveArray<TimestampNanosecondType>),
    Date(&'a PrimitiveArray<Date32Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>),
    Text(&'a StringViewArray),
    Levels(&'a ListArray),
    Flag(&'a BooleanArray),
    Nothing,
}

impl<'a> Values<'a> {
    fn of(kind: ColumnKind, column: &'a ArrayRef) -> Self {
        if column.null_count() == column.len() {
            return Self::Nothing;
        }
        match kind {
            ColumnKind::Double => Self::Double(column.as_primitive()),
            ColumnKind::BigInt => Self::BigInt(column.as_primitive()),
            ColumnKind::Timestamp => Self::Timestamp(column.as_primitive()),
            ColumnKind::Date => Self::Date(column.as_primitive()),
            ColumnKind::Decimal => Self::Decimal(column.as_primitive()),
            ColumnKind::Text | ColumnKind::Id | ColumnKind::Word(_) => Self::Text(column.as_string_view()),
            ColumnKind::Levels => Self::Levels(column.as_list()),
            ColumnKind::Flag { .. } => Self::Flag(column.as_boolean()),
        }
    }

    #[inline]
    fn write(
        &self,
        writer: &mut RowWriter<'_>,
        at: usize,
        row: usize,
        levels: &mut Vec<Level>,
    ) -> Result<(), ValueError> {
        match self {
            Self::Double(values) if values.is_valid(row) => writer.double(at, values.value(row)),
            Self::BigInt(values) if values.is_valid(row) => writer.bigint(at, values.value(row)),
            Self::Timestamp(values) if values.is_valid(row) => writer.timestamp(at, values.value(row)),
            Self::Date(values) if values.is_valid(row) => writer.date(at, values.value(row)),
            Self::Decimal(values) if values.is_valid(row) => writer.decimal(at, values.value(row)),
            Self::Text(values) if values.is_valid(row) => writer.text(at, values.value(row)),
            Self::Flag(values) if values.is_valid(row) => writer.flag(at, values.value(row)),
            Self::Levels(values) if values.is_valid(row) => {
                let list = values.value(row);
                let list = list.as_struct();
                let (prices, sizes) = (
                    list.column(0).as_primitive::<Float64Type>(),
                    list.column(1).as_primitive::<Float64Type>(),
                );
                levels.clear();
                levels.extend(
                    prices
                        .values()
                        .iter()
                        .zip(sizes.values())
                        .map(|(price, size)| Level { price: *price, size: *size }),
                );
                writer.levels(at, levels)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
