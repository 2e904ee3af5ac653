//! Damage that no checksum shows: bytes are changed and the checksums made to fit. Where the full check then takes the
//! file, every way of reading it must give the same rows, or an error: some fields of Parquet matter only to who skips
//! rows.

use std::io::IoSlice;
use std::path::Path;

use tapebook_history::{HistoryError, HistoryFile, HistorySeal, Part, Selection, WriterOptions};
use tapebook_record::{Crc32c, Schemas, TableSchema};
use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use crate::model::{IDENTITY, PATH, Whole, quiet_decoder, write};
use crate::round_trip::rows_of;
use crate::series_reads::{collect, row_at, rows_with_ids};

const GRAIN_BYTES: usize = 16 * 1024;

fn crc(kind: u32, number: u64, bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::seeded(&IDENTITY.cluster_id.to_le_bytes());
    crc.update(&IDENTITY.file_id.to_le_bytes());
    crc.update(&kind.to_le_bytes());
    crc.update(&number.to_le_bytes());
    crc.update(bytes);
    crc.finish()
}

/// Gives the file checksums that fit; the directory is as long as it was.
fn reseal(bytes: &mut [u8], tail: usize, directory_bytes: usize) -> HistorySeal {
    let (grains, behind) = bytes.split_at_mut(tail);
    for (number, grain) in grains.chunks(GRAIN_BYTES).enumerate() {
        let at = directory_bytes + number * 4;
        behind[at..at + 4].copy_from_slice(&crc(1, number as u64, grain).to_le_bytes());
    }
    let tail_crc = crc(2, tail as u64, behind);
    HistorySeal { file_bytes: (tail + behind.len()) as u64, tail_bytes: behind.len() as u64, tail_crc }
}

/// Every way of reading, compared with a scan of everything. Returns how many of them gave an error.
fn check_reads(file: &HistoryFile, schema: &TableSchema) -> usize {
    let all = rows_of(file, &Selection::default());
    let id = schema.column_index("trade_id").unwrap();
    let mut errors = 0;
    let mut check = |found: Result<bool, HistoryError>| match found {
        Ok(right) => assert!(right),
        Err(error) => {
            assert!(error.to_string().starts_with(PATH), "{error}");
            errors += 1;
        }
    };
    let mut scan = file.rows_of(&Selection::default()).unwrap();
    while let Some(row) = scan.next().unwrap() {
        let found = file.get(row.symbol, row.ts, row.seq);
        check(found.map(|found| found.is_some_and(|found| row_at(&found) == Whole::from(row))));
        if let Some(of_row) = row.id(schema, id) {
            let found = file.by_id(id, of_row);
            check(found.map(|found| found.iter().any(|found| row_at(found) == Whole::from(row))));
        }
    }
    for span in file.all_series() {
        let (rows, times) =
            (&all[span.row_range().start as usize..span.row_range().end as usize], i64::MIN..=i64::MAX);
        let found = collect(file.blocks(&span.symbol, times.clone()));
        check(found.map(|found| found.iter().flatten().eq(rows)));
        let found = collect(file.blocks_backward(&span.symbol, times));
        check(found.map(|found| found.iter().rev().flatten().eq(rows)));
        let last = file.last(&span.symbol, span.ts_last, |_| true);
        check(last.map(|last| last.as_ref().map(row_at).as_ref() == rows.last()));
    }
    errors
}

#[test]
fn what_the_full_check_takes_reads_the_same_in_every_way() {
    quiet_decoder();
    let schema = Schemas::standard().by_name("trades").unwrap().clone();
    let rows: Vec<_> = (0..24_i64).map(|at| ((at / 9) as usize, at % 9, at as u8 % 12)).collect();
    let rows = rows_with_ids(&schema, &rows);
    let mut records = rows.records();
    records.sort_by_key(|record| (record.symbol, record.ts, record.seq));
    let vfs = MemoryVfs::new(1);
    let options = WriterOptions { row_group_rows: 10, ..WriterOptions::default() };
    let seal = write(&vfs, &schema, options, &records).seal;
    let good = vfs.read_file(Path::new(PATH), u64::MAX).unwrap();
    let tail = (seal.file_bytes - seal.tail_bytes) as usize;
    let series_bytes: usize = ["A", "AB", "B"].iter().map(|name| 44 + name.len()).sum();
    let reseal = |bytes: &mut [u8]| reseal(bytes, tail, 4 + series_bytes);
    assert_eq!(reseal(&mut good.clone()), seal);
    let damaged = vfs.open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
    let (mut taken, mut errors, mut refused, mut filters) = (0, 0, 0, 0);
    for at in (0..good.len()).step_by(19) {
        let mut bytes = good.clone();
        bytes[at] ^= [0x01, 0x10, 0xff][at % 3];
        let seal = reseal(&mut bytes);
        damaged.write_all_at(0, &[IoSlice::new(&bytes)]).unwrap();
        let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(seal), &schema);
        let checked = file.and_then(|file| file.verify().map(|()| file));
        match checked {
            Ok(file) => {
                errors += usize::from(check_reads(&file, &schema) > 0);
                taken += 1;
            }
            Err(error) => {
                assert!(error.to_string().starts_with(PATH), "byte {at}: {error}");
                let excluded = matches!(error, HistoryError::Structure { part: Part::Filters, .. });
                filters += usize::from(excluded);
                refused += 1;
            }
        }
    }
    let what = format!("{taken} taken, {errors} with errors, {refused} refused, {filters} for a filter");
    assert!(taken > 0 && errors * 10 < taken && refused > taken / 2 && filters > 0, "{what}");
}
