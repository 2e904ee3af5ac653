//! Files and rows of older layouts.

use std::path::Path;
use std::sync::Arc;

use arrow::array::Array;
use tapebook_history::{HistoryError, HistoryFile, HistoryWriter, Selection, WriterOptions};
use tapebook_record::record::Value as Column;
use tapebook_record::{ColumnKind, RawRecord, TableId, TableSchema};
use tapebook_vfs::MemoryVfs;

use crate::model::{IDENTITY, PATH, Row, Rows, Value, projected, write};

fn layouts() -> (Arc<TableSchema>, Arc<TableSchema>) {
    let first = [("a".into(), ColumnKind::Double), ("b".into(), ColumnKind::Text)];
    let old = TableSchema::new(TableId::FIRST_OWN, "own", 1, first);
    let new = old
        .add_columns([("c".into(), ColumnKind::Id), ("d".into(), ColumnKind::Flag { known: 8, set: 2 })])
        .unwrap();
    (Arc::new(old), Arc::new(new))
}

fn rows(schema: &TableSchema, symbol: &'static str) -> Rows {
    let mut row = Row::null(schema, symbol, 1);
    let value = Value { double: 1.5, int: 4, decimal: 0, text: "17".to_owned(), levels: Vec::new() };
    row.values.fill(Some(value));
    Rows::new(schema, &[row])
}

#[test]
fn a_file_of_an_older_layout_has_null_in_new_columns() {
    let (old, new) = layouts();
    let rows = rows(&old, "A");
    let records = rows.records();
    let vfs = MemoryVfs::new(1);
    let seal = write(&vfs, &old, WriterOptions::default(), &records).seal;
    let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &new).unwrap();
    // The new columns lie between those that the file has.
    let columns = [8, 4, 5, 3, 2, 4, 0, 1, 6, 7];
    let found: Vec<_> = file
        .batches(&columns, &Selection { seqs: 1..=1, ..Selection::default() }, 10)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found, [projected(&new, &columns, &records)]);
    assert_eq!(found[0].column(1).null_count(), 1);
    let mut scan = file.rows_of(&Selection::default()).unwrap();
    let row = scan.next().unwrap().unwrap();
    assert_eq!((row.layout, row.row.len()), (2, new.fixed_bytes + 8));
    assert!(matches!(row.value(&new, 0), Column::Double(1.5)));
    assert!(matches!(row.value(&new, 1), Column::Text("17")));
    assert!(matches!(row.value(&new, 2), Column::Null));
    assert!(matches!(row.value(&new, 3), Column::Null));
    let error = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &old).map(drop);
    assert!(error.is_ok());
}

#[test]
fn rows_of_several_layouts_share_a_file() {
    let (old, new) = layouts();
    let (first, second) = (rows(&old, "A"), rows(&new, "B"));
    let records = [first.records()[0], RawRecord { seq: 2, ..second.records()[0] }];
    let vfs = MemoryVfs::new(1);
    let mut writer =
        HistoryWriter::create(&vfs, Path::new(PATH), IDENTITY, &new, WriterOptions::default()).unwrap();
    writer.add(&records).unwrap();
    let seal = writer.finish(0).unwrap().seal;
    let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &new).unwrap();
    assert_eq!(file.row_layouts(), 1..=2);
    let all: Vec<usize> = (0..9).collect();
    let found: Vec<_> = file.batches(&all, &Selection::default(), 10).unwrap().map(Result::unwrap).collect();
    assert_eq!(found, [projected(&new, &all, &records)]);
    let error = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &old).unwrap_err();
    assert!(matches!(error, HistoryError::WrongTable { .. }), "{error}");
}
