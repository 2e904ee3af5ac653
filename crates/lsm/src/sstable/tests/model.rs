//! Random tables against sorted vectors.

use std::collections::BTreeMap;

use tapebook_record::{Id, Schemas, TableId};

use super::*;

#[test]
fn random_tables_read_as_they_were_written() {
    let mut numbers = Numbers(1);
    for case in 0..150 {
        let count = numbers.below(120);
        let rows = random_rows(&mut numbers, count);
        let block_bytes = [64, 200, 500, 1000, 65536][numbers.below(5) as usize];
        let options =
            TableWriterOptions { write_bytes: 4096 << numbers.below(3), ..small_blocks(block_bytes) };
        let (vfs, summary) = write(&rows, options);
        assert_eq!(summary.file_bytes, vfs.file_bytes(PATH).unwrap().len() as u64);
        let table = open(&vfs);
        table.verify(&Schemas::standard()).unwrap_or_else(|error| panic!("case {case}: {error}"));
        read_all(&table, &rows).unwrap();
        totals(&table, &rows);
        series_of(&table, &rows);
        for _ in 0..30 {
            ranges(&table, &rows, &mut numbers);
        }
        points(&table, &rows, &mut numbers);
        by_id(&table, &rows);
    }
}

fn totals(table: &Table, rows: &[Row]) {
    assert_eq!(table.rows(), rows.len() as u64);
    let range = rows.iter().fold(TimeRange::EMPTY, |range, row| range.including(row.ts));
    assert_eq!(table.time_range(), range);
    let seqs = rows.iter().map(|row| row.seq);
    assert_eq!(table.seq_range(), seqs.clone().min().zip(seqs.max()));
    assert_eq!((table.meta().level, table.meta().retractions_through), (3, 9));
    let report = table.report();
    assert_eq!((report.rows, report.blocks), (table.rows(), report.blocks_verified));
    assert!(report.to_string().contains("of cluster"));
}

fn series_of(table: &Table, rows: &[Row]) {
    let mut model: BTreeMap<(TableId, &[u8]), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        model.entry((row.table, row.symbol.as_bytes())).or_default().push(row);
    }
    let tables = [TRADES, ORDERS, TableId(9), BALANCES, TableId(2000)];
    let found: Vec<_> = tables.iter().flat_map(|id| table.series_of(*id)).collect();
    assert_eq!(found.len(), model.len());
    for (series, ((id, name), rows)) in found.iter().zip(&model) {
        assert_eq!((series.table_id(), series.name().as_bytes()), (*id, *name));
        assert_eq!(series.rows(), rows.len() as u64);
        assert_eq!(series.time_range(), TimeRange { first: rows[0].ts, last: rows[rows.len() - 1].ts });
        let seqs = rows.iter().map(|row| row.seq);
        assert_eq!(Some(series.seq_range()), seqs.clone().min().zip(seqs.max()));
    }
    assert!(table.series(TRADES, "AA").is_none() && table.series(TableId(3), "A").is_none());
}

fn some_range(numbers: &mut Numbers) -> TimeRange {
    let end = |numbers: &mut Numbers, open: i64| match numbers.below(6) {
        0 => open,
        _ => numbers.below(44) as i64 - 22,
    };
    TimeRange { first: end(numbers, i64::MIN), last: end(numbers, i64::MAX) }
}

fn ranges(table: &Table, rows: &[Row], numbers: &mut Numbers) {
    let range = some_range(numbers);
    for series in [TRADES, ORDERS, BALANCES].iter().flat_map(|id| table.series_of(*id)) {
        let own = |row: &&Row| row.table == series.table_id() && row.symbol == series.name();
        let mut expected: Vec<&Row> = rows.iter().filter(own).filter(|row| range.contains(row.ts)).collect();
        let mut run = Vec::new();
        let mut scan = series.scan(range, Direction::Forward);
        while scan.next_run(&mut run, 1 + numbers.below(5) as usize).unwrap() > 0 {}
        assert_eq!(run.len(), expected.len(), "{range:?}");
        run.iter().zip(&expected).for_each(|(found, row)| assert_same(found, row));
        expected.reverse();
        let back: Vec<_> = series.scan(range, Direction::Backward).map(Result::unwrap).collect();
        assert_eq!(back.len(), expected.len(), "{range:?}");
        back.iter().zip(&expected).for_each(|(found, row)| assert_same(found, row));
    }
}

fn points(table: &Table, rows: &[Row], numbers: &mut Numbers) {
    for series in [TRADES, ORDERS, BALANCES].iter().flat_map(|id| table.series_of(*id)) {
        let own: Vec<&Row> =
            rows.iter().filter(|row| row.table == series.table_id() && row.symbol == series.name()).collect();
        for ts in (-22..22).chain([i64::MIN, i64::MAX]) {
            let expected = own.iter().rev().find(|row| row.ts <= ts);
            let found = series.last_at(ts).unwrap();
            assert_eq!(found.map(|record| record.seq), expected.map(|row| row.seq), "last at {ts}");
            let seq = numbers.below(130);
            let expected = own.iter().find(|row| (row.ts, row.seq) == (ts, seq));
            assert_eq!(series.get(ts, seq).unwrap().map(|record| record.seq), expected.map(|row| row.seq));
        }
    }
}

fn by_id(table: &Table, rows: &[Row]) {
    let schemas = Schemas::standard();
    let texts = ["x", "order-1", "order-2", "00", "17", "nobody"].map(Id::Text);
    for id in (0..31).map(Id::Number).chain(texts) {
        for table_id in [TRADES, ORDERS, BALANCES] {
            for (column, _) in schemas.get(table_id).unwrap().id_columns() {
                let meant = if let Id::Text(text) = id { Id::from(text) } else { id };
                let expected: Vec<u64> = rows
                    .iter()
                    .filter(|row| row.table == table_id && row.id(column) == Some(meant))
                    .map(|row| row.seq)
                    .collect();
                let found: Vec<u64> =
                    table.by_id(table_id, column, id).unwrap().map(|record| record.unwrap().seq).collect();
                assert_eq!(found, expected, "{id} in column {column}");
                assert!(expected.is_empty() || table.may_contain_id(table_id, column, id).unwrap());
            }
        }
    }
}

#[test]
fn a_row_longer_than_a_block_has_a_block_of_its_own() {
    let mut batch = Batch::new();
    for (ts, venue) in [(1, "short"), (2, &*"long ".repeat(10_000)), (3, "short")] {
        batch.push(Trade { symbol: "A", ts, venue: Some(venue), ..Trade::default() }).unwrap();
    }
    let rows = rows_of(&batch);
    let (vfs, summary) = write(&rows, small_blocks(1000));
    assert_eq!(summary.blocks, 3);
    read_all(&open(&vfs), &rows).unwrap();
}
