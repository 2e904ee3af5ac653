//! One column of a projection.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampNanosecondType,
    UInt64Type,
};

use super::levels::LevelsBuilder;
use super::numbers::{Native, NumberBuilder};
use super::schema::{DECIMAL_PRECISION, DECIMAL_SCALE};
use super::texts::{IdBuilder, SymbolBuilder, TextBuilder, WordBuilder};
use crate::record::{RawRecord, flags};
use crate::schema::{Column, ColumnKind, TableSchema};

/// Where a column lies in rows, and in which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    at: usize,
    since: u16,
}

impl Slot {
    fn of(column: &Column) -> Self {
        Self { at: column.offset, since: column.since }
    }

    /// The slot's bytes, `None` where the row is too old or too short to have it.
    #[inline]
    pub(super) fn read<const N: usize>(self, record: &RawRecord<'_>) -> Option<[u8; N]> {
        if record.layout < self.since {
            return None;
        }
        record.row.get(self.at..)?.first_chunk().copied()
    }
}

/// Gathers the values of one column.
#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Ts(Vec<i64>),
    Symbol(SymbolBuilder),
    RecvTs(Vec<i64>),
    FeedSeq { numbers: Vec<u64>, flags: Vec<u8> },
    Seq(Vec<u64>),
    Double(NumberBuilder<f64, 8>),
    BigInt(NumberBuilder<i64, 8>),
    Timestamp(NumberBuilder<i64, 8>),
    Date(NumberBuilder<i32, 4>),
    Decimal(NumberBuilder<i128, 16>),
    Text(TextBuilder),
    Id(IdBuilder),
    Word(WordBuilder),
    Levels(LevelsBuilder),
    Flag { known: u8, set: u8, since: u16, flags: Vec<u8> },
}

impl ColumnBuilder {
    /// A builder for the column at a position of the table's Arrow schema.
    pub(super) fn new(schema: &TableSchema, position: usize) -> Self {
        match position {
            0 => return Self::Ts(Vec::new()),
            1 => return Self::Symbol(SymbolBuilder::default()),
            _ => {}
        }
        let Some(column) = schema.columns.get(position - 2) else {
            return match position - 2 - schema.columns.len() {
                0 => Self::RecvTs(Vec::new()),
                1 => Self::FeedSeq { numbers: Vec::new(), flags: Vec::new() },
                2 => Self::Seq(Vec::new()),
                _ => panic!("table {} has no column {position}", schema.name),
            };
        };
        let slot = Slot::of(column);
        match column.kind {
            ColumnKind::Double => Self::Double(NumberBuilder::new(slot)),
            ColumnKind::BigInt => Self::BigInt(NumberBuilder::new(slot)),
            ColumnKind::Timestamp => Self::Timestamp(NumberBuilder::new(slot)),
            ColumnKind::Date => Self::Date(NumberBuilder::new(slot)),
            ColumnKind::Decimal => Self::Decimal(NumberBuilder::new(slot)),
            ColumnKind::Text => Self::Text(TextBuilder::new(slot)),
            ColumnKind::Id => Self::Id(IdBuilder::new(slot)),
            ColumnKind::Word(words) => Self::Word(WordBuilder::new(slot, words)),
            ColumnKind::Levels => Self::Levels(LevelsBuilder::new(slot)),
            ColumnKind::Flag { known, set } => {
                Self::Flag { known, set, since: column.since, flags: Vec::new() }
            }
        }
    }

    pub(super) fn append(&mut self, records: &[RawRecord<'_>]) {
        match self {
            Self::Ts(values) => values.extend(records.iter().map(|record| record.ts)),
            Self::RecvTs(values) => values.extend(records.iter().map(|record| record.recv_ts)),
            Self::Seq(values) => values.extend(records.iter().map(|record| record.seq)),
            Self::FeedSeq { numbers, flags } => {
                numbers.extend(records.iter().map(|record| record.feed_seq));
                flags.extend(records.iter().map(|record| record.flags));
            }
            Self::Flag { since, flags, .. } => {
                flags.extend(
                    records.iter().map(|record| if record.layout < *since { 0 } else { record.flags }),
                );
            }
            Self::Symbol(builder) => builder.append(records),
            Self::Double(builder) => builder.append(records),
            Self::BigInt(builder) | Self::Timestamp(builder) => builder.append(records),
            Self::Date(builder) => builder.append(records),
            Self::Decimal(builder) => builder.append(records),
            Self::Text(builder) => builder.append(records),
            Self::Id(builder) => builder.append(records),
            Self::Word(builder) => builder.append(records),
            Self::Levels(builder) => builder.append(records),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Ts(values) => Arc::new(plain::<TimestampNanosecondType>(values).with_timezone("UTC")),
            Self::Seq(values) => Arc::new(plain::<UInt64Type>(values)),
            Self::RecvTs(values) => {
                let values = std::mem::take(values);
                Arc::new(i64::array::<TimestampNanosecondType>(values).with_timezone("UTC"))
            }
            Self::FeedSeq { numbers, flags } => {
                let nulls = validity(flags.len(), |at| flags[at] & flags::FEED_SEQ != 0);
                flags.clear();
                Arc::new(UInt64Array::new(std::mem::take(numbers).into(), nulls))
            }
            Self::Flag { known, set, flags, .. } => {
                let values = BooleanBuffer::collect_bool(flags.len(), |at| flags[at] & *set != 0);
                let nulls = validity(flags.len(), |at| flags[at] & *known != 0);
                flags.clear();
                Arc::new(BooleanArray::new(values, nulls))
            }
            Self::Double(builder) => Arc::new(builder.finish::<Float64Type>()),
            Self::BigInt(builder) => Arc::new(builder.finish::<Int64Type>()),
            Self::Timestamp(builder) => {
                Arc::new(builder.finish::<TimestampNanosecondType>().with_timezone("UTC"))
            }
            Self::Date(builder) => Arc::new(builder.finish::<Date32Type>()),
            Self::Decimal(builder) => {
                let decimals = builder.finish::<Decimal128Type>();
                let decimals = decimals.with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE);
                Arc::new(decimals.expect("9 of 38 digits are a decimal type"))
            }
            Self::Symbol(builder) => builder.finish(),
            Self::Text(builder) => builder.finish(),
            Self::Id(builder) => builder.finish(),
            Self::Word(builder) => builder.finish(),
            Self::Levels(builder) => builder.finish(),
        }
    }
}

fn plain<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>) -> arrow::array::PrimitiveArray<T> {
    arrow::array::PrimitiveArray::new(std::mem::take(values).into(), None)
}

/// Which of `rows` values are not NULL; `None` where all are not, which makes every kernel faster.
pub(super) fn validity(rows: usize, is_valid: impl FnMut(usize) -> bool) -> Option<NullBuffer> {
    Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, is_valid))).filter(|nulls| nulls.null_count() > 0)
}
