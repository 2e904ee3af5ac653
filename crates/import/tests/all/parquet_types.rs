//! Parquet: every type that a column can have, and damage.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int32Array, Int64Array, LargeStringArray, ListArray, RecordBatch, StringArray,
    StringViewArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::rows::{Imported, import_named, message, options};
use tapebook_import::ImportOptions;

const NANOS: i64 = 1_609_761_600_123_456_789;

fn parquet(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    let batch = batch.unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(3000))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn import_with(table: &str, columns: Vec<(&str, ArrayRef)>, options: &ImportOptions) -> Imported {
    import_named(table, "f.parquet", parquet(columns, Compression::SNAPPY), options)
}

fn good(table: &str, columns: Vec<(&str, ArrayRef)>) -> Vec<String> {
    import_with(table, columns, &options()).map_err(|(_, failure)| failure.to_string()).unwrap().0
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[test]
fn times_of_every_unit() {
    let second = NANOS / 1_000_000_000;
    let utc = |array: ArrayRef| good("trades", vec![("symbol", text(&["X"])), ("ts", array)]);
    for (array, nanos) in [
        (
            Arc::new(TimestampSecondArray::from(vec![second]).with_timezone("UTC")) as ArrayRef,
            second * 1_000_000_000,
        ),
        (Arc::new(TimestampMillisecondArray::from(vec![NANOS / 1_000_000])), NANOS / 1_000_000 * 1_000_000),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![NANOS / 1000]).with_timezone("+08:00")),
            NANOS / 1000 * 1000,
        ),
        (Arc::new(TimestampNanosecondArray::from(vec![NANOS])), NANOS),
        (ints(&[NANOS]), NANOS),
        (Arc::new(UInt64Array::from(vec![NANOS as u64])), NANOS),
        (Arc::new(Float64Array::from(vec![second as f64])), second * 1_000_000_000),
        (Arc::new(Date32Array::from(vec![18_631])), 18_631 * 86_400_000_000_000),
        (text(&["2021-01-04T12:00:00.123456789Z"]), NANOS),
    ] {
        let kind = array.data_type().clone();
        assert_eq!(utc(array), [format!("X {nanos}")], "{kind}");
    }
    let mut shanghai = options();
    shanghai.time_zone = "Asia/Shanghai".parse().unwrap();
    let local: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![NANOS]));
    let rows = import_with("trades", vec![("symbol", text(&["X"])), ("ts", local)], &shanghai).unwrap().0;
    assert_eq!(rows, [format!("X {}", NANOS - 8 * 3_600_000_000_000)]);
    let date: ArrayRef = Arc::new(Date32Array::from(vec![18_631]));
    let time: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![43_200_000_000]));
    let rows = good("trades", vec![("symbol", text(&["X"])), ("date", date), ("time", time)]);
    assert_eq!(rows, ["X 1609761600000000000"]);
}

#[test]
fn texts_of_every_kind() {
    let one = |array: ArrayRef| {
        good("trades", vec![("symbol", array.clone()), ("ts", ints(&[NANOS])), ("venue", array)])
    };
    let dictionary: DictionaryArray<Int32Type> = vec!["X"].into_iter().collect();
    for array in [
        text(&["X"]),
        Arc::new(LargeStringArray::from(vec!["X"])),
        Arc::new(StringViewArray::from(vec!["X"])),
        Arc::new(BinaryArray::from(vec![b"X".as_slice()])),
        Arc::new(dictionary),
    ] {
        let kind = array.data_type().clone();
        assert_eq!(one(array), [format!("X {NANOS} venue=\"X\"")], "{kind}");
    }
    assert_eq!(one(ints(&[600_519])), [format!("600519 {NANOS} venue=\"600519\"")]);
}

#[test]
fn numbers_of_every_kind() {
    let one = |table: &str, column: &str, array: ArrayRef| {
        good(table, vec![("symbol", text(&["X"])), ("ts", ints(&[NANOS])), (column, array)])
    };
    for array in [
        Arc::new(Float64Array::from(vec![1.5])) as ArrayRef,
        Arc::new(Float32Array::from(vec![1.5])),
        Arc::new(Decimal128Array::from(vec![1500]).with_precision_and_scale(10, 3).unwrap()),
        text(&["1.5"]),
    ] {
        let kind = array.data_type().clone();
        assert_eq!(one("trades", "price", array.clone()), [format!("X {NANOS} price=1.5")], "{kind}");
        assert_eq!(one("balances", "balance", array), [format!("X {NANOS} balance=1500000000")], "{kind}");
    }
    for array in
        [Arc::new(Int32Array::from(vec![7])) as ArrayRef, ints(&[7]), Arc::new(UInt64Array::from(vec![7]))]
    {
        assert_eq!(one("trades", "price", array.clone()), [format!("X {NANOS} price=7")]);
        assert_eq!(one("trades", "trade_id", array.clone()), [format!("X {NANOS} trade_id=7")]);
        assert_eq!(one("bars", "trade_count", array), [format!("X {NANOS} trade_count=7")]);
    }
    assert_eq!(
        one("trades", "trade_id", Arc::new(UInt64Array::from(vec![u64::MAX]))),
        [format!("X {NANOS} trade_id=\"18446744073709551615\"")]
    );
    assert_eq!(
        one("trades", "isBuyerMaker", Arc::new(BooleanArray::from(vec![true]))),
        [format!("X {NANOS} side=sell")]
    );
    assert_eq!(
        one("book_deltas", "event_end", Arc::new(BooleanArray::from(vec![false]))),
        [format!("X {NANOS} event_end=false")]
    );
    assert_eq!(one("trades", "side", ints(&[2])), [format!("X {NANOS} side=sell")]);
}

#[test]
fn nulls_of_every_kind() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("symbol", text(&["X"])),
        ("ts", ints(&[NANOS])),
        ("recv_ts", Arc::new(TimestampNanosecondArray::from(vec![None::<i64>]))),
        ("price", Arc::new(Float64Array::from(vec![None::<f64>]))),
        ("size", Arc::new(Decimal128Array::from(vec![None::<i128>]))),
        ("side", Arc::new(StringArray::from(vec![None::<&str>]))),
        ("trade_id", Arc::new(UInt64Array::from(vec![None::<u64>]))),
        ("venue", Arc::new(StringViewArray::from(vec![None::<&str>]))),
        ("conditions", arrow::array::new_null_array(&DataType::Null, 1)),
    ];
    assert_eq!(good("trades", columns), [format!("X {NANOS}")]);
}

#[test]
fn lists_of_levels() {
    let field = |name: &str| Arc::new(Field::new(name, DataType::Float64, true));
    let levels = StructArray::from(vec![
        (field("price"), Arc::new(Float64Array::from(vec![10.0, 9.0, 8.0])) as ArrayRef),
        (field("size"), Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0])) as ArrayRef),
    ]);
    let item = Arc::new(Field::new("item", levels.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
    let list = ListArray::new(item, offsets, Arc::new(levels), None);
    let columns: Vec<(&str, ArrayRef)> =
        vec![("symbol", text(&["X"; 3])), ("ts", ints(&[NANOS; 3])), ("bids", Arc::new(list))];
    assert_eq!(
        good("book_snapshots", columns),
        [format!("X {NANOS} bids=[1@10 2@9]"), format!("X {NANOS} bids=[]"), format!("X {NANOS} bids=[3@8]")]
    );
}

#[test]
fn bad_values_are_refused_with_their_row() {
    let nan: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN]));
    let columns = vec![("symbol", text(&["X", "X"])), ("ts", ints(&[NANOS, NANOS])), ("px", nan)];
    let message = message(import_with("trades", columns.clone(), &options()));
    assert!(message.starts_with("f.parquet, row 2, column price (from px): \"NaN\""), "{message}");
    let mut lenient = options();
    lenient.nan_as_null = true;
    assert_eq!(import_with("trades", columns, &lenient).unwrap().0[1], format!("X {NANOS}"));
}

#[test]
fn a_type_that_no_column_can_hold_is_named() {
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]));
    let columns = vec![("symbol", text(&["X"])), ("ts", ints(&[NANOS])), ("price", list)];
    let message = message(import_with("trades", columns, &options()));
    assert!(message.contains("column price") && message.contains("cannot be read"), "{message}");
}

fn many() -> Vec<(&'static str, ArrayRef)> {
    let rows = 10_000_i64;
    let symbols: Vec<String> = (0..rows).map(|row| format!("S{}", row % 5)).collect();
    vec![
        ("symbol", Arc::new(StringArray::from(symbols)) as ArrayRef),
        ("ts", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| NANOS + row * row)))),
        (
            "price",
            Arc::new(Float64Array::from_iter_values((0..rows).map(|row| (row * 7919 % 1009) as f64 / 8.0))),
        ),
    ]
}

#[test]
fn every_compression() {
    let plain = import_named("trades", "f.parquet", parquet(many(), Compression::UNCOMPRESSED), &options())
        .unwrap()
        .0;
    assert_eq!(plain.len(), 10_000);
    for compression in [
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let rows = import_named("trades", "f", parquet(many(), compression), &options()).unwrap().0;
        assert!(rows == plain, "{compression}");
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let whole = parquet(many(), Compression::SNAPPY);
    for part in 0..16 {
        let cut = &whole[..whole.len() * part / 16];
        let failed = import_named("trades", "f.parquet", cut, &options());
        assert!(message(failed).contains("f.parquet"), "{part}");
    }
    // A damaged value cannot be told from a value; what matters is that every kind of damage ends as a result.
    for step in 0..300 {
        let mut damaged = whole.clone();
        let metadata = whole.len() - 1 - step * 31 % 2500;
        let at = if step % 2 == 0 { metadata } else { step * 7919 % whole.len() };
        damaged[at] ^= (step * 37 % 255 + 1) as u8;
        if let Err((_, failure)) = import_named("trades", "f.parquet", damaged, &options()) {
            assert!(failure.to_string().contains("f.parquet"), "{failure}");
        }
    }
}
