//! What a writer and a reader refuse, and what they say.

use std::path::Path;
use std::sync::Arc;

use tapebook_history::{
    HistoryError, HistoryFile, HistoryIdentity, HistoryWriter, Selection, WriteError, WriterOptions,
};
use tapebook_record::record::flags;
use tapebook_record::{RawRecord, Schemas, TableSchema};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Operation, Vfs};

use crate::model::{IDENTITY, PATH, Row, Rows, Value, Whole, write};
use crate::round_trip::rows_of;

fn schema(name: &str) -> Arc<TableSchema> {
    Arc::clone(Schemas::standard().by_name(name).unwrap())
}

fn create(vfs: &dyn Vfs, schema: &Arc<TableSchema>) -> HistoryWriter {
    HistoryWriter::create(vfs, Path::new(PATH), IDENTITY, schema, WriterOptions::default()).unwrap()
}

#[test]
fn rows_out_of_order_are_refused_and_the_others_stay() {
    let schema = schema("trades");
    let rows = [Row::null(&schema, "B", 5), Row::null(&schema, "B", 6), Row::null(&schema, "B", 7)];
    let rows = Rows::new(&schema, &rows);
    let good = rows.records();
    let vfs = MemoryVfs::new(1);
    let mut writer = create(&vfs, &schema);
    writer.add(&good[..2]).unwrap();
    for bad in [
        good[1],
        RawRecord { seq: 1, ..good[1] },
        RawRecord { ts: 4, seq: 9, ..good[1] },
        RawRecord { symbol: "A", ts: 9, seq: 9, ..good[1] },
    ] {
        let error = writer.add(&[bad]).unwrap_err();
        assert!(matches!(error, WriteError::OutOfOrder { .. }), "{error}");
    }
    // What stands before the refused one in its call is taken.
    assert!(writer.add(&[good[2], good[0]]).is_err());
    let seal = writer.finish(0).unwrap().seal;
    let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema).unwrap();
    let expected: Vec<Whole> = good.iter().copied().map(Whole::from).collect();
    assert_eq!(rows_of(&file, &Selection::default()), expected);
}

#[test]
fn what_columns_do_not_show_is_refused() {
    let schema = schema("book_deltas");
    let rows = Rows::new(&schema, &[Row::null(&schema, "A", 1)]);
    let good = rows.records()[0];
    let (mut text, mut word) = (good.row.to_vec(), good.row.to_vec());
    let id = schema.columns.iter().find(|column| column.name == "order_id").unwrap().offset;
    text[id..id + 8].copy_from_slice(&(1_u64 << 63 | 5 << 32 | 9000).to_le_bytes());
    word[schema.columns[0].offset] = 200;
    let vfs = MemoryVfs::new(1);
    let mut writer = create(&vfs, &schema);
    for (bad, reason) in [
        (RawRecord { flags: 1 << 7, ..good }, "flags that its table does not have"),
        (RawRecord { flags: flags::EVENT_END, ..good }, "not known"),
        (RawRecord { feed_seq: 4, ..good }, "feed_seq that its flags deny"),
        (RawRecord { layout: 2, ..good }, "layout version"),
        (RawRecord { layout: 0, ..good }, "layout version"),
        (RawRecord { row: &good.row[..8], ..good }, "shorter"),
        (RawRecord { row: &text, ..good }, "cannot be read"),
        (RawRecord { row: &word, ..good }, "cannot be read"),
    ] {
        let error = writer.add(&[bad]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert!(matches!(writer.add(&[RawRecord { symbol: "", ..good }]), Err(WriteError::Symbol(_))));
    writer.add(&[good]).unwrap();
    assert_eq!(writer.finish(0).unwrap().rows, 1);
}

#[test]
fn flags_of_another_table_are_refused() {
    let schema = schema("trades");
    let rows = Rows::new(&schema, &[Row::null(&schema, "A", 1)]);
    let bad = RawRecord { flags: flags::EVENT_END | flags::EVENT_END_KNOWN, ..rows.records()[0] };
    let vfs = MemoryVfs::new(1);
    assert!(matches!(create(&vfs, &schema).add(&[bad]), Err(WriteError::Row { .. })));
}

#[test]
fn a_file_is_opened_as_what_it_is() {
    let schema = schema("trades");
    let rows = Rows::new(&schema, &[Row::null(&schema, "A", 1)]);
    let vfs = MemoryVfs::new(1);
    let seal = write(&vfs, &schema, WriterOptions::default(), &rows.records()).seal;
    let path = Path::new(PATH);
    let open = |identity, seal, schema: &str| {
        HistoryFile::open(&vfs, path, identity, seal, &self::schema(schema)).map(drop)
    };
    for seal in [Some(seal), None] {
        open(IDENTITY, seal, "trades").unwrap();
        for other in
            [HistoryIdentity { file_id: 4, ..IDENTITY }, HistoryIdentity { cluster_id: 1, ..IDENTITY }]
        {
            let error = open(other, seal, "trades").unwrap_err();
            assert!(matches!(error, HistoryError::WrongIdentity { .. }), "{error}");
        }
        let error = open(IDENTITY, seal, "quotes").unwrap_err();
        assert!(matches!(error, HistoryError::WrongTable { .. }), "{error}");
        assert!(error.to_string().starts_with(PATH), "{error}");
    }
    let longer = tapebook_history::HistorySeal { file_bytes: seal.file_bytes + 1, ..seal };
    let error = open(IDENTITY, Some(longer), "trades").unwrap_err();
    assert!(matches!(error, HistoryError::Length { .. }), "{error}");
    let (identity, table) = HistoryFile::identity_of(&vfs, path).unwrap();
    assert_eq!((identity, table), (IDENTITY, schema.id));
}

#[test]
fn an_unfinished_file_is_no_history() {
    let schema = schema("trades");
    let vfs = MemoryVfs::new(1);
    drop(create(&vfs, &schema));
    let error = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, None, &schema).unwrap_err();
    assert!(matches!(error, HistoryError::NotHistory { .. }), "{error}");
}

/// Long ids that differ fill several buffers, so that there are several writes to fail.
#[test]
fn a_failed_write_or_sync_fails_the_file_for_good() {
    let schema = schema("trades");
    let mut noise = 7_u64;
    let rows: Vec<Row> = (0..12_000)
        .map(|ts| {
            let mut row = Row::null(&schema, "A", ts);
            let text = (0..12)
                .map(|_| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                    format!("{noise:x}")
                })
                .collect();
            let at = schema.column_index("trade_id").unwrap();
            row.values[at] = Some(Value { double: 0.0, int: 0, decimal: 0, text, levels: Vec::new() });
            row
        })
        .collect();
    let rows = Rows::new(&schema, &rows);
    let records = rows.records();
    let options = WriterOptions { row_group_rows: 4_000, ..WriterOptions::default() };
    for operation in [Operation::Write, Operation::Sync] {
        let rule = FaultRule::new(Fault::OsError(28)).on(operation);
        let vfs = FaultVfs::new(Arc::new(MemoryVfs::new(1)), FaultPlan::none().with(rule));
        let mut writer = HistoryWriter::create(&vfs, Path::new(PATH), IDENTITY, &schema, options).unwrap();
        let error = match writer.add(&records) {
            Err(error) => {
                assert!(writer.add(&records[..1]).is_err());
                error
            }
            Ok(()) => writer.finish(0).unwrap_err(),
        };
        assert!(matches!(&error, WriteError::Io { path, .. } if path == Path::new(PATH)), "{error}");
    }
}

#[test]
fn a_read_that_fails_is_told_and_ends_the_scan() {
    let schema = schema("trades");
    let rows = Rows::new(&schema, &[Row::null(&schema, "A", 1), Row::null(&schema, "A", 2)]);
    let memory = Arc::new(MemoryVfs::new(1));
    let seal = write(&*memory, &schema, WriterOptions::default(), &rows.records()).seal;
    let vfs = FaultVfs::new(memory, FaultPlan::none());
    let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema).unwrap();
    let broken = || FaultPlan::none().with(FaultRule::new(Fault::OsError(5)).on(Operation::Read).for_ever());
    vfs.set_plan(broken());
    let mut scan = file.rows_of(&Selection::default()).unwrap();
    let error = scan.next().unwrap_err();
    assert!(matches!(&error, HistoryError::Io { path, .. } if path == Path::new(PATH)), "{error}");
    vfs.set_plan(FaultPlan::none());
    assert!(scan.next().unwrap().is_none());
    assert!(file.verify().is_ok());
    vfs.set_plan(broken());
    let error = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema).unwrap_err();
    assert!(matches!(error, HistoryError::Io { .. }), "{error}");
}

/// The rows of the block before the error must not come again.
#[test]
fn an_error_behind_the_first_block_ends_a_scan_too() {
    let schema = schema("trades");
    let rows: Vec<Row> = (0..1_500).map(|ts| Row::null(&schema, "A", ts)).collect();
    let rows = Rows::new(&schema, &rows);
    let memory = Arc::new(MemoryVfs::new(1));
    let options = WriterOptions { row_group_rows: 1_200, ..WriterOptions::default() };
    let seal = write(&*memory, &schema, options, &rows.records()).seal;
    let vfs = FaultVfs::new(memory, FaultPlan::none());
    let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema).unwrap();
    let mut scan = file.rows_of(&Selection::default()).unwrap();
    let mut blocks = file.blocks("A", i64::MIN..=i64::MAX);
    assert!(scan.next().unwrap().is_some() && blocks.next().unwrap().is_some());
    vfs.set_plan(FaultPlan::none().with(FaultRule::new(Fault::OsError(5)).on(Operation::Read).for_ever()));
    let mut found = 1;
    while let Ok(row) = scan.next() {
        assert_eq!(row.unwrap().ts, found);
        found += 1;
    }
    assert!((1_024..1_500).contains(&found), "{found}");
    assert!(blocks.next().is_err());
    vfs.set_plan(FaultPlan::none());
    assert!(scan.next().unwrap().is_none() && scan.next().unwrap().is_none());
    assert!(blocks.next().unwrap().is_none());
}
