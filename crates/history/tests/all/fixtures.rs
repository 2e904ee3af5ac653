//! Files that were written when format 1 was new: they must be read for ever.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_history::{HistoryFile, HistoryIdentity, HistorySeal, HistoryWriter, WriterOptions};
use tapebook_record::record::{Value as Column, flags};
use tapebook_record::{ColumnKind, RawRecord, Schemas, TableSchema};
use tapebook_vfs::{RealVfs, Vfs};

use crate::model::{Row, Rows, Value};
use crate::series_reads::collect;

const IDENTITY: HistoryIdentity =
    HistoryIdentity { cluster_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff, file_id: 43 };

/// A table, how many columns it had, and what the writer said of the file.
const FILES: [(&str, usize, HistorySeal); 6] = [
    ("trades", 8, seal(6200, 4390, 208435101)),
    ("ticks", 16, seal(9226, 7154, 1904154818)),
    ("book_snapshots", 2, seal(4444, 3600, 557826425)),
    ("book_deltas", 7, seal(5221, 3944, 1233276081)),
    ("balances", 5, seal(5140, 4046, 1193599748)),
    ("instruments", 7, seal(5470, 4166, 63611076)),
];

const fn seal(file_bytes: u64, tail_bytes: u64, tail_crc: u32) -> HistorySeal {
    HistorySeal { file_bytes, tail_bytes, tail_crc }
}

fn path(table: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-1/{table}.parquet"))
}

/// Twelve rows of two series, with every third value missing.
fn rows(schema: &TableSchema, columns: usize) -> Rows {
    let row = |at: i64| {
        let mut row = Row::null(schema, if at < 7 { "BINANCE.BTCUSDT" } else { "é" }, 1_000 + at / 2);
        row.recv_ts = (at % 4 != 0).then_some(2_000 - at);
        row.feed_seq = (at % 5 != 0).then_some(u64::MAX - at as u64);
        for (column, slot) in row.values.iter_mut().enumerate().take(columns) {
            let number = at * 31 + column as i64;
            let text = if at % 2 == 0 { number.to_string() } else { format!("order-{number}") };
            let levels = (0..at % 3).map(|level| (level as f64 + 0.5, number as f64)).collect();
            let double = number as f64 / 4.0;
            *slot = (number % 3 != 0).then_some(Value {
                double,
                int: number,
                decimal: i128::from(number),
                text,
                levels,
            });
        }
        row
    };
    Rows::new(schema, &(0..12).map(row).collect::<Vec<_>>())
}

/// What is in a row, without its layout.
fn contents(schema: &TableSchema, record: &RawRecord<'_>) -> String {
    let values: Vec<String> = (0..schema.columns.len())
        .map(|at| match record.value(schema, at) {
            Column::Levels(levels) => format!("{:?}", levels.iter().collect::<Vec<_>>()),
            value => format!("{value:?}"),
        })
        .collect();
    let feed_seq = (record.flags & flags::FEED_SEQ != 0).then_some(record.feed_seq);
    format!("{} {} {} {} {feed_seq:?} {values:?}", record.symbol, record.ts, record.seq, record.recv_ts)
}

fn schema(table: &str) -> Arc<TableSchema> {
    Schemas::standard().by_name(table).unwrap().clone()
}

#[test]
fn files_of_format_1_are_read() {
    for (table, columns, seal) in FILES {
        let schema = schema(table);
        let file = HistoryFile::open(&RealVfs::new(), &path(table), IDENTITY, Some(seal), &schema).unwrap();
        file.verify().unwrap();
        assert_eq!((file.rows(), file.seq_range(), file.retractions_through()), (12, 1..=12, 9), "{table}");
        assert_eq!((file.row_layouts(), file.row_groups().len()), (1..=1, 2), "{table}");
        let rows = rows(&schema, columns);
        let records = rows.records();
        let expected: Vec<String> = records.iter().map(|record| contents(&schema, record)).collect();
        let mut found = Vec::new();
        let mut scan = file.rows_of(&Default::default()).unwrap();
        while let Some(row) = scan.next().unwrap() {
            found.push(contents(&schema, &row));
        }
        assert_eq!(found, expected, "{table}");
        let back = collect(file.blocks_backward("é", i64::MIN..=i64::MAX)).unwrap();
        assert_eq!(back.iter().map(Vec::len).sum::<usize>(), 5, "{table}");
        for record in &records {
            let (block, at) = file.get(record.symbol, record.ts, record.seq).unwrap().unwrap();
            assert_eq!(contents(&schema, &block.get(at).unwrap()), contents(&schema, record));
            let ids = schema.columns.iter().take(columns).map(|column| column.kind == ColumnKind::Id);
            for (column, _) in ids.enumerate().filter(|(_, is_id)| *is_id) {
                let Some(id) = record.id(&schema, column) else { continue };
                let found = file.by_id(column, id).unwrap();
                assert!(found.iter().any(|(block, at)| block.get(*at).unwrap().seq == record.seq));
            }
        }
    }
}

#[test]
fn a_file_says_what_is_in_it() {
    let report = HistoryFile::report_of(&RealVfs::new(), &path("trades")).unwrap();
    assert_eq!((report.format, report.identity, report.seal), (1, IDENTITY, FILES[0].2));
    assert_eq!((report.table.as_str(), report.table_id), ("trades", schema("trades").id));
    assert_eq!((report.rows, report.row_layouts, report.retractions_through), (12, 1..=1, 9));
    assert_eq!((report.time_range, report.seq_range), (1_000..=1_005, 1..=12));
    assert_eq!(report.row_groups.iter().map(|group| group.rows).collect::<Vec<_>>(), [8, 4]);
    let names: Vec<&str> = report.series.iter().map(|span| span.symbol.as_str()).collect();
    assert_eq!(names, ["BINANCE.BTCUSDT", "é"]);
    let column = |name: &str| report.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!(column("ts").encodings, ["DELTA_BINARY_PACKED"]);
    assert_eq!(column("symbol").encodings, ["RLE_DICTIONARY"]);
    assert_eq!((column("feed_seq").nulls, column("price").nulls), (Some(3), Some(4)));
    assert!(column("trade_id").filter_bytes >= 2 * 32 && column("price").filter_bytes == 0);
    assert_eq!(column("price").compression, "ZSTD");
    let bytes: u64 = report.columns.iter().map(|column| column.bytes).sum();
    assert_eq!(bytes, report.row_groups.iter().map(|group| group.bytes).sum::<u64>());
    // Two row groups, `PAR1`, and the filters are all that there is before the tail.
    let filters: u64 = report.columns.iter().map(|column| column.filter_bytes).sum();
    assert_eq!(report.seal.file_bytes - report.seal.tail_bytes, 4 + bytes + filters);
}

/// Writes the files and says what the writer says of them; for a format that is new.
#[test]
#[ignore = "the files of a released format never change"]
fn write_the_files() {
    for (table, ..) in FILES {
        let schema = schema(table);
        let vfs = RealVfs::new();
        vfs.create_dir_all(path(table).parent().unwrap()).unwrap();
        let options = WriterOptions { row_group_rows: 8, ..WriterOptions::default() };
        let mut writer = HistoryWriter::create(&vfs, &path(table), IDENTITY, &schema, options).unwrap();
        writer.add(&rows(&schema, schema.columns.len()).records()).unwrap();
        println!("{table}, {} columns: {:?}", schema.columns.len(), writer.finish(9).unwrap().seal);
    }
}
