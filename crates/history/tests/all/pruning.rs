//! Reading some symbols, times and sequence numbers: the right rows, and no more pages than needed.

use std::path::Path;

use proptest::prelude::*;
use tapebook_history::{HistoryFile, Selection, WriterOptions};
use tapebook_record::Schemas;
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use crate::model::{IDENTITY, PATH, Row, Rows, Value, Whole, cases, projected, write, written};
use crate::round_trip::rows_of;

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_selection_has_the_rows_that_a_filter_has(
        rows in prop::collection::vec((0..6_usize, 0..40_i64), 1..300),
        symbols in prop::option::of(prop::collection::vec(0..8_usize, 0..4)),
        times in (prop::option::of(-2..42_i64), prop::option::of(-2..42_i64)),
        seqs in (prop::option::of(0..330_u64), prop::option::of(0..330_u64)),
        row_group_rows in 1..90_usize,
        batch_rows in 1..60_usize,
    ) {
        let names = ["A", "AB", "B", "b", "c", "cc", "never", ""];
        let schema = Schemas::standard().by_name("quotes").unwrap().clone();
        let mut rows: Vec<Row> = rows.iter().map(|(name, ts)| Row::null(&schema, names[*name], *ts)).collect();
        rows.sort_by_key(|row| (row.symbol, row.ts));
        // Sequence numbers jump, so that both halves of a series overlap.
        let rows = Rows::with_seqs(&schema, &rows, |at| at as u64 / 2 + if at % 2 == 0 { 1 } else { 160 });
        let mut records = rows.records();
        records.sort_by_key(|record| (record.symbol, record.ts, record.seq));
        let options = WriterOptions { row_group_rows, ..WriterOptions::default() };
        let (_vfs, file) = written(&schema, options, &records);
        let selection = Selection {
            symbols: symbols.map(|symbols| symbols.iter().map(|at| names[*at].to_owned()).collect()),
            times: times.0.unwrap_or(i64::MIN)..=times.1.unwrap_or(i64::MAX),
            seqs: seqs.0.unwrap_or(0)..=seqs.1.unwrap_or(u64::MAX),
        };
        records.retain(|record| {
            selection.symbols.as_ref().is_none_or(|symbols| symbols.iter().any(|name| name == record.symbol))
                && selection.times.contains(&record.ts)
                && selection.seqs.contains(&record.seq)
        });
        let expected: Vec<Whole> = records.iter().copied().map(Whole::from).collect();
        prop_assert_eq!(rows_of(&file, &selection), expected);
        // With columns wanted that are not the ones compared, and with none.
        for columns in [&[1, 10, 2][..], &[]] {
            let batches = file.batches(columns, &selection, batch_rows).unwrap();
            let found: Vec<_> = batches.map(Result::unwrap).collect();
            prop_assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), records.len());
            if !found.is_empty() {
                let found = arrow::compute::concat_batches(found[0].schema_ref(), &found).unwrap();
                prop_assert_eq!(found, projected(&schema, columns, &records));
            }
        }
    }
}

/// Everything but the pages of one series and one stretch of time is destroyed; they can still be read.
#[test]
fn what_is_not_wanted_is_not_read() {
    let schema = Schemas::standard().by_name("trades").unwrap().clone();
    let mut noise = 1_u64;
    let rows: Vec<Row> = ["A", "B", "C"]
        .iter()
        .flat_map(|symbol| (0..60_000).map(move |ts| (*symbol, ts)))
        .map(|(symbol, ts)| {
            let mut row = Row::null(&schema, symbol, ts);
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let double = (noise >> 12) as f64;
            row.values[0] =
                Some(Value { double, int: 0, decimal: 0, text: String::new(), levels: Vec::new() });
            row
        })
        .collect();
    let rows = Rows::new(&schema, &rows);
    let records = rows.records();
    let vfs = MemoryVfs::new(1);
    let options = WriterOptions { row_group_rows: 100_000, ..WriterOptions::default() };
    let seal = write(&vfs, &schema, options, &records).seal;
    let bytes = vfs.read_file(Path::new(PATH), u64::MAX).unwrap();
    let selection =
        Selection { symbols: Some(vec!["B".to_owned()]), times: 30_000..=30_010, ..Selection::default() };
    // Each grain is destroyed alone, and what cannot be read any more is counted.
    let grains = (seal.file_bytes - seal.tail_bytes).div_ceil(16 * 1024) as usize;
    let mut touched = 0;
    for grain in 0..grains {
        let file = vfs.open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
        let at = grain * 16 * 1024;
        file.write_all_at(at as u64, &[std::io::IoSlice::new(&[!bytes[at]])]).unwrap();
        let history = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema).unwrap();
        let found = history.batches(&[2], &selection, 8192).unwrap().collect::<Result<Vec<_>, _>>();
        touched += usize::from(found.is_err());
        if let Ok(found) = found {
            assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 11);
        }
        file.write_all_at(at as u64, &[std::io::IoSlice::new(&[bytes[at]])]).unwrap();
    }
    // One of nine pages of the column, and one of the times.
    assert!(touched > 0 && touched <= grains / 6, "{touched} of {grains} grains");
}

/// Many rows of one time on both sides of every border between pages, and every range of times there is.
#[test]
fn every_range_of_times_is_found_across_all_borders() {
    let schema = Schemas::standard().by_name("trades").unwrap().clone();
    let of = |symbol| [0, 1, 1, 1, 2, 2, 3, 3, 3, 3, 5, 6].map(|ts| (symbol, ts));
    let rows: Vec<Row> =
        ["A", "B", "C"].into_iter().flat_map(of).map(|(symbol, ts)| Row::null(&schema, symbol, ts)).collect();
    let rows = Rows::new(&schema, &rows);
    let records = rows.records();
    for row_group_rows in 1..9 {
        let options = WriterOptions { row_group_rows, ..WriterOptions::default() };
        let (_vfs, file) = written(&schema, options, &records);
        for (first, last) in (0..8).flat_map(|first| (first..8).map(move |last| (first, last))) {
            let selection = Selection { times: first..=last, ..Selection::default() };
            let found = file.batches(&[], &selection, 100).unwrap();
            let found: usize = found.map(|batch| batch.unwrap().num_rows()).sum();
            let expected = records.iter().filter(|record| selection.times.contains(&record.ts)).count();
            assert_eq!(found, expected, "{first} to {last} in row groups of {row_group_rows}");
        }
    }
}
