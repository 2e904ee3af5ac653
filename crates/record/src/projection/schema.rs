//! The Arrow schema of a table.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::schema::{ColumnKind, TableSchema};

/// Digits of a `DECIMAL`.
pub(super) const DECIMAL_PRECISION: u8 = 38;
/// Digits behind the point of a `DECIMAL`.
pub(super) const DECIMAL_SCALE: i8 = 9;

/// The Arrow schema of a table: `ts`, `symbol`, the table's own columns, `recv_ts`, `feed_seq`, `seq`.
///
/// Only `ts`, `symbol` and `seq` are never NULL.
pub fn arrow_schema(schema: &TableSchema) -> SchemaRef {
    let own = schema.columns.iter().map(|column| Field::new(&*column.name, data_type(column.kind), true));
    let fields = [Field::new("ts", timestamp(), false), Field::new("symbol", DataType::Utf8View, false)]
        .into_iter()
        .chain(own)
        .chain([
            Field::new("recv_ts", timestamp(), true),
            Field::new("feed_seq", DataType::UInt64, true),
            Field::new("seq", DataType::UInt64, false),
        ]);
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Double => DataType::Float64,
        ColumnKind::BigInt => DataType::Int64,
        ColumnKind::Timestamp => timestamp(),
        ColumnKind::Date => DataType::Date32,
        ColumnKind::Decimal => DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE),
        ColumnKind::Text | ColumnKind::Id | ColumnKind::Word(_) => DataType::Utf8View,
        ColumnKind::Levels => DataType::List(level_field()),
        ColumnKind::Flag { .. } => DataType::Boolean,
    }
}

/// The element of a list of levels. It could not be NULL, but lists that SQL makes say that theirs can, and only
/// equal types can be compared or united.
pub(super) fn level_field() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(level_fields()), true))
}

/// The fields of one level.
pub(super) fn level_fields() -> Fields {
    Fields::from(vec![
        Field::new("price", DataType::Float64, true),
        Field::new("size", DataType::Float64, true),
    ])
}
