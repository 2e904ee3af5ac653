//! What goes in comes out: as Arrow and as rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use proptest::prelude::*;
use tapebook_history::{HistoryFile, Selection, WriterOptions};
use tapebook_record::{Schemas, TableSchema};

use crate::model::{self, Row, Rows, Whole, all_columns, any_rows, cases, projected, written};

pub fn read_all(file: &HistoryFile, columns: &[usize], batch_rows: usize) -> RecordBatch {
    let batches = file.batches(columns, &Selection::default(), batch_rows).unwrap();
    let schema = Arc::clone(batches.schema());
    let batches: Vec<_> = batches.map(Result::unwrap).collect();
    assert!(batches.iter().all(|batch| (1..=batch_rows).contains(&batch.num_rows())));
    concat_batches(&schema, &batches).unwrap()
}

pub fn rows_of(file: &HistoryFile, selection: &Selection) -> Vec<Whole> {
    let mut rows = file.rows_of(selection).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        found.push(Whole::from(row));
    }
    assert!(rows.next().unwrap().is_none());
    found
}

fn table_and_rows() -> impl Strategy<Value = (Arc<TableSchema>, Vec<Row>)> {
    let schemas: Vec<_> = Schemas::standard().iter().cloned().collect();
    prop::sample::select(schemas).prop_flat_map(|schema| {
        let rows = any_rows(&schema, 120);
        (Just(schema), rows)
    })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn rows_come_back_as_they_were_and_as_the_projection_shows_them(
        (schema, rows) in table_and_rows(),
        row_group_rows in prop_oneof![1..40_usize, Just(400_000)],
        row_group_bytes in prop_oneof![1..4000_usize, Just(64 << 20)],
        batch_rows in prop_oneof![1..50_usize, Just(8192)],
        columns in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let rows = Rows::new(&schema, &rows);
        let records = rows.records();
        let options = WriterOptions { row_group_rows, row_group_bytes, ..WriterOptions::default() };
        let (_vfs, file) = written(&schema, options, &records);
        let all = all_columns(&schema);
        prop_assert_eq!(read_all(&file, &all, batch_rows), projected(&schema, &all, &records));
        let some: Vec<usize> = columns.iter().map(|column| column.index(all.len())).collect();
        prop_assert_eq!(read_all(&file, &some, batch_rows), projected(&schema, &some, &records));
        let expected: Vec<Whole> = records.iter().copied().map(Whole::from).collect();
        prop_assert_eq!(rows_of(&file, &Selection::default()), expected);
        file.verify().unwrap();
    }
}

#[test]
fn a_file_knows_its_ranges_and_those_of_its_series() {
    let schema = Schemas::standard().by_name("trades").unwrap().clone();
    let of = |symbol, ts| Row::null(&schema, symbol, ts);
    let rows = [of("A", -5), of("A", 9), of("A", 9), of("B", 3), of("Cc", 7), of("Cc", 8)];
    let seqs = |at| [40, 7, 30, 2, 60, 1][at];
    let rows = Rows::with_seqs(&schema, &rows, seqs);
    let (_vfs, file) =
        written(&schema, WriterOptions { row_group_rows: 2, ..Default::default() }, &rows.records());
    assert_eq!((file.rows(), file.time_range(), file.seq_range()), (6, -5..=9, 1..=60));
    assert_eq!((file.identity(), file.retractions_through()), (model::IDENTITY, 5));
    assert_eq!(file.row_groups(), [0..2, 2..4, 4..6]);
    assert_eq!(file.row_layouts(), 1..=1);
    let spans: Vec<_> =
        file.all_series().iter().map(|span| (span.symbol.as_str(), span.row_range())).collect();
    assert_eq!(spans, [("A", 0..3), ("B", 3..4), ("Cc", 4..6)]);
    let span = file.series("A").unwrap();
    assert_eq!((span.ts_first, span.ts_last, span.seq_min, span.seq_max), (-5, 9, 7, 40));
    assert!(file.series("D").is_none());
}

#[test]
fn a_file_without_rows_is_a_file() {
    let schema = Schemas::standard().by_name("balances").unwrap().clone();
    let (_vfs, file) = written(&schema, WriterOptions::default(), &[]);
    assert_eq!((file.rows(), file.time_range().is_empty(), file.seq_range().is_empty()), (0, true, true));
    assert!(rows_of(&file, &Selection::default()).is_empty());
    assert_eq!(read_all(&file, &[0, 1], 10).num_rows(), 0);
    file.verify().unwrap();
}
