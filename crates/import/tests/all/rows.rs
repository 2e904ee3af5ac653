//! Imports a text or a file and shows the rows as lines.

use std::path::Path;

use tapebook_import::{FileReport, ImportFailure, ImportOptions, import_file};
use tapebook_record::record::flags;
use tapebook_record::{Batch, ColumnKind, EncodedBatch, RowHeader, Schemas, TableSchema};

pub(crate) type Imported = Result<(Vec<String>, FileReport), (Vec<String>, Box<ImportFailure>)>;

/// Options whose clock stands at the end of 2030.
pub(crate) fn options() -> ImportOptions {
    ImportOptions::new(1_924_905_600_000_000_000)
}

/// Imports `text` as a file of that name.
pub(crate) fn import_text(table: &str, text: impl AsRef<[u8]>, options: &ImportOptions) -> Imported {
    import_named(table, "f.csv", text, options)
}

pub(crate) fn import_named(
    table: &str,
    name: &str,
    text: impl AsRef<[u8]>,
    options: &ImportOptions,
) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    import_path(table, &path, options)
}

pub(crate) fn import_path(table: &str, path: &Path, options: &ImportOptions) -> Imported {
    let schemas = Schemas::standard();
    let schema = schemas.by_name(table).unwrap();
    let mut rows = Vec::new();
    let mut sink = |batch: Batch| {
        assert!(!batch.is_empty());
        let encoded = batch.encode();
        // Whatever is imported must be a batch that a server would take.
        let encoded = EncodedBatch::check(encoded.bytes().clone(), &schemas).unwrap();
        rows.extend((0..encoded.len()).map(|row| shown(schema, &encoded, row)));
        Ok(())
    };
    let mut last = tapebook_import::Progress::default();
    let result = import_file(path, schema, options, &mut sink, &mut |progress| {
        assert!(progress.bytes_read >= last.bytes_read && progress.bytes_read <= progress.bytes_total);
        last = progress;
    });
    match result {
        Ok(report) => {
            assert_eq!(report.rows_imported, rows.len() as u64);
            assert_eq!(report.rows_read, report.rows_imported + report.rows_skipped);
            assert_eq!(last.rows_imported, report.rows_imported);
            assert_eq!(last.bytes_read, report.bytes);
            Ok((rows, report))
        }
        Err(failure) => {
            assert_eq!(failure.report.rows_imported, rows.len() as u64);
            Err((rows, failure))
        }
    }
}

/// The rows of an import that must succeed.
pub(crate) fn good(table: &str, text: impl AsRef<[u8]>, options: &ImportOptions) -> Vec<String> {
    import_text(table, text, options).map_err(|(_, failure)| failure.to_string()).unwrap().0
}

/// The message of an import that must fail, without the folder of the file.
pub(crate) fn refused(table: &str, text: impl AsRef<[u8]>, options: &ImportOptions) -> String {
    message(import_text(table, text, options))
}

pub(crate) fn message(imported: Imported) -> String {
    let message = imported.unwrap_err().1.to_string();
    message.rsplit_once("/f.").map_or(message.clone(), |(_, rest)| format!("f.{rest}"))
}

/// `SYMBOL ts [recv=…] [feed_seq=…] column=value …`, without what is NULL.
fn shown(schema: &TableSchema, batch: &EncodedBatch, row: usize) -> String {
    let header: RowHeader = batch.row_header(row);
    let bytes = batch.row(&header);
    let symbol = batch.symbols().nth(header.symbol as usize).unwrap();
    let mut line = format!("{symbol} {}", header.ts);
    if header.recv_ts != i64::MIN {
        line += &format!(" recv={}", header.recv_ts);
    }
    if header.flags & flags::FEED_SEQ != 0 {
        line += &format!(" feed_seq={}", header.feed_seq);
    }
    for column in &schema.columns {
        if let Some(value) = value(column.kind, &bytes[column.offset.min(bytes.len())..], bytes, header.flags)
        {
            line += &format!(" {}={value}", column.name);
        }
    }
    line
}

fn value(kind: ColumnKind, slot: &[u8], row: &[u8], row_flags: u8) -> Option<String> {
    let u64_slot = || u64::from_le_bytes(slot[..8].try_into().unwrap());
    let tail = |offset: u64, length: u64| &row[offset as usize..(offset + length) as usize];
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let piece = || (u64_slot() & 0xffff_ffff != 0).then(|| tail(u64_slot() & 0xffff_ffff, u64_slot() >> 32));
    match kind {
        ColumnKind::Double => Some(f64::from_bits(u64_slot())).filter(|v| !v.is_nan()).map(|v| v.to_string()),
        ColumnKind::BigInt | ColumnKind::Timestamp => {
            Some(u64_slot() as i64).filter(|v| *v != i64::MIN).map(|v| v.to_string())
        }
        ColumnKind::Date => {
            let days = i32::from_le_bytes(slot[..4].try_into().unwrap());
            (days != i32::MIN).then(|| days.to_string())
        }
        ColumnKind::Decimal => {
            let units = i128::from_le_bytes(slot[..16].try_into().unwrap());
            (units != i128::MIN).then(|| units.to_string())
        }
        ColumnKind::Text => piece().map(|bytes| format!("{:?}", text(bytes))),
        ColumnKind::Id => match u64_slot() {
            u64::MAX => None,
            number if number < 1 << 63 => Some(number.to_string()),
            slot => Some(format!("{:?}", text(tail(slot & 0xffff_ffff, slot >> 32 & 0x7fff_ffff)))),
        },
        ColumnKind::Word(words) => words.word(slot[0]).map(str::to_owned),
        ColumnKind::Levels => piece().map(|bytes| {
            let numbers: Vec<f64> =
                bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
            let levels: Vec<String> =
                numbers.chunks_exact(2).map(|pair| format!("{}@{}", pair[1], pair[0])).collect();
            format!("[{}]", levels.join(" "))
        }),
        ColumnKind::Flag { known, set } => {
            (row_flags & known != 0).then(|| (row_flags & set != 0).to_string())
        }
    }
}
