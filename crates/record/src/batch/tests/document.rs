//! `docs/format/batch.md` and the code say the same.

use std::fmt::Write;

use super::*;
use crate::model::records;
use crate::schema::ColumnKind;
use crate::{AlignedBytes, StandardTable};

const PAGE: &str = include_str!("../../../../../docs/format/batch.md");

/// The text between a line `<!-- name -->` and the next line `<!-- end -->`.
fn section(name: &str) -> &'static str {
    let (_, after) = PAGE.split_once(&format!("<!-- {name} -->\n")).expect("the page has the section");
    after.split_once("<!-- end -->").expect("the section ends").0.trim()
}

/// The bytes of the worked example: in each line an offset, the bytes, and a remark behind a semicolon.
fn example_bytes() -> AlignedBytes {
    let mut bytes = AlignedBytes::new();
    for line in section("example").lines().filter(|line| !line.starts_with("```")) {
        let (data, _) = line.split_once(';').unwrap_or((line, ""));
        let mut words = data.split_whitespace();
        let Some(offset) = words.next() else { continue };
        assert_eq!(usize::from_str_radix(offset, 16), Ok(bytes.len()), "{line}");
        for word in words {
            bytes.extend_from_slice(&[u8::from_str_radix(word, 16).unwrap()]);
        }
    }
    bytes
}

fn example() -> Batch {
    let mut batch = Batch::from_producer(Producer { id: 7, epoch: 1, batch_number: 42 });
    batch
        .push(Trade {
            symbol: "BINANCE.BTCUSDT",
            ts: 1_723_161_600_000_000_000,
            price: Some(61_800.2),
            size: Some(0.006),
            side: Some(Side::Buy),
            trade_id: Some(Id::Number(3_535_188_229)),
            venue: Some("BINANCE"),
            feed_seq: Some(9),
            ..Trade::default()
        })
        .unwrap();
    batch
        .push(BookDelta {
            symbol: "SHFE.cu2501",
            ts: 1_723_161_600_500_000_000,
            side: Some(BookSide::Ask),
            price: Some(74_320.0),
            size: Some(12.0),
            order_id: Some(Id::Text("A-17")),
            event_end: Some(true),
            recv_ts: Some(1_723_161_600_500_031_250),
            ..BookDelta::default()
        })
        .unwrap();
    batch
}

#[test]
fn the_worked_example_is_what_the_code_writes() {
    let encoded = example().encode();
    let mut shown = String::new();
    for (line, bytes) in encoded.bytes().chunks(16).enumerate() {
        let _ = write!(shown, "\n{:04x} ", line * 16);
        bytes.iter().for_each(|byte| write!(shown, " {byte:02x}").unwrap());
    }
    assert!(example_bytes()[..] == encoded.bytes()[..], "the code writes{shown}");
}

#[test]
fn the_worked_example_is_read_as_the_page_says() {
    let batch = EncodedBatch::check(example_bytes().into(), &Schemas::standard()).unwrap();
    assert_eq!(batch.producer(), Producer { id: 7, epoch: 1, batch_number: 42 });
    let [trade, delta] = records(&batch)[..] else { panic!("{batch:?}") };
    let trade = Record::<Trade>::new(trade).unwrap();
    assert_eq!(
        (trade.symbol(), trade.price(), trade.size()),
        ("BINANCE.BTCUSDT", Some(61_800.2), Some(0.006))
    );
    assert_eq!((trade.venue(), trade.conditions(), trade.recv_ts()), (Some("BINANCE"), None, None));
    assert_eq!((trade.trade_id(), trade.feed_seq()), (Some(Id::Number(3_535_188_229)), Some(9)));
    let delta = Record::<BookDelta>::new(delta).unwrap();
    assert_eq!(
        (delta.side(), delta.action(), delta.order_id()),
        (Some(BookSide::Ask), None, Some(Id::Text("A-17")))
    );
    assert_eq!((delta.event_end(), delta.snapshot(), delta.feed_seq()), (Some(true), None, None));
}

#[test]
fn the_slots_of_the_page_are_those_of_the_code() {
    let mut expected =
        String::from("| table | slots: offset `name` type | row bytes, alignment |\n|---|---|---|\n");
    for schema in Schemas::standard().iter() {
        let slots: Vec<String> = schema
            .columns
            .iter()
            .map(|column| match column.kind {
                ColumnKind::Flag { known, set } => {
                    format!("flags {known:#04x}, {set:#04x} `{}`", column.name)
                }
                kind => format!("{} `{}` {}", column.offset, column.name, type_name(kind)),
            })
            .collect();
        let (id, name, bytes, align) = (schema.id.0, &schema.name, schema.fixed_bytes, schema.row_align);
        let _ = writeln!(expected, "| {id} `{name}` | {} | {bytes}, {align} |", slots.join("; "));
    }
    assert!(section("slots") == expected.trim(), "the code says\n{expected}");
}

fn type_name(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Double => "double",
        ColumnKind::BigInt => "bigint",
        ColumnKind::Timestamp => "timestamp",
        ColumnKind::Date => "date",
        ColumnKind::Decimal => "decimal",
        ColumnKind::Text => "text",
        ColumnKind::Id => "id",
        ColumnKind::Word(_) => "word",
        ColumnKind::Levels => "levels",
        ColumnKind::Flag { .. } => "flag",
    }
}

#[test]
fn the_words_of_the_page_are_those_of_the_code() {
    let mut expected = String::from("| column | codes |\n|---|---|\n");
    for schema in Schemas::standard().iter() {
        for column in &schema.columns {
            if let ColumnKind::Word(words) = column.kind {
                let codes: Vec<String> =
                    words.words.iter().enumerate().map(|(at, word)| format!("{} `{word}`", at + 1)).collect();
                let _ = writeln!(expected, "| `{}.{}` | {} |", schema.name, column.name, codes.join(", "));
            }
        }
    }
    assert!(section("words") == expected.trim(), "the code says\n{expected}");
}

#[test]
fn the_nulls_of_the_page_are_those_of_the_code() {
    let row = <Trade<'_> as StandardTable>::schema().null_row();
    let shown: String = row.iter().map(|byte| format!("{byte:02x} ")).collect();
    assert!(
        section("null row").replace(['\n', '`'], " ").split_whitespace().eq(shown.split_whitespace()),
        "{shown}"
    );
}
