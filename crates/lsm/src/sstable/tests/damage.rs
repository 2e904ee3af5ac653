//! Damaged, cut and foreign files: an error that names the place, or the right data; never a panic.

use tapebook_record::{AlignedBytes, Schemas, crc32c};

use super::super::footer::FOOTER_BYTES;
use super::super::identity::ChecksumKind;
use super::super::layout::PAGE_BYTES;
use super::super::{TableError, block::BLOCK_ENTRY_BYTES};
use super::*;

fn small_file() -> (Vec<Row>, Vec<u8>) {
    let rows = random_rows(&mut Numbers(11), 25);
    let (vfs, _) = write(&rows, small_blocks(400));
    (rows, vfs.file_bytes(PATH).unwrap())
}

fn from_bytes(bytes: &[u8]) -> Result<Arc<Table>, TableError> {
    Table::from_bytes(Path::new(PATH), AlignedBytes::from(bytes), IDENTITY)
}

#[test]
fn every_flipped_byte_is_found() {
    let (rows, good) = small_file();
    for position in 0..good.len() {
        for mask in [0xff, 0x01, 0x80] {
            let mut bytes = good.clone();
            bytes[position] ^= mask;
            let error = match from_bytes(&bytes) {
                Ok(table) => {
                    // Reading meets the damage or gives what was written; read_all compares.
                    let _ = read_all(&table, &rows);
                    table.verify(&Schemas::standard()).expect_err("the whole file is covered")
                }
                Err(error) => error,
            };
            let text = error.to_string();
            assert!(text.contains(PATH), "{text}");
            match error {
                TableError::Checksum { offset, .. } | TableError::Structure { offset, .. } => {
                    let reach = offset..offset + PAGE_BYTES as u64;
                    assert!(reach.contains(&(position as u64)), "byte {position}: {text}");
                }
                TableError::NotATable { .. } => assert!(position < 8, "byte {position}: {text}"),
                TableError::Length { .. } => assert!(position >= good.len() - 8, "byte {position}: {text}"),
                _ => panic!("byte {position}: {text}"),
            }
        }
    }
}

#[test]
fn a_damaged_block_does_not_hide_the_others() {
    let (rows, mut bytes) = small_file();
    bytes[64] ^= 1;
    let table = from_bytes(&bytes).unwrap();
    let (mut read, mut failed) = (0, 0);
    for series in [TRADES, ORDERS, BALANCES].iter().flat_map(|id| table.series_of(*id)) {
        for record in series.scan(TimeRange::ALL, Direction::Forward) {
            match record {
                Ok(_) => read += 1,
                Err(TableError::Checksum { offset: 64, .. }) => failed += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(failed >= 1 && read > rows.len() / 2, "{failed} failed, {read} read");
}

#[test]
fn a_file_that_is_cut_or_too_long_is_refused() {
    let (_, good) = small_file();
    for length in 0..good.len() {
        let error = from_bytes(&good[..length]).expect_err("it is cut");
        assert!(
            matches!(error, TableError::Length { .. } | TableError::NotATable { .. }),
            "{length}: {error}"
        );
    }
    for more in 1..300 {
        let mut bytes = good.clone();
        bytes.resize(good.len() + more, 0);
        assert!(matches!(from_bytes(&bytes), Err(TableError::Length { .. })));
    }
    // A second footer behind the first one.
    let mut bytes = good.clone();
    bytes.extend_from_slice(&good[good.len() - FOOTER_BYTES..]);
    assert!(matches!(from_bytes(&bytes), Err(TableError::Length { expected: Some(_), .. })));
}

#[test]
fn another_table_is_refused() {
    let (_, good) = small_file();
    for other in [TableIdentity { file_id: 43, ..IDENTITY }, TableIdentity { cluster_id: 1, ..IDENTITY }] {
        let error = Table::from_bytes(Path::new(PATH), AlignedBytes::from(&good[..]), other).unwrap_err();
        assert!(
            matches!(error, TableError::WrongIdentity { expected, found, .. } if expected == other && found == IDENTITY)
        );
    }
    let vfs = MemoryVfs::new(1);
    let missing = Table::open(&vfs, Path::new(PATH), IDENTITY).unwrap_err();
    assert!(matches!(missing, TableError::Io { .. }));
    let (vfs, _) = write(&[], TableWriterOptions::default());
    assert_eq!(TableIdentity::of_file(&vfs, Path::new(PATH)).unwrap(), IDENTITY);
}

#[test]
fn bytes_of_another_place_are_refused() {
    // Two blocks of equal length change places: each is whole, but its checksum belongs to the other place.
    let mut batch = Batch::new();
    for ts in 0..2 {
        batch.push(Trade { symbol: "A", ts, price: Some(1.0), ..Trade::default() }).unwrap();
    }
    let (vfs, summary) = write(&rows_of(&batch), small_blocks(64));
    assert_eq!(summary.blocks, 2);
    let mut bytes = vfs.file_bytes(PATH).unwrap();
    let (first, second) = bytes[64..64 + 256].split_at_mut(128);
    first.swap_with_slice(second);
    // Their checksums in the block index go with them.
    let index = open(&vfs).footer.sections[0].offset as usize;
    let (first, second) = bytes[index..].split_at_mut(BLOCK_ENTRY_BYTES);
    first[12..16].swap_with_slice(&mut second[12..16]);
    seal_sections(&mut bytes, &open(&vfs));
    let table = from_bytes(&bytes).unwrap();
    let error = table.series(TRADES, "A").unwrap().get(0, 1).unwrap_err();
    assert!(matches!(error, TableError::Checksum { .. }), "{error}");
}

#[test]
fn a_newer_format_is_refused_as_such() {
    let (_, mut bytes) = small_file();
    bytes[8] = 2;
    let crc = crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let error = from_bytes(&bytes).unwrap_err();
    assert!(matches!(error, TableError::NewerFormat { found: 2, .. }));
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn rows_of_layout_version_0_do_not_exist() {
    let (_, mut bytes) = small_file();
    let table = from_bytes(&bytes).unwrap();
    let layout = table.footer.sections[0].offset as usize + 18;
    assert_eq!(bytes[layout..layout + 2], [1, 0]);
    bytes[layout] = 0;
    seal_sections(&mut bytes, &table);
    let error = from_bytes(&bytes).unwrap_err();
    assert!(error.to_string().contains("without a layout version"), "{error}");
}

/// Whoever can write valid checksums can still not make a reader panic or read outside its block.
#[test]
fn wrong_fields_under_right_checksums_do_no_harm() {
    let (rows, good) = small_file();
    let original = from_bytes(&good).unwrap();
    let mut numbers = Numbers(23);
    let mut refused = 0;
    for position in 0..good.len() {
        for round in 0..5 {
            let mut bytes = good.clone();
            match round {
                0 => bytes[position] ^= 0xff,
                1 => bytes[position] = bytes[position].wrapping_add(1),
                2 => bytes[position] = bytes[position].wrapping_sub(1),
                3 => bytes[position..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
                _ => bytes[position] = numbers.next() as u8,
            }
            seal_all(&mut bytes, &original);
            let Ok(table) = from_bytes(&bytes) else {
                refused += 1;
                continue;
            };
            read_blindly(&table, &rows);
            let _ = table.verify(&Schemas::standard());
            let _ = table.report().to_string();
        }
    }
    assert!(refused > 1000, "{refused} refused");
}

/// What the parts say of each other is checked even where every checksum is right.
#[test]
fn parts_that_disagree_are_found() {
    let (_, good) = small_file();
    let original = from_bytes(&good).unwrap();
    let sections = [0, 1, 3].map(|number| original.footer.sections[number]);
    let mut ranges = sections.map(|section| section.offset..section.offset + section.length).to_vec();
    for column in &original.id_columns {
        ranges.push(column.index_offset..column.index_offset + column.index_length);
    }
    // Keys and places of the first block's entries.
    for entry in 0..u64::from(original.block_entry(0).entries) {
        let at = 64 + entry * 40;
        ranges.extend([at..at + 16, at + 32..at + 39]);
    }
    let mut changed = 0;
    for position in ranges.into_iter().flatten() {
        let mut bytes = good.clone();
        bytes[position as usize] = bytes[position as usize].wrapping_add(1);
        seal_all(&mut bytes, &original);
        if bytes == good {
            continue;
        }
        changed += 1;
        let whole = from_bytes(&bytes).and_then(|table| table.verify(&Schemas::standard()));
        assert!(whole.is_err(), "byte {position} is changed and nobody sees it");
    }
    assert!(changed > 1000, "{changed}");
}

fn read_blindly(table: &Table, rows: &[Row]) {
    let schemas = Schemas::standard();
    for id in (0..20).map(TableId) {
        for series in table.series_of(id) {
            for direction in [Direction::Forward, Direction::Backward] {
                let records =
                    series.scan(TimeRange { first: -10, last: 10 }, direction).map_while(Result::ok);
                records.for_each(|record| assert!(record.row.len() < 400));
                series.scan(TimeRange::ALL, direction).for_each(drop);
            }
            let _ = series.last_at(0);
            let _ = series.get(series.time_range().last, 3);
        }
    }
    for row in rows {
        for (column, _) in schemas.get(row.table).unwrap().id_columns() {
            if let Some(id) = row.id(column)
                && let Ok(matches) = table.by_id(row.table, column, id)
            {
                matches.for_each(drop);
            }
        }
    }
}

/// Gives every part a right checksum, at the places that `original` has.
fn seal_all(bytes: &mut [u8], original: &Table) {
    let crc = crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let index = original.footer.sections[0].offset as usize;
    for number in 0..original.block_count() {
        let block = original.block_entry(number);
        let mut crc = IDENTITY.checksum(ChecksumKind::Block, number);
        crc.update(&bytes[block.offset as usize..][..block.length as usize]);
        let at = index + number as usize * BLOCK_ENTRY_BYTES + 12;
        bytes[at..at + 4].copy_from_slice(&crc.finish().to_le_bytes());
    }
    let checksums = original.footer.sections[4].offset as usize;
    for column in &original.id_columns {
        let parts =
            [(column.filter_offset, column.filter_length), (column.index_offset, column.index_length)];
        for (page, (offset, length)) in (column.first_page..).zip(parts) {
            let mut crc = IDENTITY.checksum(ChecksumKind::Page, page);
            crc.update(&bytes[offset as usize..][..length as usize]);
            let at = checksums + page as usize * 4;
            bytes[at..at + 4].copy_from_slice(&crc.finish().to_le_bytes());
        }
    }
    seal_sections(bytes, original);
}

fn seal_sections(bytes: &mut [u8], original: &Table) {
    let footer = bytes.len() - FOOTER_BYTES;
    for (number, section) in original.footer.sections.iter().enumerate() {
        let mut crc = IDENTITY.checksum(ChecksumKind::Section, number as u32);
        crc.update(section.of(bytes));
        let at = footer + number * 24 + 16;
        bytes[at..at + 4].copy_from_slice(&crc.finish().to_le_bytes());
    }
    let mut crc = IDENTITY.checksum(ChecksumKind::Footer, 0);
    crc.update(&bytes[footer..footer + 180]);
    bytes[footer + 180..footer + 184].copy_from_slice(&crc.finish().to_le_bytes());
}
