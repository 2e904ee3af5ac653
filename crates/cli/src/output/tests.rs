//! What each form looks like, byte for byte.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, ListArray, RecordBatch, StringViewArray, StructArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};

use super::*;

/// Two rows: one with a value of every kind that has a pitfall, one of NULLs and empty texts.
fn batch() -> RecordBatch {
    let level = Fields::from(vec![Field::new("price", DataType::Float64, true)]);
    let levels =
        StructArray::new(level.clone(), vec![Arc::new(Float64Array::from(vec![1.5, 2.0])) as ArrayRef], None);
    let item = Arc::new(Field::new_list_field(DataType::Struct(level), true));
    let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 0]), Arc::new(levels), None);
    let times =
        TimestampNanosecondArray::from(vec![Some(1_723_161_600_000_000_001), None]).with_timezone("UTC");
    let money =
        Decimal128Array::from(vec![Some(-1_500_000_001), None]).with_precision_and_scale(38, 9).unwrap();
    RecordBatch::try_from_iter_with_nullable([
        ("ts", Arc::new(times) as ArrayRef, true),
        ("text", Arc::new(StringViewArray::from(vec![Some("a,\"b\"\né"), Some("")])) as _, true),
        ("price", Arc::new(Float64Array::from(vec![Some(61_800.2), None])) as _, true),
        ("seq", Arc::new(UInt64Array::from(vec![u64::MAX, 0])) as _, true),
        ("money", Arc::new(money) as _, true),
        ("bids", Arc::new(lists) as _, true),
    ])
    .unwrap()
}

fn text(begin: impl Fn(Destination) -> Box<dyn ResultWriter>, batches: &[RecordBatch]) -> String {
    let mut writer = begin(Destination::Memory(Vec::new()));
    for batch in batches {
        writer.write(batch).unwrap();
    }
    match writer.finish().unwrap() {
        Destination::Memory(bytes) => String::from_utf8(bytes).unwrap(),
        _ => unreachable!("it was given memory"),
    }
}

fn csv(out: Destination) -> Box<dyn ResultWriter> {
    Box::new(csv::CsvWriter::begin(out, &batch().schema()).unwrap())
}

fn json(out: Destination) -> Box<dyn ResultWriter> {
    Box::new(json::JsonWriter::array(out))
}

fn lines(out: Destination) -> Box<dyn ResultWriter> {
    Box::new(json::JsonWriter::lines(out))
}

fn table(width: Option<usize>) -> impl Fn(Destination) -> Box<dyn ResultWriter> {
    move |out| Box::new(table::TableWriter::with_width(out, &batch().schema(), width))
}

#[test]
fn csv_quotes_what_it_must_and_tells_null_from_empty() {
    let expected = "ts,text,price,seq,money,bids\n\
        2024-08-09T00:00:00.000000001Z,\"a,\"\"b\"\"\né\",61800.2,18446744073709551615,-1.500000001,\
        \"[{\"\"price\"\":1.5},{\"\"price\"\":2.0}]\"\n\
        ,\"\",,0,,[]\n";
    assert_eq!(text(csv, &[batch()]), expected);
    assert_eq!(text(csv, &[]), "ts,text,price,seq,money,bids\n");
}

#[test]
fn json_is_one_array_or_one_object_a_line() {
    let first = "{\"ts\":\"2024-08-09T00:00:00.000000001Z\",\"text\":\"a,\\\"b\\\"\\né\",\"price\":61800.2,\
        \"seq\":18446744073709551615,\"money\":-1.500000001,\"bids\":[{\"price\":1.5},{\"price\":2.0}]}";
    let second = "{\"ts\":null,\"text\":\"\",\"price\":null,\"seq\":0,\"money\":null,\"bids\":[]}";
    assert_eq!(text(json, &[batch()]), format!("[{first},\n{second}]\n"));
    assert_eq!(text(json, &[batch(), batch()]).matches(",\n").count(), 3);
    assert_eq!(text(json, &[]), "[]\n");
    assert_eq!(text(lines, &[batch()]), format!("{first}\n{second}\n"));
    assert_eq!(text(lines, &[]), "");
}

#[test]
fn a_table_is_whole_in_a_pipe() {
    let batch = batch().project(&[1, 2, 3]).unwrap();
    let begin = |out| -> Box<dyn ResultWriter> {
        Box::new(table::TableWriter::with_width(out, &batch.schema(), None))
    };
    let expected = concat!(
        " text     |   price |                  seq\n",
        "----------+---------+----------------------\n",
        " a,\"b\"\\né | 61800.2 | 18446744073709551615\n",
        "          |         |                    0\n",
    );
    assert_eq!(text(begin, std::slice::from_ref(&batch)), expected);
}

#[test]
fn a_table_on_a_terminal_fits_its_lines_and_keeps_numbers() {
    let shown = text(table(Some(110)), &[batch()]);
    for line in shown.lines() {
        assert!(console::measure_text_width(line) <= 110, "{line}");
    }
    assert!(
        shown.contains("18446744073709551615") && shown.contains("-1.500000001") && shown.contains('…'),
        "{shown}"
    );
}

#[test]
fn rows_beyond_those_that_settle_the_widths_are_written_as_they_come() {
    let batches = vec![batch(); 600];
    let shown = text(table(None), &batches);
    assert_eq!(shown.lines().count(), 2 + 2 * 600);
}

#[test]
fn names_of_files_say_the_form() {
    let format = |name: &str| OutputArgs { format: None, output: Some(name.into()) }.format();
    assert_eq!(format("a.CSV"), Format::Csv);
    assert_eq!(format("a.b.parquet"), Format::Parquet);
    assert_eq!(format("a"), Format::Table);
}
