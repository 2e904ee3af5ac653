//! Bytes that no writer of ours wrote.

use std::hint::black_box;

use super::*;
use crate::batch::header::CRC_COVERS_FROM;
use crate::model::{self, records};
use crate::record::Value;
use crate::{AlignedBytes, Balance, BookSnapshot, SharedBytes, crc32c};

/// Two rows of every table, one with something in every column.
fn every_table() -> EncodedBatch {
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::new(model::cases(1));
    let mut batch = Batch::from_producer(Producer { id: 1, epoch: 2, batch_number: 3 });
    for schema in Schemas::standard().iter() {
        for _ in 0..2 {
            let row = model::any_row(schema).new_tree(&mut runner).unwrap().current();
            row.push(&mut batch, schema).unwrap();
        }
    }
    batch.encode()
}

fn with_checksum(mut bytes: AlignedBytes) -> SharedBytes {
    if bytes.len() >= CRC_COVERS_FROM {
        let crc = crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    }
    bytes.into()
}

/// Reads every value in every way.
struct Reader {
    schemas: Schemas,
    #[cfg(feature = "arrow")]
    projections: Vec<crate::projection::Projection>,
}

impl Reader {
    fn new() -> Self {
        let schemas = Schemas::standard();
        #[cfg(feature = "arrow")]
        let projections = schemas
            .iter()
            .map(|schema| {
                let columns: Vec<usize> = (0..schema.columns.len() + 5).collect();
                crate::projection::Projection::new(schema, &columns)
            })
            .collect();
        Self {
            schemas,
            #[cfg(feature = "arrow")]
            projections,
        }
    }

    /// Returns whether the bytes passed the complete check.
    fn read_everything(&mut self, bytes: &SharedBytes) -> bool {
        let schemas = &self.schemas;
        let checked = EncodedBatch::check(bytes.clone(), schemas);
        let Ok(batch) = EncodedBatch::from_log(bytes.clone()) else {
            assert!(checked.is_err(), "what the log refuses, the complete check refuses");
            return false;
        };
        for (row, record) in records(&batch).into_iter().enumerate() {
            let Some(schema) = schemas.get(batch.row_header(row).table) else { continue };
            for column in 0..schema.columns.len() {
                if let Value::Levels(levels) = record.value(schema, column) {
                    black_box(levels.iter().count());
                }
                black_box(record.id(schema, column));
            }
            // As tables that the row may not be of, too.
            black_box(
                Record::<Trade>::new(record)
                    .as_ref()
                    .map(|trade| (trade.price(), trade.venue(), trade.trade_id())),
            );
            black_box(
                Record::<BookSnapshot>::new(record)
                    .as_ref()
                    .and_then(|book| book.bids())
                    .map(|bids| bids.len()),
            );
            black_box(
                Record::<Balance>::new(record).as_ref().map(|balance| (balance.account(), balance.frozen())),
            );
            #[cfg(feature = "arrow")]
            self.projections[usize::from(schema.id.0) - 1].append(&[record]);
        }
        #[cfg(feature = "arrow")]
        for projection in &mut self.projections {
            if !projection.is_empty() {
                black_box(projection.finish());
            }
        }
        checked.is_ok()
    }
}

#[test]
fn every_flipped_bit_is_found_by_the_checksum() {
    let batch = every_table();
    let schemas = Schemas::standard();
    for bit in 0..batch.bytes().len() * 8 {
        let mut bytes = AlignedBytes::from(&**batch.bytes());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let bytes = SharedBytes::from(bytes);
        let error = EncodedBatch::check(bytes.clone(), &schemas).unwrap_err();
        assert_eq!(EncodedBatch::from_log(bytes).unwrap_err(), error);
        let at = bit / 8;
        match error {
            BatchError::NotABatch { .. } => assert!(at < 4),
            BatchError::UnknownFormat { .. } => assert!((8..10).contains(&at)),
            BatchError::Length { .. } => assert!((12..16).contains(&at)),
            BatchError::Checksum { .. } => {}
            other => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn damage_under_a_right_checksum_is_refused_or_harmless() {
    let mut reader = Reader::new();
    let batch = every_table();
    let header = *batch.header();
    let mut passed = 0;
    for at in CRC_COVERS_FROM..batch.bytes().len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut bytes = AlignedBytes::from(&**batch.bytes());
            bytes[at] ^= mask;
            let ok = reader.read_everything(&with_checksum(bytes));
            passed += usize::from(ok);
            // Format, lengths, places and reserved bytes have one right value each.
            let one_value = at < 32 || (44..48).contains(&at) || (56..64).contains(&at);
            assert!(!(ok && one_value), "byte {at} ^ {mask:#x} was not noticed");
        }
    }
    assert!(passed > 0, "a changed price is a price");
    assert_eq!(header.length as usize, batch.bytes().len());
}

#[test]
fn every_truncation_is_refused() {
    let mut reader = Reader::new();
    let batch = every_table();
    let length = batch.bytes().len();
    for cut in 0..length {
        let mut bytes = AlignedBytes::from(&batch.bytes()[..cut]);
        assert!(EncodedBatch::check(bytes.clone().into(), &Schemas::standard()).is_err());
        // Even where length and checksum are made to fit.
        if cut >= 64 {
            bytes[12..16].copy_from_slice(&(cut as u32).to_le_bytes());
        }
        assert!(!reader.read_everything(&with_checksum(bytes)), "cut at {cut}");
    }
    let mut longer = AlignedBytes::from(&**batch.bytes());
    longer.resize(length + 16);
    longer[12..16].copy_from_slice(&(length as u32 + 16).to_le_bytes());
    assert!(!reader.read_everything(&with_checksum(longer)));
    let mut huge = AlignedBytes::zeroed(BATCH_BYTES_MAX + 16);
    huge[..64].copy_from_slice(&batch.bytes()[..64]);
    huge[12..16].copy_from_slice(&(BATCH_BYTES_MAX as u32 + 16).to_le_bytes());
    let error = EncodedBatch::check(with_checksum(huge), &Schemas::standard()).unwrap_err();
    assert!(matches!(error, BatchError::Length { .. }));
}

#[test]
fn random_bytes_do_no_harm() {
    let mut reader = Reader::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let batch = every_table();
    for round in 0..2_000 {
        // Pure noise first, then noise behind a header that is right, then a few words of noise anywhere.
        let mut bytes = AlignedBytes::from(&**batch.bytes());
        let from = [0, 64, bytes.len()][round % 3];
        for at in from..bytes.len() {
            bytes[at] = next() as u8;
        }
        for _ in 0..round % 5 {
            let at = 16 + next() as usize % (bytes.len() - 24);
            let word = if next() & 1 == 0 { next() } else { u64::MAX >> (next() % 64) };
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        if round % 2 == 0 {
            bytes[..4].copy_from_slice(b"TBKB");
        }
        reader.read_everything(&with_checksum(bytes));
    }
}

/// One rule of the check, broken by hand: where, what is written there, and what is said about it.
#[test]
fn what_a_writer_of_ours_never_writes_is_refused() {
    let mut batch = Batch::new();
    let trade = Trade { symbol: "AB", ts: 0, price: Some(1.0), venue: Some("venue"), ..Trade::default() };
    let trade = Trade { bid_order_id: Some(Id::Text("x7")), feed_seq: Some(3), ..trade };
    batch.push(trade).unwrap();
    batch.push(Trade { symbol: "CD", feed_seq: None, ..trade }).unwrap();
    batch.push(BookDelta { symbol: "AB", event_end: Some(true), ..BookDelta::default() }).unwrap();
    let encoded = batch.encode();
    let headers = encoded.header().row_headers_offset as usize;
    let rows = encoded.header().rows_offset as usize;
    let (first, second, third) = (headers, headers + 40, headers + 80);
    let third_row = encoded.row_header(2).offset as usize;
    let nan = f64::NAN.to_bits() | 1;
    let cases: &[(usize, &[u8], &str)] = &[
        (10, &[1], "a flag or reserved field"),
        (44, &[1], "a flag or reserved field"),
        (63, &[1], "a flag or reserved field"),
        (20, &[200], "the dictionary of symbols is cut off"),
        (20, &[1], "bytes between dictionary and row headers"),
        (65, b"\n", "has a control character"),
        (65, &[0xff], "a symbol that is not UTF-8"),
        (68, b"AB", "a symbol stands twice"),
        (first, &[99], "its table is not known"),
        (first + 2, &[2], "its layout version is not known"),
        (first + 2, &[0], "its layout version is not known"),
        (first + 4, &[2], "a symbol that the dictionary does not have"),
        (first + 32, &[rows as u8 + 16], "rows do not follow each other"),
        (first + 39, &[0x81], "flags that are not known"),
        (first + 39, &[0x01 | 0x0a], "flags that its table does not have"),
        (second + 24, &[1], "a feed_seq that its flags deny"),
        (third + 39, &[0x02], "a flag is set that is not known"),
        (rows, &nan.to_le_bytes(), "not a finite number"),
        (rows, &f64::INFINITY.to_bits().to_le_bytes(), "not a finite number"),
        (rows + 16, &[3], "a code without a word"),
        (rows + 32, &[0, 0, 0, 0], "a length without a place"),
        (rows + 32, &[8, 0, 0, 0], "inside the fixed part"),
        (rows + 36, &[255, 255, 255, 255], "outside the row"),
        (third_row, &[9], "a code without a word"),
    ];
    for (at, bytes, expected) in cases {
        let mut damaged = AlignedBytes::from(&**encoded.bytes());
        damaged[*at..*at + bytes.len()].copy_from_slice(bytes);
        let error =
            EncodedBatch::check(with_checksum(damaged), &Schemas::standard()).unwrap_err().to_string();
        assert!(error.contains(expected), "byte {at} = {bytes:?}: {error}");
    }
}

/// A number spelled as text would be a second encoding of one id.
#[test]
fn a_number_written_as_text_is_refused() {
    let mut batch = Batch::new();
    batch.push(Trade { symbol: "X", trade_id: Some(Id::Text("x7")), ..Trade::default() }).unwrap();
    let encoded = batch.encode();
    let row = encoded.row_header(0);
    let text = encoded.row(&row).windows(2).position(|bytes| bytes == b"x7").unwrap() + row.offset as usize;
    let mut bytes = AlignedBytes::from(&**encoded.bytes());
    bytes[text] = b'1';
    let error = EncodedBatch::check(with_checksum(bytes), &Schemas::standard()).unwrap_err();
    assert_eq!(error.to_string(), "batch, row 0, column trade_id: a number written as text");
}
