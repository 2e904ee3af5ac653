//! Every byte of small files, flipped in turn.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use tapebook_history::{HistoryError, HistoryFile, HistorySeal, Part, Selection, WriterOptions};
use tapebook_record::{Schemas, TableSchema};
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use crate::model::{IDENTITY, PATH, Row, Rows, Value, Whole, quiet_decoder, write};

fn small_file(schema: &Arc<TableSchema>) -> (MemoryVfs, HistorySeal, Vec<Whole>) {
    let rows: Vec<Row> = (0..12_i64)
        .map(|at| {
            let mut row = Row::null(schema, if at < 7 { "A" } else { "BB" }, at);
            for (column, slot) in row.values.iter_mut().enumerate() {
                let text = format!("id-{}", at * 37 + column as i64);
                let (double, levels) = (at as f64 / 4.0, vec![(1.0, at as f64); (at % 3) as usize]);
                *slot = Some(Value { double, int: at, decimal: i128::from(at), text, levels });
            }
            row
        })
        .collect();
    let rows = Rows::new(schema, &rows);
    let records = rows.records();
    let vfs = MemoryVfs::new(1);
    let options = WriterOptions { row_group_rows: 8, ..WriterOptions::default() };
    let seal = write(&vfs, schema, options, &records).seal;
    (vfs, seal, records.into_iter().map(Whole::from).collect())
}

fn read(
    vfs: &MemoryVfs,
    seal: Option<HistorySeal>,
    schema: &Arc<TableSchema>,
) -> Result<Vec<Whole>, HistoryError> {
    let file = HistoryFile::open(vfs, Path::new(PATH), IDENTITY, seal, schema)?;
    let mut rows = file.rows_of(&Selection::default())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Whole::from(row));
    }
    Ok(found)
}

#[test]
fn a_flipped_byte_is_found_or_does_no_harm() {
    quiet_decoder();
    for name in ["trades", "book_snapshots", "balances"] {
        let schema = Schemas::standard().by_name(name).unwrap().clone();
        let (vfs, seal, expected) = small_file(&schema);
        let bytes = vfs.read_file(Path::new(PATH), u64::MAX).unwrap();
        let file = vfs.open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
        assert_eq!(read(&vfs, Some(seal), &schema).unwrap(), expected);
        for (at, byte) in bytes.iter().enumerate() {
            for flip in [0xff, 0x01] {
                file.write_all_at(at as u64, &[IoSlice::new(&[byte ^ flip])]).unwrap();
                let in_tail = at as u64 >= seal.file_bytes - seal.tail_bytes;
                match read(&vfs, Some(seal), &schema) {
                    Err(HistoryError::Checksum { part, .. }) => assert_eq!(part == Part::Tail, in_tail),
                    // A digit of the identity in the footer.
                    Err(HistoryError::WrongIdentity { .. }) => assert!(in_tail),
                    Ok(found) => assert_eq!(found, expected, "{name}, byte {at}"),
                    Err(error) => panic!("{name}, byte {at}: {error}"),
                }
                // All of it is read here, so that nothing at all may go unnoticed.
                let whole = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema)
                    .and_then(|file| file.verify());
                assert!(whole.is_err(), "{name}, byte {at}");
            }
            file.write_all_at(at as u64, &[IoSlice::new(&[*byte])]).unwrap();
        }
    }
}

/// Without a seal damage of the footer may go unnoticed, but it must neither panic nor be taken for another file.
#[test]
fn a_flipped_byte_without_a_seal_does_not_panic() {
    quiet_decoder();
    let schema = Schemas::standard().by_name("trades").unwrap().clone();
    let (vfs, seal, expected) = small_file(&schema);
    let bytes = vfs.read_file(Path::new(PATH), u64::MAX).unwrap();
    let file = vfs.open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
    let tail = (seal.file_bytes - seal.tail_bytes) as usize;
    for (at, byte) in bytes.iter().enumerate() {
        file.write_all_at(at as u64, &[IoSlice::new(&[!byte])]).unwrap();
        if let Err(error) = HistoryFile::report_of(&vfs, Path::new(PATH)) {
            assert!(at >= tail && error.to_string().starts_with(PATH), "byte {at}: {error}");
        }
        match read(&vfs, None, &schema) {
            Ok(found) => assert!(at >= tail || found == expected, "byte {at}"),
            Err(error) => assert!(error.to_string().starts_with(PATH), "byte {at}: {error}"),
        }
        file.write_all_at(at as u64, &[IoSlice::new(&[*byte])]).unwrap();
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let schema = Schemas::standard().by_name("trades").unwrap().clone();
    let (vfs, seal, _) = small_file(&schema);
    let file = vfs.open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
    for len in (0..seal.file_bytes).rev() {
        file.set_len(len).unwrap();
        let error = read(&vfs, Some(seal), &schema).unwrap_err();
        assert!(matches!(error, HistoryError::Length { .. }), "{len} bytes: {error}");
        let error = read(&vfs, None, &schema).unwrap_err();
        assert!(error.to_string().starts_with(PATH), "{len} bytes: {error}");
    }
}
