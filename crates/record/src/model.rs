//! Rows as plain values: what the tests push, and what must come back.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::batch::{Batch, EncodedBatch, PushError, RowPlace};
use crate::record::{RawRecord, Value};
use crate::row_writer::DECIMAL_UNITS_MAX;
use crate::schema::{ColumnKind, Schemas, TableSchema};
use crate::slot::{Id, Level};

/// A value of one column, owned.
#[derive(Clone, Debug)]
pub(crate) enum ModelValue {
    Null,
    Double(f64),
    BigInt(i64),
    Timestamp(i64),
    Date(i32),
    Decimal(i128),
    Text(String),
    IdNumber(u64),
    IdText(String),
    Word(u8),
    Levels(Vec<Level>),
    Bool(bool),
}

impl ModelValue {
    pub(crate) fn id(&self) -> Option<Id<'_>> {
        match self {
            Self::IdNumber(number) => Some(Id::Number(*number)),
            Self::IdText(text) => Some(Id::Text(text)),
            _ => None,
        }
    }

    /// True where `found` says the same, bit by bit.
    pub(crate) fn is(&self, kind: ColumnKind, found: &Value<'_>) -> bool {
        match (self, found) {
            (Self::Null, Value::Null) => true,
            (Self::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::BigInt(a), Value::BigInt(b)) | (Self::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Self::Date(a), Value::Date(b)) => a == b,
            (Self::Decimal(a), Value::Decimal(b)) => a == b,
            (Self::Text(a), Value::Text(b)) => a == b,
            (Self::IdNumber(a), Value::Id(Id::Number(b))) => a == b,
            (Self::IdText(a), Value::Id(b)) => Id::from(a.as_str()) == *b,
            (Self::Word(a), Value::Text(b)) => {
                matches!(kind, ColumnKind::Word(words) if words.word(*a) == Some(*b))
            }
            (Self::Levels(a), Value::Levels(b)) => b.iter().eq(a.iter().copied()),
            (Self::Bool(a), Value::Bool(b)) => a == b,
            _ => false,
        }
    }
}

/// One row of some table.
#[derive(Clone, Debug)]
pub(crate) struct ModelRow {
    pub(crate) symbol: String,
    pub(crate) ts: i64,
    pub(crate) recv_ts: Option<i64>,
    pub(crate) feed_seq: Option<u64>,
    pub(crate) values: Vec<ModelValue>,
}

impl ModelRow {
    /// A row in which everything that can be NULL is.
    #[cfg(feature = "arrow")]
    pub(crate) fn null(schema: &TableSchema) -> Self {
        let values = vec![ModelValue::Null; schema.columns.len()];
        Self { symbol: "X".to_owned(), ts: 0, recv_ts: None, feed_seq: None, values }
    }

    pub(crate) fn push(&self, batch: &mut Batch, schema: &TableSchema) -> Result<(), PushError> {
        let place =
            RowPlace { symbol: &self.symbol, ts: self.ts, recv_ts: self.recv_ts, feed_seq: self.feed_seq };
        batch.push_row(schema, place, |row| {
            for (at, value) in self.values.iter().enumerate() {
                match value {
                    ModelValue::Null => Ok(()),
                    ModelValue::Double(value) => row.double(at, *value),
                    ModelValue::BigInt(value) => row.bigint(at, *value),
                    ModelValue::Timestamp(value) => row.timestamp(at, *value),
                    ModelValue::Date(value) => row.date(at, *value),
                    ModelValue::Decimal(value) => row.decimal(at, *value),
                    ModelValue::Text(value) => row.text(at, value),
                    ModelValue::IdNumber(value) => row.id(at, Id::Number(*value)),
                    ModelValue::IdText(value) => row.text(at, value),
                    ModelValue::Word(value) => row.word(at, *value),
                    ModelValue::Levels(value) => row.levels(at, value),
                    ModelValue::Bool(value) => row.flag(at, *value),
                }
                .map_err(PushError::Value)?;
            }
            Ok(())
        })
    }

    /// Fails where `found` is not this row.
    pub(crate) fn assert_is(&self, schema: &TableSchema, found: &RawRecord<'_>) {
        assert_eq!(self.symbol, found.symbol);
        assert_eq!((self.ts, self.recv_ts, self.feed_seq), (found.ts, found.recv_ts(), found.feed_seq()),);
        for (at, (column, value)) in schema.columns.iter().zip(&self.values).enumerate() {
            let seen = found.value(schema, at);
            assert!(value.is(column.kind, &seen), "{}: pushed {value:?}, read {seen:?}", column.name);
        }
    }
}

/// The rows of a batch with their symbols, numbered from 1.
pub(crate) fn records(batch: &EncodedBatch) -> Vec<RawRecord<'_>> {
    let rows = batch.rows();
    (0..batch.len()).filter_map(|place| Some(rows.get(place, place as u64 + 1)?.1)).collect()
}

/// `rows` in one batch, encoded and checked.
pub(crate) fn batch_of(schema: &TableSchema, rows: &[ModelRow]) -> EncodedBatch {
    let mut batch = Batch::new();
    for row in rows {
        row.push(&mut batch, schema).unwrap();
    }
    let encoded = batch.encode();
    assert_eq!(batch.encoded_bytes(), encoded.bytes().len());
    EncodedBatch::check(encoded.bytes().clone(), &Schemas::standard()).unwrap()
}

/// The same cases in every run.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x7461_7065_626f_6f6b),
        ..ProptestConfig::default()
    }
}

/// Any row of the table.
pub(crate) fn any_row(schema: &TableSchema) -> impl Strategy<Value = ModelRow> + use<> {
    let values: Vec<_> = schema.columns.iter().map(|column| any_value(column.kind)).collect();
    (any_symbol(), any::<i64>(), recv_ts(), any::<Option<u64>>(), values).prop_map(
        |(symbol, ts, recv_ts, feed_seq, values)| ModelRow { symbol, ts, recv_ts, feed_seq, values },
    )
}

fn any_symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => prop::sample::select(vec!["SHFE.cu2501", "BINANCE.BTCUSDT", "BINANCE.ETHUSDT"]).prop_map(str::to_owned),
        1 => "\\PC{1,16}",
    ]
}

fn recv_ts() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(not_min())
}

fn not_min() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN + 1), Just(i64::MAX), Just(0), i64::MIN + 1..=i64::MAX]
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::MAX),
        Just(f64::MIN),
        Just(f64::MIN_POSITIVE),
        Just(-0.0),
        Just(0.0),
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
        (0..10_000_000_i64).prop_map(|cents| cents as f64 / 100.0),
    ]
}

fn any_value(kind: ColumnKind) -> BoxedStrategy<ModelValue> {
    let decimal_max = DECIMAL_UNITS_MAX as i128;
    let value = match kind {
        ColumnKind::Double => finite().prop_map(ModelValue::Double).boxed(),
        ColumnKind::BigInt => not_min().prop_map(ModelValue::BigInt).boxed(),
        ColumnKind::Timestamp => not_min().prop_map(ModelValue::Timestamp).boxed(),
        ColumnKind::Date => prop_oneof![Just(i32::MIN + 1), Just(i32::MAX), i32::MIN + 1..=i32::MAX]
            .prop_map(ModelValue::Date)
            .boxed(),
        ColumnKind::Decimal => {
            prop_oneof![Just(-decimal_max), Just(decimal_max), Just(0), -decimal_max..=decimal_max]
                .prop_map(ModelValue::Decimal)
                .boxed()
        }
        ColumnKind::Text => "\\PC{0,20}".prop_map(ModelValue::Text).boxed(),
        ColumnKind::Id => prop_oneof![
            (0..1_u64 << 63).prop_map(ModelValue::IdNumber),
            (0..1_000_u64).prop_map(ModelValue::IdNumber),
            any::<u64>().prop_map(|number| ModelValue::IdText(number.to_string())),
            "[0-9]{0,20}".prop_map(ModelValue::IdText),
            "[A-Z0-9+-]{0,16}".prop_map(ModelValue::IdText),
        ]
        .boxed(),
        ColumnKind::Word(words) => (1..=words.words.len() as u8).prop_map(ModelValue::Word).boxed(),
        ColumnKind::Levels => prop::collection::vec((finite(), finite()), 0..6)
            .prop_map(|levels| levels.into_iter().map(|(price, size)| Level { price, size }).collect())
            .prop_map(ModelValue::Levels)
            .boxed(),
        ColumnKind::Flag { .. } => any::<bool>().prop_map(ModelValue::Bool).boxed(),
    };
    prop_oneof![1 => Just(ModelValue::Null), 3 => value].boxed()
}
