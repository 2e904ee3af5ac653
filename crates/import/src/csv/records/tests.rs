use std::io::{self, Read};

use proptest::prelude::*;

use super::*;

/// Gives its bytes in pieces, and then an error where there is one.
struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
    fails: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && self.fails {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (now, later) = self.bytes.split_at(self.piece.min(self.bytes.len()).min(buffer.len()));
        buffer[..now.len()].copy_from_slice(now);
        self.bytes = later;
        Ok(now.len())
    }
}

type Record = Result<(u64, Vec<String>), Malformed>;

fn records(text: &str) -> Vec<Record> {
    let mut records = Records::new(Pieces { bytes: text.as_bytes(), piece: 7, fails: false });
    let mut found = Vec::new();
    while let Some(record) = records.next().unwrap() {
        found.push(record.map(|()| (records.line(), fields(&records))));
    }
    found
}

fn fields<R: Read>(records: &Records<R>) -> Vec<String> {
    (0..records.field_count())
        .map(|at| String::from_utf8_lossy(records.field(at).unwrap().0).into_owned())
        .collect()
}

fn good(line: u64, fields: &[&str]) -> Record {
    Ok((line, fields.iter().map(|field| (*field).to_owned()).collect()))
}

#[test]
fn lines_end_in_lf_or_crlf_or_with_the_file() {
    assert_eq!(
        records("a,b\r\n1,\r\n\n\r\n,2"),
        [good(1, &["a", "b"]), good(2, &["1", ""]), good(5, &["", "2"])]
    );
    assert_eq!(records(""), []);
    assert_eq!(records("\n\n"), []);
    assert_eq!(records("a"), [good(1, &["a"])]);
}

#[test]
fn quotes_hide_delimiters_lines_and_doubled_quotes() {
    assert_eq!(
        records("\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\r\n\"\",5\" disk\n\"z\""),
        [good(1, &["a,b", "say \"x\"", "two\nlines"]), good(3, &["", "5\" disk"]), good(4, &["z"])]
    );
}

#[test]
fn what_cannot_be_split_costs_one_line() {
    assert_eq!(records("\"a\"b,c\nd\n"), [Err(Malformed::TextAfterQuote), good(2, &["d"])]);
    assert_eq!(records("a\nb,\"open\nc\n"), [good(1, &["a"]), Err(Malformed::OpenQuote), good(3, &["c"])]);
    let long = format!("a\n{}\nb\n", "x".repeat(RECORD_BYTES_MAX * 2));
    assert_eq!(records(&long), [good(1, &["a"]), Err(Malformed::TooLong), good(3, &["b"])]);
}

#[test]
fn a_quote_that_is_never_closed_does_not_swallow_the_file() {
    let text = format!("a,\"open\n{}", "1,2\n".repeat(RECORD_BYTES_MAX));
    let found = records(&text);
    assert_eq!(found[0], Err(Malformed::OpenQuote));
    assert_eq!(found.len(), 1 + RECORD_BYTES_MAX);
    assert_eq!(found[1], good(2, &["1", "2"]));
}

#[test]
fn a_read_that_fails_keeps_whole_lines_and_no_more() {
    let mut records = Records::new(Pieces { bytes: b"a,1\nb,2\nc,3", piece: 3, fails: true });
    assert!(matches!(records.next(), Ok(Some(Ok(())))));
    assert!(matches!(records.next(), Ok(Some(Ok(())))));
    assert_eq!(fields(&records), ["b", "2"]);
    assert!(records.next().is_err());
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        rows in prop::collection::vec(prop::collection::vec("[ab\",\n\r;]{0,6}", 1..5), 0..30),
        piece in 1_usize..40,
    ) {
        let text: String = rows
            .iter()
            .map(|row| {
                let fields: Vec<String> = row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
                fields.join(",") + "\n"
            })
            .collect();
        let mut records = Records::new(Pieces { bytes: text.as_bytes(), piece, fails: false });
        for row in &rows {
            prop_assert!(matches!(records.next(), Ok(Some(Ok(())))));
            prop_assert_eq!(&fields(&records), row);
        }
        prop_assert!(matches!(records.next(), Ok(None)));
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(prop::sample::select(b"a\",\n\r".to_vec()), 0..200)) {
        let mut records = Records::new(bytes.as_slice());
        while let Some(record) = records.next().unwrap() {
            let _ = record.map(|()| fields(&records));
        }
    }
}
