//! SSTables: opening, reading in every way, and the full check.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, TABLE, rows, seal, split};
use tapebook_lsm::key::{Direction, TimeRange};
use tapebook_lsm::sstable::{Table, TableSeries};
use tapebook_record::{AlignedBytes, Id, RawRecord, Schemas, TableId, TableSchema};

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let mut bytes = AlignedBytes::from(bytes);
    if mode != AS_IT_IS {
        seal::table(&mut bytes);
    }
    // Reading comes first in one table and the full check in the other, because a checksum is verified once.
    let open = || Table::from_bytes(Path::new("fuzz.sst"), bytes.clone(), TABLE);
    let (Ok(table), Ok(other)) = (open(), open()) else { return };
    let schemas = Schemas::standard();
    let _ = (table.meta(), table.time_range(), table.seq_range(), table.footer_checksum());
    let whole = other.verify(&schemas).is_ok();
    let mut tables: Vec<TableId> = table.tables().iter().map(|stats| stats.table).take(16).collect();
    tables.extend(schemas.iter().map(|schema| schema.id));
    tables.sort_unstable();
    tables.dedup();
    let mut rows = 0;
    for id in tables {
        for series in table.series_of(id) {
            rows += read(&table, &series, schemas.get(id).map(AsRef::as_ref), whole);
        }
        for column in 0..4 {
            let _ = by_id(&table, id, column, Id::Number(7));
            let _ = by_id(&table, id, column, Id::Text("order-1"));
        }
    }
    assert!(!whole || rows == table.rows(), "{rows} of {} rows are in series", table.rows());
});

/// Reads a series; where the file is `whole`, everything must be there. Returns the number of its rows.
fn read(table: &Table, series: &TableSeries<'_>, schema: Option<&TableSchema>, whole: bool) -> u64 {
    let forward = scan(series, TimeRange::ALL, Direction::Forward);
    let mut backward = scan(series, TimeRange::ALL, Direction::Backward);
    backward.reverse();
    let range = series.time_range();
    let middle = TimeRange { first: range.first.midpoint(range.last), last: range.last };
    let later = scan(series, middle, Direction::Forward);
    let last = series.last_at(range.last);
    for record in &forward {
        let found = series.get(record.ts, record.seq);
        if let Some(schema) = schema {
            rows::read(schema.id, schema, record);
        }
        if whole {
            assert!(found.is_ok_and(|found| found.is_some()), "a row that its key does not find");
        }
    }
    if whole {
        // With checksums that fit, only the full check tells that rows are out of order, and ranges rest on the order.
        assert!(later.iter().all(|record| middle.contains(record.ts)));
        let keys =
            |records: &[RawRecord<'_>]| records.iter().map(|row| (row.ts, row.seq)).collect::<Vec<_>>();
        assert_eq!(keys(&forward), keys(&backward));
        assert!(keys(&forward).is_sorted_by(|a, b| a < b));
        assert_eq!(forward.len() as u64, series.rows());
        assert_eq!(later.len(), forward.iter().filter(|row| middle.contains(row.ts)).count());
        let last = last.expect("a whole file can be read").map(|row| (row.ts, row.seq));
        assert_eq!(last, forward.last().map(|row| (row.ts, row.seq)));
        assert!(table.series(series.table_id(), series.name()).is_some());
        forward.iter().for_each(|row| find_by_ids(table, schema, row));
    }
    forward.len() as u64
}

fn scan<'a>(series: &TableSeries<'a>, range: TimeRange, direction: Direction) -> Vec<RawRecord<'a>> {
    series.scan(range, direction).map_while(Result::ok).collect()
}

fn find_by_ids(table: &Table, schema: Option<&TableSchema>, row: &RawRecord<'_>) {
    let Some(schema) = schema else { return };
    for (column, _) in schema.id_columns() {
        if let Some(id) = row.id(schema, column) {
            assert!(by_id(table, schema.id, column, id).any(|seq| seq == row.seq), "{id} is not found");
        }
    }
}

/// The sequence numbers of the rows with an id.
fn by_id(table: &Table, id: TableId, column: usize, value: Id<'_>) -> impl Iterator<Item = u64> {
    let found: Vec<u64> = match table.by_id(id, column, value) {
        Ok(rows) => rows.map_while(Result::ok).map(|row| row.seq).collect(),
        Err(_) => Vec::new(),
    };
    found.into_iter()
}
