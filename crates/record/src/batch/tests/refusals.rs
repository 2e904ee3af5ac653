//! What does not go into a batch, and that the batch stays as it was.

use super::*;
use crate::row_writer::{ROW_BYTES_MAX, RowWriter, ValueError};
use crate::schema::TableSchema;
use crate::slot::Level;
use crate::{StandardTable, SymbolError};

const TRADE: Trade<'static> = Trade {
    symbol: "X",
    ts: 0,
    price: None,
    size: None,
    side: None,
    trade_id: None,
    venue: None,
    conditions: None,
    bid_order_id: None,
    ask_order_id: None,
    recv_ts: None,
    feed_seq: None,
};

fn begun() -> Batch {
    let mut batch = Batch::from_producer(Producer { id: 1, epoch: 2, batch_number: 3 });
    batch.push(Trade { venue: Some("V"), ..TRADE }).unwrap();
    batch
}

fn refused(push: impl FnOnce(&mut Batch) -> Result<(), PushError>) -> PushError {
    let mut batch = begun();
    let before = batch.encode();
    let error = push(&mut batch).unwrap_err();
    assert_eq!(batch.len(), 1);
    assert_eq!(batch.encode().bytes()[..], before.bytes()[..], "{error}");
    // The next row goes where it would have gone without the refused one.
    let mut fresh = begun();
    for batch in [&mut batch, &mut fresh] {
        batch.push(Trade { symbol: "Y", ..TRADE }).unwrap();
    }
    assert_eq!(batch.encode().bytes()[..], fresh.encode().bytes()[..], "{error}");
    error
}

/// Writes one column of a table, between two that are fine.
fn refused_value(
    schema: &'static TableSchema,
    write: impl FnOnce(&mut RowWriter<'_>) -> Result<(), ValueError>,
) -> ValueError {
    let place = RowPlace { symbol: "new", ts: 0, recv_ts: None, feed_seq: None };
    match refused(|batch| batch.push_row(schema, place, |row| write(row).map_err(PushError::Value))) {
        PushError::Value(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn symbols() {
    let long = "é".repeat(33);
    let control = "a\nb";
    assert_eq!(refused(|batch| batch.push(Trade { symbol: "", ..TRADE })), SymbolError::Empty.into());
    assert!(matches!(
        refused(|batch| batch.push(Trade { symbol: &long, ..TRADE })),
        PushError::Symbol(SymbolError::TooLong { bytes: 66, .. })
    ));
    assert!(matches!(
        refused(|batch| batch.push(Trade { symbol: control, ..TRADE })),
        PushError::Symbol(SymbolError::ControlCharacter { .. })
    ));
    begun().push(Trade { symbol: &long[..64], ..TRADE }).unwrap();
}

#[test]
fn times_of_receipt() {
    let error = refused(|batch| batch.push(Trade { recv_ts: Some(i64::MIN), ..TRADE }));
    assert_eq!(error, PushError::RecvTs(i64::MIN));
}

#[test]
fn numbers_that_are_none() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = refused(|batch| batch.push(Trade { venue: Some("W"), size: Some(value), ..TRADE }));
        let expected = ValueError::NotFinite { column: "size".to_owned(), value: value.to_string() };
        assert_eq!(error, expected.into());
        let level = Level { price: 1.0, size: value };
        let error = refused_value(crate::BookSnapshot::schema(), |row| row.levels(1, &[level]));
        assert!(matches!(error, ValueError::NotFinite { column, .. } if column == "asks"));
    }
}

#[test]
fn what_stands_for_null_is_out_of_range() {
    type Write = fn(&mut RowWriter<'_>, usize) -> Result<(), ValueError>;
    let cases: [(&'static TableSchema, &str, Write); 8] = [
        (crate::Bar::schema(), "trade_count", |row, at| row.bigint(at, i64::MIN)),
        (crate::Instrument::schema(), "expiry", |row, at| row.timestamp(at, i64::MIN)),
        (crate::Tick::schema(), "trading_day", |row, at| row.date(at, i32::MIN)),
        (crate::Balance::schema(), "margin", |row, at| row.decimal(at, i128::MIN)),
        (crate::Balance::schema(), "margin", |row, at| row.decimal(at, 10_i128.pow(38))),
        (crate::Order::schema(), "account", |row, at| row.id(at, Id::Number(1 << 63))),
        (crate::Order::schema(), "side", |row, at| row.word(at, 0)),
        (crate::Order::schema(), "side", |row, at| row.word(at, 3)),
    ];
    for (schema, column, write) in cases {
        let at = schema.column_index(column).unwrap();
        let error = refused_value(schema, |row| write(row, at));
        assert!(matches!(&error, ValueError::OutOfRange { column: found, .. } if found == column), "{error}");
    }
}

#[test]
fn words_that_a_column_does_not_have() {
    let error = refused_value(<Trade<'_> as StandardTable>::schema(), |row| row.text(2, "BUY"));
    assert_eq!(error.to_string(), "column side: \"BUY\" is none of buy, sell");
}

#[test]
fn values_of_another_type() {
    // By the kind that each writer fits: every other column of every table refuses it.
    type Write = fn(&mut RowWriter<'_>, usize) -> Result<(), ValueError>;
    type Fits = fn(ColumnKind) -> bool;
    use crate::schema::ColumnKind;
    let writers: [(Write, Fits); 10] = [
        (|row, at| row.double(at, 1.0), |kind| kind == ColumnKind::Double),
        (|row, at| row.bigint(at, 1), |kind| kind == ColumnKind::BigInt),
        (|row, at| row.timestamp(at, 1), |kind| kind == ColumnKind::Timestamp),
        (|row, at| row.date(at, 1), |kind| kind == ColumnKind::Date),
        (|row, at| row.decimal(at, 1), |kind| kind == ColumnKind::Decimal),
        (
            |row, at| row.text(at, "x"),
            |kind| matches!(kind, ColumnKind::Text | ColumnKind::Id | ColumnKind::Word(_)),
        ),
        (|row, at| row.id(at, Id::Number(1)), |kind| kind == ColumnKind::Id),
        (|row, at| row.word(at, 1), |kind| matches!(kind, ColumnKind::Word(_))),
        (|row, at| row.levels(at, &[]), |kind| kind == ColumnKind::Levels),
        (|row, at| row.flag(at, true), |kind| matches!(kind, ColumnKind::Flag { .. })),
    ];
    let place = RowPlace { symbol: "X", ts: 0, recv_ts: None, feed_seq: None };
    for schema in Schemas::standard().iter() {
        for (at, column) in schema.columns.iter().enumerate() {
            for (write, fits) in writers {
                if !fits(column.kind) {
                    let error = refused(|batch| {
                        batch.push_row(schema, place, |row| write(row, at).map_err(PushError::Value))
                    });
                    let wrong = matches!(&error, PushError::Value(ValueError::WrongType { column: found, .. }) if *found == column.name);
                    assert!(wrong, "{error}");
                }
            }
        }
    }
}

#[test]
fn rows_that_are_too_long() {
    let trades = <Trade<'_> as StandardTable>::schema();
    let text = "x".repeat(ROW_BYTES_MAX);
    let longest = &text[..ROW_BYTES_MAX - trades.fixed_bytes - 8];
    begun().push(Trade { venue: Some(longest), ..TRADE }).unwrap();
    for venue in [&text[..], &text[..ROW_BYTES_MAX - trades.fixed_bytes + 1]] {
        let error = refused(|batch| batch.push(Trade { venue: Some(venue), ..TRADE }));
        assert!(matches!(error, PushError::Value(ValueError::RowTooLong { bytes }) if bytes > ROW_BYTES_MAX));
    }
    let error =
        refused(|batch| batch.push(Trade { venue: Some(longest), trade_id: Some(Id::Text(&text)), ..TRADE }));
    assert!(matches!(error, PushError::Value(ValueError::RowTooLong { .. })));
    let levels = vec![Level::default(); ROW_BYTES_MAX / 16];
    let error = refused_value(crate::BookSnapshot::schema(), |row| row.levels(0, &levels));
    assert!(matches!(error, ValueError::RowTooLong { .. }));
}

#[test]
fn a_full_batch_stays_as_it_is_and_is_within_its_bound() {
    let mut batch = Batch::new();
    let text = "x".repeat(1_000);
    let mut symbol = 0;
    loop {
        let before = batch.encode();
        symbol += 1;
        let name = symbol.to_string();
        match batch.push(Trade { symbol: &name, venue: Some(&text), ..TRADE }) {
            Ok(()) => assert_eq!(batch.len(), symbol),
            Err(error) => {
                assert_eq!(error, PushError::Full);
                assert_eq!(batch.len(), symbol - 1);
                assert_eq!(batch.encode().bytes()[..], before.bytes()[..]);
                break;
            }
        }
    }
    // A smaller row may still find room, down to the last byte.
    while batch.push(TRADE).is_ok() {}
    let encoded = batch.encode();
    assert!(encoded.bytes().len() <= BATCH_BYTES_MAX && encoded.bytes().len() > BATCH_BYTES_MAX - 256);
    let checked = EncodedBatch::check(encoded.bytes().clone(), &Schemas::standard()).unwrap();
    assert_eq!(checked.len(), batch.len());
}

#[test]
fn an_empty_batch_is_not_one() {
    let empty = Batch::new();
    assert!(empty.is_empty() && empty.encode().is_empty());
    let error = EncodedBatch::check(empty.encode().bytes().clone(), &Schemas::standard()).unwrap_err();
    assert!(matches!(error, BatchError::Structure { offset: 16, .. }));
}

#[test]
fn one_id_has_one_encoding() {
    let cases = [
        ("0", Id::Number(0)),
        ("7", Id::Number(7)),
        ("9223372036854775807", Id::Number(i64::MAX as u64)),
        ("9223372036854775808", Id::Text("9223372036854775808")),
        ("18446744073709551615", Id::Text("18446744073709551615")),
        ("99999999999999999999", Id::Text("99999999999999999999")),
        ("", Id::Text("")),
        ("00", Id::Text("00")),
        ("07", Id::Text("07")),
        ("+1", Id::Text("+1")),
        ("-1", Id::Text("-1")),
        (" 1", Id::Text(" 1")),
        ("1.0", Id::Text("1.0")),
        ("１", Id::Text("１")),
    ];
    for (text, expected) in cases {
        assert_eq!(Id::from(text), expected);
        assert_eq!(expected.to_string(), text);
        let encode = |id| {
            let mut batch = Batch::new();
            batch.push(Trade { trade_id: Some(id), ..TRADE }).unwrap();
            batch.encode()
        };
        let batch = encode(Id::Text(text));
        assert_eq!(batch.bytes()[..], encode(expected).bytes()[..]);
        let checked = EncodedBatch::check(batch.bytes().clone(), &Schemas::standard()).unwrap();
        let raw = crate::model::records(&checked)[0];
        assert_eq!(Record::<Trade>::new(raw).unwrap().trade_id(), Some(expected));
        let schema = <Trade<'_> as StandardTable>::schema();
        assert_eq!(raw.id(schema, 3), Some(expected));
        assert_eq!(raw.id(schema, 0), None);
    }
}
