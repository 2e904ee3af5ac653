//! Files of history: opening, reading in every way, and the full check.

#![no_main]

use std::io::IoSlice;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, CLUSTER_ID, HISTORY_FILE_ID, rows, seal, split};
use tapebook_history::{HistoryBlocks, HistoryFile, HistoryIdentity, HistorySeal, Selection};
use tapebook_record::projection::RowBlock;
use tapebook_record::{Id, RawRecord, Schemas, TableSchema};
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

const IDENTITY: HistoryIdentity = HistoryIdentity { cluster_id: CLUSTER_ID, file_id: HISTORY_FILE_ID };
const PATH: &str = "/fuzz.parquet";

fuzz_target!(init: {
    // The Parquet decoder panics at some damage, which the crate catches; the fuzzer's own hook would end the process
    // before that. What is not caught ends it below.
    panic::set_hook(Box::new(|_| {}));
}, |input: &[u8]| {
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| file(input))) {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        eprintln!("panicked: {}", text.unwrap_or_default());
        process::abort();
    }
});

fn file(input: &[u8]) {
    let (mode, bytes) = split(input);
    let mut bytes = bytes.to_vec();
    let mut expected = None;
    if mode != AS_IT_IS {
        expected = seal::history(&mut bytes).map(|tail| HistorySeal {
            file_bytes: bytes.len() as u64,
            tail_bytes: tail.bytes,
            tail_crc: tail.crc,
        });
    }
    let (vfs, path) = (MemoryVfs::new(1), Path::new(PATH));
    let file = vfs.open(path, OpenMode::CreateNew).expect("the disk is empty");
    file.write_all_at(0, &[IoSlice::new(&bytes)]).expect("the disk is in memory");
    let _ = HistoryFile::report_of(&vfs, path);
    let table = HistoryFile::identity_of(&vfs, path).map(|(_, table)| table);
    let schemas = Schemas::standard();
    // As what it says that it is, and as something else.
    let schema = table.ok().and_then(|table| schemas.get(table)).or_else(|| schemas.by_name("trades"));
    for schema in schema.into_iter().chain(schemas.by_name("ticks")) {
        if let Ok(file) = HistoryFile::open(&vfs, path, IDENTITY, expected, schema) {
            read(&file, schema);
        }
    }
}

/// A row of a block.
type Place = (Arc<RowBlock>, usize);

/// Reads a file in every way; where all of it is right, whatever gives an answer must give the right one. Errors are
/// possible even then, because some fields of Parquet matter only to who skips rows.
fn read(file: &HistoryFile, schema: &TableSchema) {
    let whole = file.verify().is_ok();
    for span in file.all_series().iter().take(16) {
        let (symbol, all) = (span.symbol.as_str(), i64::MIN..=i64::MAX);
        let middle = span.ts_first.midpoint(span.ts_last)..=span.ts_last;
        let forward = collect(file.blocks(symbol, all.clone()), false);
        let backward = collect(file.blocks_backward(symbol, all), true);
        let later = collect(file.blocks_backward(symbol, middle.clone()), true);
        let last = file.last(symbol, span.ts_last, |_| true);
        for place in forward.iter().flatten().take(64) {
            let Some(row) = row(place) else { continue };
            rows::read(schema.id, schema, &row);
            let by_key = file.get(symbol, row.ts, row.seq);
            if whole {
                assert!(by_key.map_or(true, |found| found.as_ref().map(key) == Some(key(place))));
                find_by_ids(file, schema, &row);
            }
        }
        let Some(forward) = forward.filter(|_| whole) else { continue };
        let is = |found: Option<Vec<Place>>, expected: &mut dyn Iterator<Item = &Place>| {
            found.is_none_or(|found| found.iter().map(key).eq(expected.map(key)))
        };
        assert_eq!(forward.len() as u64, span.rows);
        assert!(is(backward, &mut forward.iter()));
        let in_range = |place: &&Place| row(place).is_some_and(|row| middle.contains(&row.ts));
        assert!(is(later, &mut forward.iter().filter(in_range)));
        assert!(last.map_or(true, |last| last.as_ref().map(key) == forward.last().map(key)));
    }
    for column in 0..schema.columns.len() {
        let _ = (file.by_id(column, Id::Number(7)), file.by_id(column, Id::Text("order-1")));
    }
    let middle = *file.seq_range().start() / 2 + *file.seq_range().end() / 2;
    let selection = Selection { seqs: 0..=middle, ..Selection::default() };
    if let Ok(batches) = file.batches(&[1, 0, 2], &selection, 100) {
        batches.take_while(Result::is_ok).for_each(drop);
    }
}

fn row((block, at): &Place) -> Option<RawRecord<'_>> {
    block.get(*at)
}

fn key(place: &Place) -> Option<(String, i64, u64)> {
    row(place).map(|row| (row.symbol.to_owned(), row.ts, row.seq))
}

/// The rows of a scan from the first to the last; `None` where it ends with an error.
fn collect(mut blocks: HistoryBlocks, backward: bool) -> Option<Vec<Place>> {
    let mut found: Vec<Vec<Place>> = Vec::new();
    while let Some(block) = blocks.next().ok()? {
        found.push((0..block.len()).map(|at| (Arc::clone(&block), at)).collect());
    }
    if backward {
        found.reverse();
    }
    Some(found.into_iter().flatten().collect())
}

fn find_by_ids(file: &HistoryFile, schema: &TableSchema, row: &RawRecord<'_>) {
    for (column, _) in schema.id_columns() {
        if let Some(id) = row.id(schema, column) {
            let found = file.by_id(column, id);
            let has_row = |(block, at): &Place| block.get(*at).is_some_and(|found| found.seq == row.seq);
            assert!(found.map_or(true, |found| found.iter().any(has_row)), "{id} is not found");
        }
    }
}
