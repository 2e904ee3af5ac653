//! Reads every value of a row in every way that there is, and wants the same answer.

use tapebook_record::record::Value;
use tapebook_record::{
    Balance, Bar, Batch, BookDelta, BookSnapshot, ColumnKind, Execution, Id, Instrument, Level, Order,
    OrderUpdate, Position, PushError, Quote, RawRecord, Record, RowWriter, StandardTable, TableId,
    TableSchema, Tick, Trade, ValueError,
};

/// Reads all columns of a row, and its typed form where its table has one.
pub fn read(table: TableId, schema: &TableSchema, raw: &RawRecord<'_>) {
    for column in 0..schema.columns.len() {
        match raw.value(schema, column) {
            Value::Text(text) => assert!(std::str::from_utf8(text.as_bytes()).is_ok()),
            Value::Levels(levels) => assert_eq!(levels.iter().count(), levels.len()),
            Value::Id(id) => assert_eq!(raw.id(schema, column), Some(id)),
            _ => {}
        }
    }
    let _ = (raw.recv_ts(), raw.feed_seq());
    typed(table, schema, raw);
}

/// What a typed accessor returns, compared with what the untyped one says.
trait Number {
    fn is(self, found: &Value<'_>) -> bool;
}

impl Number for f64 {
    fn is(self, found: &Value<'_>) -> bool {
        matches!(found, Value::Double(found) if found.to_bits() == self.to_bits())
    }
}

impl Number for i64 {
    fn is(self, found: &Value<'_>) -> bool {
        matches!(found, Value::BigInt(found) | Value::Timestamp(found) if *found == self)
    }
}

impl Number for i32 {
    fn is(self, found: &Value<'_>) -> bool {
        matches!(found, Value::Date(found) if *found == self)
    }
}

impl Number for i128 {
    fn is(self, found: &Value<'_>) -> bool {
        matches!(found, Value::Decimal(found) if *found == self)
    }
}

macro_rules! agree {
    ($raw:ident, $schema:ident, $table:ident: numbers $($number:ident)* ; texts $($text:ident)* ; ids $($id:ident)* ; levels $($levels:ident)* ; words $($word:ident)*) => {
        if let Some(record) = Record::<$table>::new(*$raw) {
            let value = |name: &str| $schema.column_index(name).map(|column| $raw.value($schema, column));
            $(match value(stringify!($number)) {
                Some(found @ (Value::Double(_) | Value::BigInt(_) | Value::Timestamp(_) | Value::Date(_) | Value::Decimal(_))) => {
                    assert!(record.$number().is_some_and(|number| number.is(&found)))
                }
                _ => assert!(record.$number().is_none()),
            })*
            $(match value(stringify!($text)) {
                Some(Value::Text(text)) => assert_eq!(record.$text(), Some(text)),
                _ => assert!(record.$text().is_none()),
            })*
            $(match value(stringify!($id)) {
                Some(Value::Id(id)) => assert_eq!(record.$id(), Some(id)),
                _ => assert!(record.$id().is_none()),
            })*
            $(match value(stringify!($levels)) {
                Some(Value::Levels(levels)) => assert_eq!(record.$levels().map(|found| found.len()), Some(levels.len())),
                _ => assert!(record.$levels().is_none()),
            })*
            $(match value(stringify!($word)) {
                Some(Value::Text(word)) => assert_eq!(record.$word().map(|found| found.as_str()), Some(word)),
                _ => assert!(record.$word().is_none()),
            })*
        }
    };
}

fn typed(table: TableId, schema: &TableSchema, raw: &RawRecord<'_>) {
    match table {
        <Trade as StandardTable>::ID => {
            agree!(raw, schema, Trade: numbers price size; texts venue conditions; ids trade_id bid_order_id ask_order_id; levels ; words side);
        }
        <Quote as StandardTable>::ID => {
            agree!(raw, schema, Quote: numbers bid_price bid_size ask_price ask_size; texts venue conditions; ids ; levels ; words );
        }
        <Tick as StandardTable>::ID => {
            agree!(raw, schema, Tick: numbers last_price volume ask_size trading_day; texts ; ids ; levels ; words );
        }
        <BookSnapshot as StandardTable>::ID => {
            agree!(raw, schema, BookSnapshot: numbers ; texts ; ids ; levels bids asks; words );
        }
        <BookDelta as StandardTable>::ID => {
            agree!(raw, schema, BookDelta: numbers price size; texts ; ids order_id; levels ; words side action);
        }
        <Bar as StandardTable>::ID => {
            agree!(raw, schema, Bar: numbers open trade_count open_interest; texts period; ids ; levels ; words );
        }
        <Order as StandardTable>::ID => {
            agree!(raw, schema, Order: numbers price size; texts time_in_force; ids order_id account client_order_id; levels ; words side position_effect);
        }
        <OrderUpdate as StandardTable>::ID => {
            agree!(raw, schema, OrderUpdate: numbers filled remaining; texts reason; ids order_id account; levels ; words status);
        }
        <Execution as StandardTable>::ID => {
            agree!(raw, schema, Execution: numbers price size fee; texts ; ids execution_id order_id account; levels ; words side position_effect liquidity);
        }
        <Balance as StandardTable>::ID => {
            agree!(raw, schema, Balance: numbers balance available frozen margin; texts ; ids account; levels ; words );
        }
        <Position as StandardTable>::ID => {
            agree!(raw, schema, Position: numbers size margin; texts side; ids account; levels ; words );
        }
        <Instrument as StandardTable>::ID => {
            agree!(raw, schema, Instrument: numbers tick_size expiry; texts venue currency; ids ; levels ; words );
        }
        _ => {}
    }
}

/// Writes the row again, value by value, and compares what comes out. A row that passed the check of a batch is one
/// that can be written; only its length may differ, because two of its texts may have shared their bytes.
pub fn write_again(schema: &TableSchema, raw: &RawRecord<'_>) {
    let place = tapebook_record::batch::RowPlace {
        symbol: raw.symbol,
        ts: raw.ts,
        recv_ts: raw.recv_ts(),
        feed_seq: raw.feed_seq(),
    };
    let mut batch = Batch::new();
    let pushed = batch.push_row(schema, place, |row| {
        (0..schema.columns.len())
            .try_for_each(|column| write(row, schema, column, raw.value(schema, column)))
            .map_err(PushError::Value)
    });
    match pushed {
        Ok(()) => {}
        Err(PushError::Full | PushError::Value(ValueError::RowTooLong { .. })) => return,
        Err(error) => panic!("a checked row cannot be written: {error}"),
    }
    let batch = batch.encode();
    let header = batch.row_header(0);
    let again = RawRecord { flags: header.flags, row: batch.row(&header), ..*raw };
    for column in 0..schema.columns.len() {
        let (before, after) = (raw.value(schema, column), again.value(schema, column));
        assert!(same(&before, &after), "{}: {before:?} became {after:?}", schema.columns[column].name);
    }
    assert_eq!((header.ts, header.recv_ts, header.feed_seq), (raw.ts, raw.recv_ts, raw.feed_seq));
}

fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    let bits = |level: Level| (level.price.to_bits(), level.size.to_bits());
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
        (Value::BigInt(a), Value::BigInt(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Date(a), Value::Date(b)) => a == b,
        (Value::Decimal(a), Value::Decimal(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Id(a), Value::Id(b)) => a == b,
        (Value::Levels(a), Value::Levels(b)) => a.iter().map(bits).eq(b.iter().map(bits)),
        (Value::Bool(a), Value::Bool(b)) => a == b,
        _ => false,
    }
}

fn write(
    row: &mut RowWriter<'_>,
    schema: &TableSchema,
    column: usize,
    value: Value<'_>,
) -> Result<(), ValueError> {
    match value {
        Value::Null => Ok(()),
        Value::Double(value) => row.double(column, value),
        Value::BigInt(value) => row.bigint(column, value),
        Value::Timestamp(value) => row.timestamp(column, value),
        Value::Date(value) => row.date(column, value),
        Value::Decimal(value) => row.decimal(column, value),
        Value::Text(value) => match schema.columns[column].kind {
            ColumnKind::Word(words) => row.word(column, words.code(value).unwrap_or(0)),
            _ => row.text(column, value),
        },
        Value::Id(Id::Number(value)) => row.id(column, Id::Number(value)),
        Value::Id(Id::Text(value)) => row.id(column, Id::Text(value)),
        Value::Levels(value) => row.levels(column, &value.iter().collect::<Vec<Level>>()),
        Value::Bool(value) => row.flag(column, value),
    }
}
