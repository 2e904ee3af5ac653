//! What a file may look like from outside.

use std::io::Write;

use crate::rows::{good, import_named, import_path, import_text, message, options, refused};

const TEXT: &str = "symbol,ts,price\nX,1609761600000,1\nX,1609761600001,2\n";
const ROWS: [&str; 2] = ["X 1609761600000000000 price=1", "X 1609761600001000000 price=2"];

pub(crate) fn gz(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

pub(crate) fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        if name.ends_with('/') {
            writer.add_directory(*name, zip::write::SimpleFileOptions::default()).unwrap();
        } else {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn delimiters_line_ends_and_byte_order_marks() {
    assert_eq!(good("trades", TEXT, &options()), ROWS);
    for delimiter in [";", "\t", "|"] {
        assert_eq!(good("trades", TEXT.replace(',', delimiter), &options()), ROWS, "{delimiter:?}");
    }
    assert_eq!(good("trades", TEXT.replace('\n', "\r\n"), &options()), ROWS);
    assert_eq!(good("trades", format!("\u{feff}{TEXT}"), &options()), ROWS);
    assert_eq!(good("trades", TEXT.trim_end(), &options()), ROWS);
    let mut colons = options();
    colons.delimiter = Some(b':');
    assert_eq!(good("trades", TEXT.replace(',', ":"), &colons), ROWS);
    let quoted = "\"symbol\",\"ts\",\"price\"\n\"X\",\"1609761600000\",\"1\"\n";
    assert_eq!(good("trades", quoted, &options()), ROWS[..1]);
    assert_eq!(good("trades", TEXT.replace("1\n", "1,\n"), &options()), ROWS);
    assert_eq!(good("trades", "symbol,ts,price\n", &options()), [""; 0]);
    assert_eq!(good("trades", "", &options()), [""; 0]);
}

#[test]
fn files_without_a_header() {
    let data = "X,1609761600000,1\nX,1609761600001,2\n";
    let message = refused("trades", data, &options());
    assert!(message.contains("--columns") && message.contains("X,1609761600000,1"), "{message}");
    let mut named = options();
    named.columns = Some(["symbol", "ts", "price"].map(str::to_owned).to_vec());
    assert_eq!(good("trades", data, &named), ROWS);
}

#[test]
fn gzip_of_several_members_and_zstd_of_several_frames() {
    let (head, tail) = TEXT.split_at(20);
    let gz = [gz(head), gz(tail)].concat();
    let zst = [head, tail].map(|part| zstd::encode_all(part.as_bytes(), 1).unwrap()).concat();
    for (name, bytes) in [("f.csv.gz", &gz), ("f.csv.zst", &zst), ("f.csv", &gz), ("f", &zst)] {
        assert_eq!(import_named("trades", name, bytes, &options()).unwrap().0, ROWS, "{name}");
    }
    assert_eq!(import_named("trades", "f.csv.gz", TEXT, &options()).unwrap().0, ROWS);
}

#[test]
fn every_file_in_an_archive_in_order() {
    let second = "ts;symbol;price;extra\n1609761600001;X;2;0\n";
    let archive = zip(&[
        ("d/", Vec::new()),
        ("d/20210104.csv", TEXT.replace("X,1609761600001,2\n", "").into_bytes()),
        ("__MACOSX/d/._20210104.csv", vec![0, 5, 22, 7]),
        ("empty.csv", Vec::new()),
        ("z.csv.gz", gz(second)),
    ]);
    let (rows, report) = import_named("trades", "f.zip", archive, &options()).unwrap();
    assert_eq!(rows, ROWS);
    assert_eq!(report.unplaced_columns, ["extra"]);
    assert_eq!(import_named("trades", "f.zip", zip(&[]), &options()).unwrap().1.rows_read, 0);
    let nested = zip(&[("a.zip", zip(&[]))]);
    assert!(message(import_named("trades", "f.zip", nested, &options())).contains("unpack it first"));
}

#[test]
fn the_day_in_the_name() {
    let mut named = options();
    named.date = Some("name".parse().unwrap());
    named.time_unit = Some("ms".parse().unwrap());
    named.time_zone = "UTC-05".parse().unwrap();
    named.symbol = Some("FXCM.EURUSD".into());
    named.columns = Some(["ts", "bid_price", "ask_price"].map(str::to_owned).to_vec());
    let data = "43200000,1.5,1.6\r\n";
    let rows = ["FXCM.EURUSD 1398963600000000000 bid_price=1.5 ask_price=1.6"];
    let member = zip(&[("20140501_eurusd.csv", data.as_bytes().to_vec())]);
    assert_eq!(import_named("quotes", "20200101.zip", member, &named).unwrap().0, rows);
    let archive = zip(&[("eurusd.csv", data.as_bytes().to_vec())]);
    assert_eq!(import_named("quotes", "x-2014-05-01.zip", archive, &named).unwrap().0, rows);
    let message = message(import_named("quotes", "f.csv", data, &named));
    assert!(message.contains("--date YYYY-MM-DD"), "{message}");
    named.date = Some("2014-05-01".parse().unwrap());
    assert_eq!(import_named("quotes", "f.csv", data, &named).unwrap().0, rows);
}

#[test]
fn batches_end_where_they_are_told_to_or_are_full() {
    let text: String = std::iter::once("symbol,ts,venue\n".to_owned())
        .chain(
            (0..5000)
                .map(|row| format!("S{},{},{}\n", row % 7, 1_609_761_600_000_i64 + row, "v".repeat(100))),
        )
        .collect();
    let mut sizes = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.csv");
    std::fs::write(&path, &text).unwrap();
    let schemas = tapebook_record::Schemas::standard();
    let mut run = |batch_rows: usize| {
        let mut given = options();
        given.batch_rows = batch_rows;
        sizes.clear();
        let mut sink = |batch: tapebook_record::Batch| {
            sizes.push((batch.len(), batch.encoded_bytes()));
            Ok(())
        };
        tapebook_import::import_file(
            &path,
            schemas.by_name("trades").unwrap(),
            &given,
            &mut sink,
            &mut |_| (),
        )
        .unwrap();
        sizes.clone()
    };
    let thousands = run(999);
    assert_eq!(thousands.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), [999, 999, 999, 999, 999, 5]);
    let full = run(usize::MAX);
    assert_eq!(full.iter().map(|(rows, _)| rows).sum::<usize>(), 5000);
    assert!(full[..full.len() - 1].iter().all(|(_, bytes)| *bytes > 255 * 1024 && *bytes <= 256 * 1024));
    assert_eq!(import_path("trades", &path, &options()).unwrap().0.len(), 5000);
}

#[test]
fn a_plan_can_be_shown_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.zip");
    std::fs::write(&path, zip(&[("a.csv", b"px,Symbol,time,x\n".to_vec())])).unwrap();
    let schemas = tapebook_record::Schemas::standard();
    let plan =
        tapebook_import::plan_file(&path, schemas.by_name("trades").unwrap(), &options()).unwrap().unwrap();
    assert_eq!(
        plan.to_string(),
        "table trades\n  symbol <- Symbol\n  ts <- time\n  price <- px\n  without a place: x\n"
    );
}

#[test]
fn what_is_not_read_here_is_named() {
    for (bytes, part) in [
        (b"{\"a\":1}\n".to_vec(), "JSON"),
        (b"DBN\x03xxx".to_vec(), "DBN"),
        (zstd::encode_all(&b"DBN\x03xxx"[..], 1).unwrap(), "DBN"),
        (b"\xff\xfea\0b\0".to_vec(), "UTF-16"),
        (b"\x7fELF\0\0\0".to_vec(), "neither text nor Parquet"),
        (zip(&[("a.parquet", b"PAR1".to_vec())]), "Parquet inside an archive"),
    ] {
        let message = message(import_named("trades", "f.bin", bytes, &options()));
        assert!(message.contains(part), "{message}");
    }
    assert!(import_text("trades", "symbol,ts\n", &options()).is_ok());
}

#[test]
fn a_sink_can_number_its_batches() {
    use tapebook_record::{Batch, Producer, Schemas};

    struct Numbered(Vec<u64>);
    impl tapebook_import::BatchSink for Numbered {
        fn begin(&mut self) -> Batch {
            Batch::from_producer(Producer { id: 1, epoch: 1, batch_number: self.0.len() as u64 + 1 })
        }

        fn take(&mut self, batch: Batch) -> Result<(), tapebook_import::SinkError> {
            self.0.push(batch.encode().producer().batch_number);
            Ok(())
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.csv");
    std::fs::write(&path, format!("symbol,ts\n{}", "X,1609761600000\n".repeat(6))).unwrap();
    let mut given = options();
    given.batch_rows = 2;
    let mut sink = Numbered(Vec::new());
    let schemas = Schemas::standard();
    tapebook_import::import_file(&path, schemas.by_name("trades").unwrap(), &given, &mut sink, &mut |_| ())
        .unwrap();
    assert_eq!(sink.0, [1, 2, 3]);
}

#[test]
fn a_column_without_a_name_is_called_by_its_position() {
    let (rows, report) = import_text("trades", "symbol,,ts\nX,5,1609761600000\n", &options()).unwrap();
    assert_eq!(
        (rows, report.unplaced_columns),
        (vec!["X 1609761600000000000".to_owned()], vec!["column2".to_owned()])
    );
}
