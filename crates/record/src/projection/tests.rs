use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Float64Builder,
    Int64Array, ListBuilder, StringViewArray, StructBuilder, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, TimeUnit};
use proptest::prelude::*;

use super::schema::{level_field, level_fields};
use super::*;
use crate::batch::{Batch, EncodedBatch, RowPlace};
use crate::model::{self, ModelRow, batch_of, records};
use crate::record::Value;
use crate::schema::{ColumnKind, Schemas, TableId};
use crate::slot::Level;
use crate::{PushError, Side};

/// One column by way of [`RawRecord::value`], a value at a time.
fn naive(schema: &TableSchema, position: usize, records: &[RawRecord<'_>]) -> ArrayRef {
    let values = || records.iter().map(|record| record.value(schema, position - 2));
    let utc = |times: TimestampNanosecondArray| -> ArrayRef { Arc::new(times.with_timezone("UTC")) };
    macro_rules! column {
        ($array:ty, $variant:ident) => {
            values()
                .map(|value| match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                })
                .collect::<$array>()
        };
    }
    let last = schema.columns.len() + 2;
    match position {
        0 => return utc(records.iter().map(|record| Some(record.ts)).collect()),
        1 => return Arc::new(records.iter().map(|record| Some(record.symbol)).collect::<StringViewArray>()),
        at if at == last => return utc(records.iter().map(RawRecord::recv_ts).collect()),
        at if at == last + 1 => {
            return Arc::new(records.iter().map(RawRecord::feed_seq).collect::<UInt64Array>());
        }
        at if at == last + 2 => {
            return Arc::new(records.iter().map(|record| Some(record.seq)).collect::<UInt64Array>());
        }
        _ => {}
    }
    match schema.columns[position - 2].kind {
        ColumnKind::Double => Arc::new(column!(Float64Array, Double)),
        ColumnKind::BigInt => Arc::new(column!(Int64Array, BigInt)),
        ColumnKind::Timestamp => utc(column!(TimestampNanosecondArray, Timestamp)),
        ColumnKind::Date => Arc::new(column!(Date32Array, Date)),
        ColumnKind::Decimal => {
            Arc::new(column!(Decimal128Array, Decimal).with_precision_and_scale(38, 9).unwrap())
        }
        ColumnKind::Text | ColumnKind::Word(_) => Arc::new(column!(StringViewArray, Text)),
        ColumnKind::Flag { .. } => Arc::new(column!(BooleanArray, Bool)),
        ColumnKind::Id => {
            let ids =
                values().map(|value| if let Value::Id(id) = value { Some(id.to_string()) } else { None });
            Arc::new(ids.collect::<StringViewArray>())
        }
        ColumnKind::Levels => {
            let mut lists =
                ListBuilder::new(StructBuilder::from_fields(level_fields(), 0)).with_field(level_field());
            for value in values() {
                if let Value::Levels(levels) = value {
                    for level in levels.iter() {
                        let fields = lists.values();
                        fields.field_builder::<Float64Builder>(0).unwrap().append_value(level.price);
                        fields.field_builder::<Float64Builder>(1).unwrap().append_value(level.size);
                        fields.append(true);
                    }
                    lists.append(true);
                } else {
                    lists.append(false);
                }
            }
            Arc::new(lists.finish())
        }
    }
}

/// Projects all columns and fails where one is not what the naive conversion gives.
pub(crate) fn assert_projection_is_naive(schema: &Arc<TableSchema>, records: &[RawRecord<'_>]) {
    let all: Vec<usize> = (0..schema.columns.len() + 5).collect();
    let mut projection = Projection::new(schema, &all);
    let (first, rest) = records.split_at(records.len() / 3);
    projection.append(first);
    projection.append(rest);
    assert_eq!(projection.len(), records.len());
    let batch = projection.finish();
    assert_eq!(batch.schema(), arrow_schema(schema));
    for position in all {
        let expected = naive(schema, position, records);
        let found = batch.column(position);
        assert!(
            same(&expected, found),
            "{}: expected {expected:?}, found {found:?}",
            batch.schema().field(position)
        );
        found.to_data().validate_full().unwrap();
    }
}

/// Equal, NaN with NaN too: a damaged list of levels can hold one.
fn same(expected: &ArrayRef, found: &ArrayRef) -> bool {
    if let (Some(expected), Some(found)) = (expected.as_list_opt::<i32>(), found.as_list_opt::<i32>()) {
        let bits = |list: &arrow::array::ListArray, at: usize| -> Vec<u64> {
            let levels = list.value(at);
            let levels = levels.as_struct();
            (0..2)
                .flat_map(|field| {
                    levels.column(field).as_primitive::<arrow::datatypes::Float64Type>().values().to_vec()
                })
                .map(f64::to_bits)
                .collect()
        };
        return expected.data_type() == found.data_type()
            && expected.len() == found.len()
            && (0..found.len()).all(|at| {
                expected.is_null(at) == found.is_null(at)
                    && (found.is_null(at) || bits(expected, at) == bits(found, at))
            });
    }
    expected == found
}

fn any_rows() -> impl Strategy<Value = (Arc<TableSchema>, Vec<ModelRow>)> {
    let schemas: Vec<_> = Schemas::standard().iter().cloned().collect();
    prop::sample::select(schemas).prop_flat_map(|schema| {
        let rows = prop::collection::vec(model::any_row(&schema), 1..40);
        (Just(schema), rows)
    })
}

proptest! {
    #![proptest_config(model::cases(300))]

    #[test]
    fn columns_are_what_a_value_at_a_time_gives((schema, rows) in any_rows()) {
        let batch = batch_of(&schema, &rows);
        assert_projection_is_naive(&schema, &records(&batch));
    }

    #[test]
    fn damaged_rows_are_read_without_harm(
        (schema, rows) in any_rows(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let batch = batch_of(&schema, &rows);
        let mut records = records(&batch);
        let mut bytes: Vec<Vec<u8>> = records.iter().map(|record| record.row.to_vec()).collect();
        for (at, byte) in &damage {
            let row = at.index(bytes.len());
            let at = at.index(bytes[row].len());
            bytes[row][at] = *byte;
        }
        let row = cut.index(bytes.len());
        let cut = cut.index(bytes[row].len());
        bytes[row].truncate(cut);
        for (record, bytes) in records.iter_mut().zip(&bytes) {
            record.row = bytes;
        }
        assert_projection_is_naive(&schema, &records);
    }

    #[test]
    fn decimal_digits_are_those_of_the_standard_library(number in any::<u64>(), shift in 0..64_u32) {
        let mut digits = [0; 20];
        for number in [number >> shift, 10_u64.pow(shift % 20), 10_u64.pow(shift % 20) - 1] {
            prop_assert_eq!(texts::decimal(number, &mut digits), number.to_string());
        }
    }
}

#[test]
fn fields_have_the_types_of_the_contract() {
    let schemas = Schemas::standard();
    let schema = arrow_schema(schemas.by_name("balances").unwrap());
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let types: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type().clone(), field.is_nullable()))
        .collect();
    let amount = DataType::Decimal128(38, 9);
    assert_eq!(
        types,
        [
            ("ts", time.clone(), false),
            ("symbol", DataType::Utf8View, false),
            ("account", DataType::Utf8View, true),
            ("balance", amount.clone(), true),
            ("available", amount.clone(), true),
            ("frozen", amount.clone(), true),
            ("margin", amount, true),
            ("recv_ts", time.clone(), true),
            ("feed_seq", DataType::UInt64, true),
            ("seq", DataType::UInt64, false),
        ]
    );
    let type_of = |table: &str, column: &str| {
        arrow_schema(schemas.by_name(table).unwrap()).field_with_name(column).unwrap().data_type().clone()
    };
    assert_eq!(type_of("ticks", "trading_day"), DataType::Date32);
    assert_eq!(type_of("bars", "trade_count"), DataType::Int64);
    assert_eq!(type_of("trades", "side"), DataType::Utf8View);
    assert_eq!(type_of("instruments", "expiry"), time);
    assert_eq!(type_of("book_deltas", "snapshot"), DataType::Boolean);
    assert_eq!(type_of("book_snapshots", "bids"), DataType::List(level_field()));
}

fn trades() -> EncodedBatch {
    let mut batch = Batch::new();
    for (ts, symbol) in [(1, "A"), (2, "A"), (3, "a symbol of more than 12 bytes"), (4, "A")] {
        batch
            .push(crate::Trade { symbol, ts, side: Some(Side::Buy), size: Some(0.5), ..Default::default() })
            .unwrap();
    }
    batch.encode()
}

#[test]
fn columns_come_in_the_order_wanted_and_more_than_once() {
    let schema = Arc::clone(Schemas::standard().by_name("trades").unwrap());
    let batch = trades();
    let mut projection = Projection::new(&schema, &[12, 3, 3, 1]);
    projection.append(&records(&batch));
    let columns = projection.finish();
    let names: Vec<_> = columns.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["seq", "size", "size", "symbol"]);
    let symbols: Vec<_> = columns.column(3).as_string_view().iter().flatten().collect();
    assert_eq!(symbols, ["A", "A", "a symbol of more than 12 bytes", "A"]);
}

#[test]
fn a_projection_to_no_columns_counts_rows() {
    let schema = Arc::clone(Schemas::standard().by_name("trades").unwrap());
    let batch = trades();
    let mut projection = Projection::new(&schema, &[]);
    assert!(projection.is_empty());
    projection.append(&records(&batch));
    let columns = projection.finish();
    assert_eq!((columns.num_rows(), columns.num_columns()), (4, 0));
    assert_eq!(projection.finish().num_rows(), 0);
}

#[test]
fn every_batch_begins_anew() {
    for schema in Schemas::standard().iter() {
        let all: Vec<usize> = (0..schema.columns.len() + 5).collect();
        let mut projection = Projection::new(schema, &all);
        let batch = batch_of(schema, &[ModelRow::null(schema)]);
        for rows in [0, 1, 2, 0, 1] {
            for _ in 0..rows {
                projection.append(&records(&batch));
            }
            let columns = projection.finish();
            assert_eq!(columns.num_rows(), rows);
            for own in 2..columns.num_columns() - 1 {
                assert_eq!(columns.column(own).null_count(), rows);
            }
        }
    }
}

#[test]
#[should_panic(expected = "positions are those of the table's Arrow schema")]
fn a_position_behind_the_last_column_is_a_mistake() {
    let schema = Arc::clone(Schemas::standard().by_name("trades").unwrap());
    Projection::new(&schema, &[13]);
}

/// Slots of a later layout lie where an older row has padding or its tail: a row's layout decides, not its length.
#[test]
fn columns_of_a_later_layout_are_null_in_older_rows() {
    let words = Side::WORDS;
    let kinds = [
        ColumnKind::Date,
        ColumnKind::Double,
        ColumnKind::Text,
        ColumnKind::Id,
        ColumnKind::Decimal,
        ColumnKind::BigInt,
        ColumnKind::Levels,
        ColumnKind::Word(words),
        ColumnKind::Flag { known: 2, set: 4 },
    ];
    let old = TableSchema::new(
        TableId::FIRST_OWN,
        "own",
        1,
        [("word".into(), ColumnKind::Word(words)), ("text".into(), ColumnKind::Text)],
    );
    let new =
        old.add_columns(kinds.iter().enumerate().map(|(at, kind)| (format!("c{at}").into(), *kind))).unwrap();
    assert_eq!((new.layout, new.columns[0].since, new.columns[2].since), (2, 1, 2));
    assert_eq!(old.columns, new.columns[..2]);
    let place = RowPlace { symbol: "X", ts: 1, recv_ts: None, feed_seq: None };
    let text = "7".repeat(500);
    let mut batch = Batch::new();
    let write = |row: &mut crate::RowWriter<'_>| {
        row.text(0, "sell")?;
        row.text(1, &text)
    };
    batch.push_row(&old, place, |row| write(row).map_err(PushError::Value)).unwrap();
    batch
        .push_row(&new, place, |row| {
            write(row)?;
            row.date(2, 9)?;
            row.double(3, 1.5)?;
            row.text(4, "text")?;
            row.text(5, "17")?;
            row.decimal(6, 10)?;
            row.bigint(7, 11)?;
            row.levels(8, &[Level::default()])?;
            row.text(9, "buy")?;
            row.flag(10, true).map_err(PushError::Value)
        })
        .unwrap();
    let encoded = batch.encode();
    let mut records = records(&encoded);
    // A flag that an old row has for another reason is not the new column's.
    records[0].flags = 6;
    for (column, _) in new.columns.iter().enumerate() {
        let is_null = |row: usize| matches!(records[row].value(&new, column), Value::Null);
        assert_eq!((is_null(0), is_null(1)), (column >= 2, false), "column {column}");
    }
    assert_eq!(records[0].id(&new, 5), None);
    assert_eq!(records[1].id(&new, 5), Some(crate::Id::Number(17)));
    assert_projection_is_naive(&Arc::new(new), &records);
}
