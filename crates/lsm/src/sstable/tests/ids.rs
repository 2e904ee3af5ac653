//! Filters and id indexes of more than one page.

use tapebook_record::{Id, RawRecord, Schemas, TableSchema};

use super::super::bloom;
use super::super::id_columns;
use super::*;

/// One trade for each number, whose `trade_id` is that number; all in one row that is changed in place.
fn write_ids(vfs: &MemoryVfs, count: u64, id_of: impl Fn(u64) -> u64) {
    let schema: &TableSchema = Trade::schema();
    let slot = schema.columns[schema.column_index("trade_id").unwrap()].offset;
    let mut batch = Batch::new();
    batch.push(Trade { symbol: "A", ts: 0, trade_id: Some(Id::Number(0)), ..Trade::default() }).unwrap();
    let mut row = rows_of(&batch).remove(0);
    let mut writer = TableWriter::create(
        vfs,
        Path::new(PATH),
        IDENTITY,
        &Schemas::standard(),
        TableWriterOptions::default(),
    )
    .unwrap();
    for number in 0..count {
        row.row[slot..slot + 8].copy_from_slice(&id_of(number).to_le_bytes());
        let record = RawRecord { ts: number as i64, seq: number + 1, ..row.raw() };
        writer.add(TRADES, &record).unwrap();
    }
    writer.finish(TableMeta::default()).unwrap();
}

fn trade_id_column() -> usize {
    Trade::schema().column_index("trade_id").unwrap()
}

#[test]
fn a_filter_lets_at_most_1_1_percent_of_foreign_ids_pass() {
    let vfs = MemoryVfs::new(1);
    write_ids(&vfs, 200_000, |number| number * 2);
    let table = open(&vfs);
    let column = trade_id_column();
    let mut passed = 0_u32;
    for number in 0..200_000 {
        assert!(table.may_contain_id(TRADES, column, Id::Number(number * 2)).unwrap());
        passed += u32::from(table.may_contain_id(TRADES, column, Id::Number(number * 2 + 1)).unwrap());
    }
    let share = f64::from(passed) / 200_000.0;
    assert!((0.005..=0.011).contains(&share), "{share}");
    let report = table.report().id_columns[0];
    assert_eq!((report.ids, report.distinct, report.probes), (200_000, 200_000, 6));
    assert!((report.filter_bytes * 8).abs_diff(200_000 * 10) <= 512);
    let expected = report.false_positives.unwrap();
    assert!((expected - share).abs() < 0.002, "{expected} expected, {share} found");
}

#[test]
fn every_id_is_found_over_many_pages() {
    let vfs = MemoryVfs::new(1);
    // 40,000 entries of 8 bytes are five pages.
    write_ids(&vfs, 40_000, |number| number * 7);
    let table = open(&vfs);
    for number in (0..40_000).step_by(11) {
        let found: Vec<u64> = table
            .by_id(TRADES, trade_id_column(), Id::Number(number * 7))
            .unwrap()
            .map(|record| record.unwrap().seq)
            .collect();
        assert_eq!(found, [number + 1]);
    }
    table.verify(&Schemas::standard()).unwrap();
}

#[test]
fn one_id_can_have_most_rows() {
    let vfs = MemoryVfs::new(1);
    write_ids(&vfs, 30_000, |number| if number % 10 == 0 { number } else { 77_777 });
    let table = open(&vfs);
    let column = trade_id_column();
    assert_eq!(table.by_id(TRADES, column, Id::Number(77_777)).unwrap().count(), 27_000);
    for number in (0..30_000).step_by(10) {
        let seqs: Vec<u64> = table
            .by_id(TRADES, column, Id::Number(number))
            .unwrap()
            .map(|record| record.unwrap().seq)
            .collect();
        assert_eq!(seqs, [number + 1]);
    }
}

#[test]
fn an_id_whose_page_is_damaged_is_an_error_and_others_are_found() {
    let vfs = MemoryVfs::new(1);
    write_ids(&vfs, 40_000, |number| number);
    let last = open(&vfs).id_columns[0];
    vfs.flip_byte(PATH, last.index_offset + last.index_length - 1).unwrap();
    let table = open(&vfs);
    let (mut found, mut damaged) = (0, 0);
    for number in 0..40_000 {
        match table.by_id(TRADES, trade_id_column(), Id::Number(number)) {
            Ok(mut matches) => {
                assert_eq!(matches.next().unwrap().unwrap().seq, number + 1);
                found += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("id page"), "{error}");
                damaged += 1;
            }
        }
    }
    assert!(found > 30_000 && damaged > 5_000, "{found} found, {damaged} damaged");
    assert!(table.verify(&Schemas::standard()).is_err());
}

#[test]
fn an_added_id_is_contained_whatever_the_options() {
    let mut numbers = Numbers(3);
    for bits_per_key in 1..=64 {
        let probes = bloom::probes(bits_per_key);
        let lines = bloom::lines(100, bits_per_key);
        let mut filter = vec![0; lines * bloom::LINE_BYTES];
        let hashes: Vec<u64> = (0..100).map(|_| id_columns::hash(Id::Number(numbers.next()))).collect();
        let line = |hash| bloom::line(hash, lines) * bloom::LINE_BYTES;
        for hash in &hashes {
            bloom::insert(&mut filter[line(*hash)..], *hash, probes);
        }
        assert!(hashes.iter().all(|hash| bloom::contains(
            filter[line(*hash)..].first_chunk().unwrap(),
            *hash,
            probes
        )));
    }
}

#[test]
fn two_ids_with_the_same_half_of_a_hash_are_told_apart() {
    let mut seen = std::collections::HashMap::new();
    let (first, second) = (0..)
        .find_map(|number| {
            let half = id_columns::hash(Id::Number(number)) >> 32;
            seen.insert(half, number).map(|earlier| (earlier, number))
        })
        .expect("the birthday paradox gives one among some hundred thousand");
    let vfs = MemoryVfs::new(1);
    write_ids(&vfs, 10, |number| if number % 2 == 0 { first } else { second });
    let table = open(&vfs);
    table.verify(&Schemas::standard()).unwrap();
    for (id, seqs) in [(first, [1, 3, 5, 7, 9]), (second, [2, 4, 6, 8, 10])] {
        let found: Vec<u64> = table
            .by_id(TRADES, trade_id_column(), Id::Number(id))
            .unwrap()
            .map(|record| record.unwrap().seq)
            .collect();
        assert_eq!(found, seqs);
    }
}
