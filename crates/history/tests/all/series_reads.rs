//! Reads of one series and by an id, against a plain list of the same rows.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tapebook_history::{HistoryBlocks, HistoryError, HistoryFile, WriterOptions};
use tapebook_record::projection::RowBlock;
use tapebook_record::slot::ID_TEXT_BIT;
use tapebook_record::{Id, RawRecord, Schemas, TableSchema};
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use crate::model::{IDENTITY, PATH, Row, Rows, Value, Whole, cases, quiet_decoder, write, written};

const NAMES: [&str; 6] = ["A", "AB", "B", "b", "never", ""];

fn trades() -> Arc<TableSchema> {
    Schemas::standard().by_name("trades").unwrap().clone()
}

fn id_of(at: u8) -> Option<String> {
    match at {
        0..6 => Some(at.to_string()),
        6 => Some("0017".to_owned()),
        7 => Some("9223372036854775813".to_owned()),
        8 => Some(String::new()),
        9 => Some("a long id that differs from its neighbour only after its first 64 bytes: 1".to_owned()),
        10 => Some("a long id that differs from its neighbour only after its first 64 bytes: 2".to_owned()),
        _ => None,
    }
}

/// Rows of some series, with times that repeat and ids that come again in several of them.
pub fn rows_with_ids(schema: &TableSchema, rows: &[(usize, i64, u8)]) -> Rows {
    let id = schema.column_index("trade_id").unwrap();
    let mut rows: Vec<Row> = rows
        .iter()
        .map(|(name, ts, at)| {
            let mut row = Row::null(schema, NAMES[*name], *ts);
            row.values[id] =
                id_of(*at).map(|text| Value { double: 0.0, int: 0, decimal: 0, text, levels: Vec::new() });
            row
        })
        .collect();
    rows.sort_by_key(|row| (row.symbol, row.ts));
    Rows::with_seqs(schema, &rows, |at| at as u64 / 2 + if at % 2 == 0 { 1 } else { 700 })
}

fn sorted(rows: &Rows) -> Vec<RawRecord<'_>> {
    let mut records = rows.records();
    records.sort_by_key(|record| (record.symbol, record.ts, record.seq));
    records
}

pub fn row_at(found: &(Arc<RowBlock>, usize)) -> Whole {
    Whole::from(found.0.get(found.1).unwrap())
}

/// All blocks, in the order in which they come.
pub fn collect(mut blocks: HistoryBlocks) -> Result<Vec<Vec<Whole>>, HistoryError> {
    let mut found = Vec::new();
    while let Some(block) = blocks.next()? {
        assert!(!block.is_empty());
        found.push((0..block.len()).map(|at| Whole::from(block.get(at).unwrap())).collect());
    }
    assert!(blocks.next()?.is_none());
    Ok(found)
}

fn whole<'a>(records: impl IntoIterator<Item = &'a RawRecord<'a>>) -> Vec<Whole> {
    records.into_iter().copied().map(Whole::from).collect()
}

/// Every read of the rows that there is, in every way, compared with the list.
fn check(file: &HistoryFile, records: &[RawRecord<'_>], hidden: &BTreeSet<u64>) {
    let of = |name: &str| records.iter().filter(move |record| record.symbol == name).collect::<Vec<_>>();
    for name in NAMES {
        let series = of(name);
        for (first, last) in [(i64::MIN, i64::MAX), (3, 9), (9, 3), (0, 0), (5, i64::MAX), (i64::MIN, 7)] {
            let wanted: Vec<_> =
                series.iter().filter(|record| (first..=last).contains(&record.ts)).copied().collect();
            let forward = collect(file.blocks(name, first..=last)).unwrap();
            assert_eq!(forward.into_iter().flatten().collect::<Vec<_>>(), whole(wanted.iter().copied()));
            let backward = collect(file.blocks_backward(name, first..=last)).unwrap();
            assert_eq!(
                backward.into_iter().rev().flatten().collect::<Vec<_>>(),
                whole(wanted.iter().copied()),
                "{name} {first} to {last}"
            );
        }
        for at in -1..22 {
            for hides in [false, true] {
                let shown = |seq: u64| !hides || !hidden.contains(&seq);
                let expected = series.iter().rfind(|record| record.ts <= at && shown(record.seq));
                let found = file.last(name, at, shown).unwrap();
                assert_eq!(found.as_ref().map(row_at), expected.map(|record| Whole::from(**record)));
            }
        }
        for record in &series {
            let found = file.get(name, record.ts, record.seq).unwrap().unwrap();
            assert_eq!(row_at(&found), Whole::from(**record));
        }
        for (ts, seq) in (-1..22).flat_map(|ts| [0, 1, 2, 3, 700, 701, u64::MAX].map(|seq| (ts, seq))) {
            let expected = series.iter().find(|record| (record.ts, record.seq) == (ts, seq));
            let found = file.get(name, ts, seq).unwrap();
            assert_eq!(found.as_ref().map(row_at), expected.map(|record| Whole::from(**record)));
        }
    }
    let schema = file.schema();
    let id = schema.column_index("trade_id").unwrap();
    for at in 0..11 {
        let text = id_of(at).unwrap();
        let expected: Vec<_> =
            records.iter().filter(|record| record.id(schema, id) == Some(Id::from(&*text))).collect();
        for asked in [Id::from(&*text), Id::Text(&text)] {
            let found: Vec<_> = file.by_id(id, asked).unwrap().iter().map(row_at).collect();
            assert_eq!(found, whole(expected.iter().copied()), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn a_series_reads_as_the_list_does(
        rows in prop::collection::vec((0..4_usize, 0..20_i64, 0..14_u8), 1..200),
        hidden in prop::collection::btree_set(0..900_u64, 0..300),
        row_group_rows in prop_oneof![1..90_usize, Just(400_000)],
    ) {
        let schema = trades();
        let rows = rows_with_ids(&schema, &rows);
        let records = sorted(&rows);
        let options = WriterOptions { row_group_rows, ..WriterOptions::default() };
        let (_vfs, file) = written(&schema, options, &records);
        check(&file, &records, &hidden);
    }
}

#[test]
fn numbers_that_a_row_cannot_hold_and_other_columns_have_no_rows() {
    let schema = trades();
    let rows = rows_with_ids(&schema, &[(0, 1, 7), (0, 2, 1)]);
    let (_vfs, file) = written(&schema, WriterOptions::default(), &sorted(&rows));
    let id = schema.column_index("trade_id").unwrap();
    assert!(file.by_id(id, Id::Number(ID_TEXT_BIT + 5)).unwrap().is_empty());
    assert_eq!(file.by_id(id, Id::Text("9223372036854775813")).unwrap().len(), 1);
    assert_eq!(file.by_id(id, Id::Number(1)).unwrap().len(), 1);
    let price = schema.column_index("price").unwrap();
    let other = schema.id_columns().map(|(at, _)| at).find(|at| *at != id).unwrap();
    for column in [price, other, schema.columns.len(), usize::MAX] {
        assert!(file.by_id(column, Id::Number(1)).unwrap().is_empty(), "{column}");
    }
}

#[test]
fn a_file_and_its_scans_can_be_shared_and_sent() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<HistoryFile>();
    shared::<Arc<RowBlock>>();
    sent::<HistoryBlocks>();
}

/// Every byte before the tail is flipped in turn: each read gives the right rows or names the file and the grain.
#[test]
fn a_read_of_a_damaged_file_is_right_or_refused() {
    quiet_decoder();
    let schema = trades();
    let rows: Vec<_> = (0..40_i64).map(|at| ((at / 14) as usize, at % 14, at as u8 % 12)).collect();
    let rows = rows_with_ids(&schema, &rows);
    let records = sorted(&rows);
    let id = schema.column_index("trade_id").unwrap();
    let vfs = MemoryVfs::new(1);
    let options = WriterOptions { row_group_rows: 11, ..WriterOptions::default() };
    let seal = write(&vfs, &schema, options, &records).seal;
    let bytes = vfs.read_file(Path::new(PATH), u64::MAX).unwrap();
    let damaged = vfs.open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
    let of = |symbol: &'static str| records.iter().filter(move |record| record.symbol == symbol);
    let mut refused = 0;
    for at in (0..(seal.file_bytes - seal.tail_bytes) as usize).step_by(3) {
        damaged.write_all_at(at as u64, &[IoSlice::new(&[!bytes[at]])]).unwrap();
        let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema).unwrap();
        let mut check = |found: Result<Vec<Whole>, HistoryError>, expected: Vec<Whole>| match found {
            Ok(found) => assert_eq!(found, expected, "byte {at}"),
            Err(error) => {
                assert!(matches!(&error, HistoryError::Checksum { .. }), "byte {at}: {error}");
                assert!(error.to_string().starts_with(&format!("{PATH}, byte ")), "{error}");
                refused += 1;
            }
        };
        let flat = |blocks| collect(blocks).map(|blocks| blocks.into_iter().flatten().collect());
        check(flat(file.blocks("AB", i64::MIN..=i64::MAX)), whole(of("AB")));
        check(flat(file.blocks_backward("A", 2..=5)), whole(of("A").filter(|row| (2..=5).contains(&row.ts))));
        let last = of("B").next_back().unwrap();
        let found = file.last("B", i64::MAX, |_| true);
        check(found.map(|found| found.iter().map(row_at).collect()), whole([last]));
        let found = file.get("B", last.ts, last.seq);
        check(found.map(|found| found.iter().map(row_at).collect()), whole([last]));
        let expected = records.iter().filter(|record| record.id(&schema, id) == Some(Id::Number(3)));
        let found = file.by_id(id, Id::Number(3));
        check(found.map(|found| found.iter().map(row_at).collect()), whole(expected));
        damaged.write_all_at(at as u64, &[IoSlice::new(&[bytes[at]])]).unwrap();
    }
    assert!(refused > 0);
}
