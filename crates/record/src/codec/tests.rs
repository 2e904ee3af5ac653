use proptest::prelude::*;

use super::*;
use crate::model;

#[derive(Clone, Debug)]
enum Field {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    I64(i64),
    U128(u128),
    Bytes(Vec<u8>),
    Text(String),
}

fn any_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        any::<u8>().prop_map(Field::U8),
        any::<u16>().prop_map(Field::U16),
        any::<u32>().prop_map(Field::U32),
        any::<u64>().prop_map(Field::U64),
        any::<i64>().prop_map(Field::I64),
        any::<u128>().prop_map(Field::U128),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Field::Bytes),
        "\\PC{0,12}".prop_map(Field::Text),
    ]
}

fn encode(fields: &[Field]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    for field in fields {
        match field {
            Field::U8(value) => encoder.u8(*value),
            Field::U16(value) => encoder.u16(*value),
            Field::U32(value) => encoder.u32(*value),
            Field::U64(value) => encoder.u64(*value),
            Field::I64(value) => encoder.i64(*value),
            Field::U128(value) => encoder.u128(*value),
            Field::Bytes(value) => encoder.bytes(value),
            Field::Text(value) => encoder.text(value),
        };
    }
    assert_eq!(encoder.len(), encoder.as_slice().len());
    assert_eq!(encoder.is_empty(), fields.is_empty());
    encoder.into_bytes()
}

/// Reads the fields back, each compared with what was written unless the bytes are damaged.
fn decode(fields: &[Field], bytes: &[u8], whole: bool) -> Result<(), DecodeError> {
    let mut decoder = Decoder::new(bytes);
    for field in fields {
        assert_eq!(decoder.offset() + decoder.remaining(), bytes.len());
        let same = match field {
            Field::U8(value) => decoder.u8()? == *value,
            Field::U16(value) => decoder.u16()? == *value,
            Field::U32(value) => decoder.u32()? == *value,
            Field::U64(value) => decoder.u64()? == *value,
            Field::I64(value) => decoder.i64()? == *value,
            Field::U128(value) => decoder.u128()? == *value,
            Field::Bytes(value) => decoder.bytes()? == value.as_slice(),
            Field::Text(value) => decoder.text()? == value.as_str(),
        };
        assert!(same || !whole);
    }
    decoder.finish()
}

proptest! {
    #![proptest_config(model::cases(200))]

    #[test]
    fn fields_come_back_in_order(fields in prop::collection::vec(any_field(), 0..12)) {
        prop_assert_eq!(decode(&fields, &encode(&fields), true), Ok(()));
    }

    #[test]
    fn every_truncation_and_every_byte_too_many_is_an_error(fields in prop::collection::vec(any_field(), 1..6)) {
        let mut bytes = encode(&fields);
        for cut in 0..bytes.len() {
            let error = decode(&fields, &bytes[..cut], true).unwrap_err();
            prop_assert!(error.offset <= cut);
        }
        bytes.push(0);
        let error = decode(&fields, &bytes, true).unwrap_err();
        prop_assert_eq!(error, DecodeError { offset: bytes.len() - 1, reason: "the end" });
    }

    #[test]
    fn random_bytes_do_no_harm(fields in prop::collection::vec(any_field(), 0..12), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&fields, &bytes, false);
    }
}

#[test]
fn a_count_is_bounded_by_the_bytes_that_follow() {
    let mut encoder = Encoder::new();
    encoder.u32(3).raw(&[0; 12]);
    let bytes = encoder.into_bytes();
    assert_eq!(Decoder::new(&bytes).count(4), Ok(3));
    let error = DecodeError { offset: 4, reason: "a count that fits into the bytes that follow" };
    assert_eq!(Decoder::new(&bytes).count(5), Err(error.clone()));
    assert_eq!(Decoder::new(&bytes).count(usize::MAX), Err(error));
    assert!(Decoder::new(&u32::MAX.to_le_bytes()).count(1).is_err());
    assert!(Decoder::new(&[1, 0, 0]).count(0).is_err());
}

#[test]
fn a_length_is_checked_before_anything_is_read() {
    let mut decoder = Decoder::new(&[0xff; 8]);
    assert_eq!(decoder.bytes(), Err(DecodeError { offset: 4, reason: "more bytes" }));
    assert_eq!(Decoder::new(&[1, 2]).raw(usize::MAX), Err(DecodeError { offset: 0, reason: "more bytes" }));
    let mut decoder = Decoder::new(&[1, 0, 0, 0, 0xff]);
    assert_eq!(decoder.text(), Err(DecodeError { offset: 0, reason: "UTF-8 text" }));
}

#[test]
fn bytes_are_little_endian() {
    let mut encoder = Encoder::new();
    encoder.u8(1).u16(2).u32(3).i64(-2).text("ab");
    let expected = [&[1, 2, 0, 3, 0, 0, 0, 0xfe][..], &[0xff; 7], &[2, 0, 0, 0], b"ab"].concat();
    assert_eq!(encoder.as_slice(), expected);
}

#[test]
fn the_checksum_is_crc_32c() {
    assert_eq!(crate::crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crate::crc32c(b""), 0);
    let mut pieces = crate::Crc32c::seeded(b"123");
    pieces.update(b"456");
    pieces.update(b"789");
    assert_eq!(pieces.finish(), 0xe306_9283);
}
