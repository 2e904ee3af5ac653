//! What the writer refuses, and that a refused record leaves no trace.

use tapebook_record::{RawRecord, Schemas};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, Operation};

use super::super::WriteError;
use super::*;

fn rows() -> Vec<Row> {
    random_rows(&mut Numbers(5), 60)
}

#[test]
fn a_record_out_of_order_is_refused() {
    let rows = rows();
    let vfs = MemoryVfs::new(1);
    let mut writer =
        TableWriter::create(&vfs, Path::new(PATH), IDENTITY, &Schemas::standard(), small_blocks(300))
            .unwrap();
    for (at, row) in rows.iter().enumerate() {
        writer.add(row.table, &row.raw()).unwrap();
        for before in &rows[at.saturating_sub(10)..=at] {
            let error = writer.add(before.table, &before.raw()).unwrap_err();
            assert!(matches!(error, WriteError::OutOfOrder { .. }), "{error}");
            assert!(error.to_string().contains(&format!("seq {}", before.seq)), "{error}");
        }
    }
    writer.finish(TableMeta::default()).unwrap();
    let table = open(&vfs);
    table.verify(&Schemas::standard()).unwrap();
    read_all(&table, &rows).unwrap();
    assert_eq!(table.rows(), rows.len() as u64);
}

#[test]
fn what_is_not_a_row_of_its_table_is_refused() {
    let rows = rows();
    let vfs = MemoryVfs::new(1);
    let mut writer = TableWriter::create(
        &vfs,
        Path::new(PATH),
        IDENTITY,
        &Schemas::standard(),
        TableWriterOptions::default(),
    )
    .unwrap();
    let good = rows[0].raw();
    let mut refuse = |table, record: RawRecord<'_>, words: &str| {
        let error = writer.add(table, &record).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refuse(TableId(999), good, "not known");
    refuse(good_table(&rows), RawRecord { layout: 2, ..good }, "layout");
    refuse(good_table(&rows), RawRecord { layout: 0, ..good }, "layout");
    refuse(good_table(&rows), RawRecord { row: &good.row[1..], ..good }, "alignment");
    refuse(good_table(&rows), RawRecord { row: &good.row[..16], ..good }, "shorter");
    refuse(good_table(&rows), RawRecord { row: &[], ..good }, "alignment");
    refuse(good_table(&rows), RawRecord { symbol: "", ..good }, "empty");
    refuse(good_table(&rows), RawRecord { symbol: "a\nb", ..good }, "control");
    refuse(good_table(&rows), RawRecord { row: &[0; 1 << 24], ..good }, "too long");
    writer.add(good_table(&rows), &good).unwrap();
    writer.finish(TableMeta::default()).unwrap();
    open(&vfs).verify(&Schemas::standard()).unwrap();
}

fn good_table(rows: &[Row]) -> TableId {
    rows[0].table
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let (vfs, _) = write(&rows(), TableWriterOptions::default());
    let created = TableWriter::create(
        &vfs,
        Path::new(PATH),
        IDENTITY,
        &Schemas::standard(),
        TableWriterOptions::default(),
    );
    assert!(matches!(created, Err(WriteError::Io { .. })));
}

#[test]
fn a_file_whose_writing_failed_is_never_a_table() {
    let rows = random_rows(&mut Numbers(6), 400);
    let options = TableWriterOptions { write_bytes: 4096, ..small_blocks(300) };
    let run = |vfs: &FaultVfs| {
        let mut writer = TableWriter::create(vfs, Path::new(PATH), IDENTITY, &Schemas::standard(), options)?;
        let mut failed = false;
        for row in &rows {
            match writer.add(row.table, &row.raw()) {
                // One failed write spoils the file for good.
                Ok(()) => {}
                Err(error) => {
                    assert!(matches!(error, WriteError::Io { .. }), "{error}");
                    failed = true;
                }
            }
        }
        let finished = writer.finish(TableMeta::default());
        assert!(!failed || finished.is_err(), "finished although a write failed");
        finished
    };
    let whole = FaultVfs::new(Arc::new(MemoryVfs::new(1)), FaultPlan::none());
    run(&whole).unwrap();
    let writes = whole.calls_of(Operation::Write);
    assert!(writes > 5, "{writes} writes");
    for nth in 1..=writes {
        for fault in [
            Fault::Error(std::io::ErrorKind::StorageFull),
            Fault::ShortWrite { bytes: 1000, error: std::io::ErrorKind::StorageFull },
        ] {
            let disk = MemoryVfs::new(1);
            let rule = FaultRule::new(fault).on(Operation::Write).nth(nth);
            let vfs = FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none().with(rule));
            run(&vfs).unwrap_err();
            assert!(Table::open(&disk, Path::new(PATH), IDENTITY).is_err(), "write {nth}");
        }
    }
    let disk = MemoryVfs::new(1);
    let rule = FaultRule::new(Fault::OsError(5)).on(Operation::Sync);
    let vfs = FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none().with(rule));
    assert!(matches!(run(&vfs), Err(WriteError::Io { .. })), "a failed sync is an error");
}
