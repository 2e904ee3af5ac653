//! Every kind of bad input gives a message with its place, and never a wrong row.

use crate::formats::{gz, zip};
use crate::rows::{import_named, import_path, import_text, message, options, refused};
use tapebook_import::{DateOption, ImportError, OnError, TimeUnit};
use tapebook_record::Schemas;

const TS: &str = "1609761600000";

fn refused_value(table: &str, column: &str, value: &str) -> String {
    refused(table, format!("symbol,ts,{column}\nX,{TS},\nX,{TS},{value}\n"), &options())
}

#[test]
fn values_are_refused_with_file_row_column_and_value() {
    assert_eq!(
        refused_value("trades", "px", "abc"),
        "f.csv, row 3, column price (from px): \"abc\" is not a number"
    );
    for (table, column, value, part) in [
        ("trades", "price", "NaN", "is not a finite number"),
        ("trades", "price", "-inf", "is not a finite number"),
        ("trades", "price", "1e999", "is not a finite number"),
        ("trades", "price", "\"1,000\"", "is not a number"),
        ("trades", "price", "0x10", "is not a number"),
        ("trades", "side", "up", "is none of buy, sell"),
        ("trades", "feed_seq", "-1", "is no whole number from 0 on"),
        ("trades", "feed_seq", "1.5", "is no whole number from 0 on"),
        ("trades", "recv_ts", "soon", "is no time"),
        ("book_deltas", "event_end", "maybe", "is neither true nor false"),
        ("balances", "balance", "0.0000000001", "more than nine places"),
        ("balances", "balance", "1000000000000000000000000000000", "out of range"),
        ("balances", "balance", "one", "is not a number"),
        ("bars", "trade_count", "1.5", "whole number"),
        ("bars", "trade_count", "9223372036854775808", "whole number"),
        ("bars", "trade_count", "-9223372036854775808", "out of range"),
        ("ticks", "trading_day", "2021-02-30", "is no date"),
        ("instruments", "expiry", "12:00:00", "without a date"),
    ] {
        let message = refused_value(table, column, value);
        assert!(message.starts_with(&format!("f.csv, row 3, column {column}")), "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn rows_without_symbol_or_time_are_refused() {
    let one = |symbol: &str, ts: &str| refused("trades", format!("symbol,ts\n{symbol},{ts}\n"), &options());
    assert!(one("", TS).contains("column symbol"));
    assert!(one("X", "").contains("column ts"));
    assert!(one(&"x".repeat(65), TS).contains("at most 64"));
    assert!(one("a\u{7}b", TS).contains("control character"));
    assert!(one("X", "2031-01-02T00:00:00Z").contains("in the future"));
    assert!(one("X", "9:30").contains("--date"));
    assert!(one("X", "3000-01-01").contains("1677 to 2262"));
    let mut far = options();
    far.latest_ts = None;
    assert!(import_text("trades", "symbol,ts\nX,2231-01-02T00:00:00Z\n", &far).is_ok());
    let bytes = [b"symbol,ts\n".as_slice(), b"\xba\xe3,1609761600000\n"].concat();
    assert!(refused("trades", bytes, &options()).contains("is not UTF-8"));
}

#[test]
fn a_row_that_is_too_long_is_refused() {
    let text = format!("symbol,ts,venue\nX,{TS},{}\n", "v".repeat(70_000));
    assert!(refused("trades", text, &options()).contains("the row has"));
    let text = format!("symbol,ts,venue\nX,{TS},{}\nX,{TS},ok\n", "v".repeat(3_000_000));
    let mut skip = options();
    skip.on_error = OnError::Skip;
    let (rows, report) = import_text("trades", text, &skip).unwrap();
    assert_eq!((rows.len(), report.rows_skipped), (1, 1));
    assert!(report.first_errors[0].contains("row 2"), "{:?}", report.first_errors);
}

#[test]
fn broken_lines_are_refused() {
    let one = |line: &str| refused("trades", format!("symbol,ts,price\n{line}"), &options());
    assert_eq!(
        one(&format!("X,{TS}")),
        "f.csv, row 2: the line has 2 fields, 3 are expected: it is cut off or broken"
    );
    assert!(one(&format!("X,{TS},1,2\n")).contains("4 fields"));
    assert!(one(&format!("\"X,{TS},1\n")).contains("never closed"));
    assert!(one(&format!("\"X\"Y,{TS},1\n")).contains("closing quote"));
}

#[test]
fn stop_hands_out_what_came_before() {
    let text = format!("symbol,ts,price\nX,{TS},1\nX,{TS},bad\nX,{TS},3\n");
    let (rows, failure) = import_text("trades", text, &options()).unwrap_err();
    assert_eq!(rows.len(), 1);
    assert_eq!((failure.report.rows_read, failure.report.rows_imported), (2, 1));
    assert!(matches!(failure.error, ImportError::Row(_)));
}

#[test]
fn skip_counts_and_keeps_the_first_messages() {
    let mut skip = options();
    skip.on_error = OnError::Skip;
    let text: String =
        (0..20).map(|row| format!("X,{TS},{}\n", if row % 2 == 0 { "1" } else { "bad" })).collect();
    let (rows, report) = import_text("trades", format!("symbol,ts,price\n{text}X,{TS}"), &skip).unwrap();
    assert_eq!((rows.len(), report.rows_read, report.rows_skipped), (10, 21, 11));
    assert_eq!(report.first_errors.len(), tapebook_import::FIRST_ERRORS_MAX);
    assert!(report.first_errors[0].contains("row 3, column price"), "{}", report.first_errors[0]);
}

#[test]
fn a_sink_that_refuses_ends_the_import() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.csv");
    std::fs::write(&path, format!("symbol,ts\n{}", format!("X,{TS}\n").repeat(10))).unwrap();
    let schemas = tapebook_record::Schemas::standard();
    let mut given = options();
    given.batch_rows = 4;
    let mut taken = 0;
    let mut sink = |_: tapebook_record::Batch| {
        taken += 1;
        if taken == 2 { Err("the disk is full".into()) } else { Ok(()) }
    };
    let failure = tapebook_import::import_file(
        &path,
        schemas.by_name("trades").unwrap(),
        &given,
        &mut sink,
        &mut |_| (),
    )
    .unwrap_err();
    assert_eq!(failure.to_string(), "the disk is full");
    assert_eq!((taken, failure.report.rows_imported), (2, 4));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let message = message(import_path("trades", std::path::Path::new("/nowhere/f.csv"), &options()));
    assert!(message.starts_with("f.csv: "), "{message}");
}

#[test]
fn cut_off_files_give_their_whole_rows_and_an_error() {
    let rows = 20_000;
    let text: String = std::iter::once("symbol,ts,price\n".to_owned())
        .chain(
            (0..rows)
                .map(|row| format!("X,{},{}\n", 1_609_761_600_000_i64 + row * 977, row * 7919 % 1_000_003)),
        )
        .collect();
    let whole: Vec<String> = import_text("trades", &text, &options()).unwrap().0;
    let packed = [("f.csv.gz", gz(&text)), ("f.csv.zst", zstd::encode_all(text.as_bytes(), 3).unwrap())];
    for (name, bytes) in &packed {
        for part in 1..16 {
            let cut = &bytes[..bytes.len() * part / 16];
            let (rows, failure) = import_named("trades", name, cut, &options()).unwrap_err();
            assert_eq!(rows[..], whole[..rows.len()], "{name} {part}");
            let message = failure.to_string();
            assert!(message.contains(name) && message.contains("cut short"), "{message}");
            assert!(part < 8 || !rows.is_empty(), "{name} {part}");
        }
    }
    let archive = zip(&[("a.csv", text.clone().into_bytes())]);
    for part in 1..16 {
        let failed = import_named("trades", "f.zip", &archive[..archive.len() * part / 16], &options());
        assert!(message(failed).contains("f.zip"));
    }
}

#[test]
fn a_flipped_bit_is_found_at_the_latest_by_the_checksum() {
    let text = format!("symbol,ts\n{}", format!("X,{TS}\n").repeat(1000));
    let archive = zip(&[("a.csv", text.clone().into_bytes())]);
    let packed = [("f.zip", archive), ("f.csv.gz", gz(&text))];
    for (name, bytes) in packed {
        let mut flipped = bytes;
        let at = if name == "f.zip" { 50 } else { 30 };
        flipped[at] ^= 0x10;
        assert!(message(import_named("trades", name, flipped, &options())).starts_with(name));
    }
}

#[test]
fn a_checksum_that_is_wrong_is_found() {
    let text = format!("symbol,ts\n{}", format!("X,{TS}\n").repeat(100));
    let mut bytes = gz(&text);
    let at = bytes.len() - 6;
    bytes[at] ^= 1;
    assert!(message(import_named("trades", "f.csv.gz", bytes, &options())).contains("damaged"));
}

/// One name of each was searched for among all the others: a header of one megabyte took minutes.
#[test]
fn a_header_of_very_many_columns_costs_no_more_than_its_length() {
    let names: Vec<String> = (0..120_000).map(|at| format!("c{at}")).collect();
    // A name that stands twice is told once.
    let text = format!("symbol,ts,{},c7\nX,{TS}{}\n", names.join(","), ",".repeat(names.len() + 1));
    let (rows, report) = import_text("trades", text, &options()).unwrap();
    assert_eq!((rows.len(), report.unplaced_columns), (1, names));

    let levels: Vec<String> = (1..=30_000).map(|at| format!("bid_price{at},bid_size{at}")).collect();
    let text = format!("symbol,ts,{}\nX,{TS}{}\n", levels.join(","), ",".repeat(2 * levels.len()));
    let (rows, _) = import_text("book_snapshots", text, &options()).unwrap();
    assert_eq!(rows.len(), 1);
}

/// Texts that are nearly right, for every table: rows that a server takes, or a message; `import_text` looks at both.
#[test]
fn no_text_does_more_than_give_rows_or_a_message() {
    const PIECES: [&str; 48] = [
        "symbol",
        "ts",
        "recv_ts",
        "feed_seq",
        "price",
        "size",
        "side",
        "trade_id",
        "account",
        "bids",
        "asks",
        "event_end",
        "period",
        "balance",
        "trading_day",
        "expiry",
        "date",
        "time",
        "X",
        "BINANCE.BTCUSDT",
        "buy",
        "bid",
        "true",
        "NULL",
        "nan",
        "-inf",
        "1e999",
        "0.0000000001",
        "1609761600000",
        "1609761600.5",
        "20210104",
        "20210104093000123",
        "2021-01-04T12:00:00Z",
        "2024-03-10 02:30",
        "09:30:00.1",
        "93000123",
        "-1",
        "000001",
        "9223372036854775808",
        "-9223372036854775808",
        "170141183460469231731687303715884105727",
        "[[1, 2]]",
        "\"",
        "\"\"",
        " ",
        "\r",
        "é",
        "\u{feff}",
    ];
    let mut state = 0x7461_7065_626f_6f6b_u64;
    let mut below = move |bound: usize| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as usize % bound
    };
    let schemas = Schemas::standard();
    let (mut taken, mut refused) = (0, 0);
    for round in 0..4_000 {
        let schema = schemas.iter().nth(round % 12).unwrap();
        let mut given = options();
        given.on_error = if below(4) > 0 { OnError::Skip } else { OnError::Stop };
        given.symbol = (below(2) == 0).then(|| "X".to_owned());
        given.date = (below(4) == 0).then_some(DateOption::Day(18_631));
        given.time_unit = (below(4) == 0).then_some(TimeUnit::Microsecond);
        given.nan_as_null = below(2) == 0;
        given.batch_rows = 1 + below(5);
        let width = 1 + below(6);
        let mut text = "symbol,ts".to_owned();
        for column in schema.columns.iter().cycle().skip(below(9)).take(width) {
            text += &format!(",{}", column.name);
        }
        for _ in 0..below(6) {
            text += ["\n", "\r\n"][below(2)];
            text += &format!("X,{}", ["1609761600000", "20210104", "12:00", ""][below(4)]);
            for _ in 0..if below(8) == 0 { below(9) } else { width } {
                text += [",", ",", ",", ";"][below(4)];
                for _ in 0..below(3) {
                    text += PIECES[below(PIECES.len())];
                }
            }
        }
        let mut bytes = text.into_bytes();
        if below(3) == 0 {
            let at = below(bytes.len());
            bytes[at] = below(256) as u8;
        }
        match import_text(&schema.name, bytes, &given) {
            Ok((rows, _)) => taken += rows.len(),
            Err((_, failure)) => refused += usize::from(!failure.to_string().is_empty()),
        }
    }
    assert!(taken > 100 && refused > 500, "{taken} rows, {refused} messages");
}
