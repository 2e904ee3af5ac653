//! How much of a file the reads of one series touch, counted in grains, and that they do not hold more than they may.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use tapebook_history::{HistoryFile, WriterOptions};
use tapebook_record::{Id, Schemas, TableSchema};
use tapebook_vfs::{FaultPlan, FaultVfs, MemoryVfs, Operation};

use crate::model::{IDENTITY, PATH, Row, Rows, Value, Whole, write};

const ROWS: i64 = 120_000;

fn trades() -> Arc<TableSchema> {
    Schemas::standard().by_name("trades").unwrap().clone()
}

/// A file of one long series between two short ones, with noise for prices and sizes and ids that count up.
static FILE: LazyLock<Arc<MemoryVfs>> = LazyLock::new(|| {
    let schema = trades();
    let (price, size) = (schema.column_index("price").unwrap(), schema.column_index("size").unwrap());
    let id = schema.column_index("trade_id").unwrap();
    let mut noise = 1_u64;
    let series = [("A", 100), ("B", ROWS), ("C", 100)];
    let rows: Vec<Row> = series
        .iter()
        .flat_map(|(symbol, rows)| (0..*rows).map(move |ts| (*symbol, ts)))
        .map(|(symbol, ts)| {
            let mut row = Row::null(&schema, symbol, ts);
            for column in [price, size, id] {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                let text = ts.to_string();
                let double = (noise >> 12) as f64;
                row.values[column] = Some(Value { double, int: 0, decimal: 0, text, levels: Vec::new() });
            }
            row
        })
        .collect();
    let rows = Rows::new(&schema, &rows);
    let vfs = Arc::new(MemoryVfs::new(1));
    let options = WriterOptions { row_group_rows: 60_000, ..WriterOptions::default() };
    write(&*vfs, &schema, options, &rows.records());
    vfs
});

fn opened() -> (FaultVfs, HistoryFile) {
    let vfs = FaultVfs::new(Arc::<MemoryVfs>::clone(&FILE), FaultPlan::none());
    let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, None, &trades()).unwrap();
    (vfs, file)
}

#[test]
fn nothing_is_read_before_the_first_block_and_nothing_for_an_empty_choice() {
    let (vfs, file) = opened();
    let reads = || vfs.calls_of(Operation::Read);
    let before = reads();
    let scans = [file.blocks("B", 5..=90_000), file.blocks_backward("B", 5..=90_000)];
    for mut empty in [
        file.blocks("B", std::ops::RangeInclusive::new(9, 8)),
        file.blocks("Z", 0..=8),
        file.blocks_backward("A", 100..=200),
        file.blocks_backward("B", i64::MIN..=-1),
    ] {
        assert!(empty.next().unwrap().is_none());
    }
    assert!(file.last("A", -1, |_| true).unwrap().is_none());
    assert!(file.get("B", 7, u64::MAX).unwrap().is_none());
    assert!(file.get("B", ROWS, 200).unwrap().is_none());
    assert_eq!(reads(), before);
    for mut scan in scans {
        assert!(scan.next().unwrap().is_some());
    }
    assert!(reads() > before);
}

/// The two columns of noise have six pages of 20,000 rows each, of about 9 grains; a read of everything takes 120 grains.
#[test]
fn one_row_costs_a_page_of_each_column() {
    let (_, file) = opened();
    let columns = file.schema().columns.len() as u64 + 6;
    let cost = |read: &dyn Fn(&HistoryFile)| {
        let (vfs, file) = opened();
        let before = vfs.calls_of(Operation::Read);
        read(&file);
        vfs.calls_of(Operation::Read) - before
    };
    // At most a dictionary and a page of each column, and before that a page of times and one of sequence numbers.
    let most = 2 * columns + 4;
    let last = cost(&|file| {
        let (block, at) = file.last("B", 70_000, |_| true).unwrap().unwrap();
        assert_eq!((block.len(), block.get(at).unwrap().ts), (1, 70_000));
    });
    assert!(last <= most, "{last} reads, {columns} columns");
    let get = cost(&|file| {
        let (block, at) = file.get("B", 70_000, 70_101).unwrap().unwrap();
        assert_eq!((block.len(), block.get(at).unwrap().ts), (1, 70_000));
    });
    assert!(get <= most, "{get} reads");
    let back = cost(&|file| {
        let block = file.blocks_backward("B", i64::MIN..=i64::MAX).next().unwrap().unwrap();
        // The last row group has no more of the series than that.
        assert_eq!((block.len(), block.get(99).unwrap().ts), (100, ROWS - 1));
    });
    assert!(back <= most, "{back} reads");
    let id = file.schema().column_index("trade_id").unwrap();
    let by_id = cost(&|file| assert_eq!(file.by_id(id, Id::Number(70_000)).unwrap().len(), 1));
    // Filter and pages of the id's column in one of three row groups; text order is not that of the numbers.
    assert!(by_id <= most + 10, "{by_id} reads");
    let absent = cost(&|file| assert!(file.by_id(id, Id::Text("7000x")).unwrap().is_empty()));
    assert!(absent <= 6, "{absent} reads");
    let all = cost(&|file| {
        let mut blocks = file.blocks("B", i64::MIN..=i64::MAX);
        while blocks.next().unwrap().is_some() {}
    });
    assert!(all > 2 * most, "{all} reads");
    // On the way back each page is read once, with its dictionary, and the last one twice.
    let back = cost(&|file| {
        let mut blocks = file.blocks_backward("B", i64::MIN..=i64::MAX);
        while blocks.next().unwrap().is_some() {}
    });
    assert!(back <= 2 * all + most, "{back} reads, forward {all}");
}

/// Rows of 2 KiB each: the blocks of one page are far more than may wait, and still every row comes, in order.
#[test]
fn long_rows_come_back_in_parts() {
    let schema = trades();
    let id = schema.column_index("trade_id").unwrap();
    let rows: Vec<Row> = (0..12_000)
        .map(|ts| {
            let mut row = Row::null(&schema, "A", ts);
            let text = format!("{ts} {}", "x".repeat(2_000));
            row.values[id] = Some(Value { double: 0.0, int: 0, decimal: 0, text, levels: Vec::new() });
            row
        })
        .collect();
    let rows = Rows::new(&schema, &rows);
    let records = rows.records();
    let vfs = MemoryVfs::new(1);
    let seal = write(&vfs, &schema, WriterOptions::default(), &records).seal;
    let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema).unwrap();
    let mut blocks = file.blocks_backward("A", i64::MIN..=11_900);
    let mut left = &records[..11_901];
    while let Some(block) = blocks.next().unwrap() {
        let (rest, part) = left.split_at(left.len() - block.len());
        for (at, record) in part.iter().enumerate() {
            assert_eq!(Whole::from(block.get(at).unwrap()), Whole::from(*record));
        }
        left = rest;
    }
    assert!(left.is_empty());
}
