//! `docs/format/history.md` says what is in a file: a file is read here as the page says, without the crate's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use parquet::file::metadata::ParquetMetaDataReader;
use tapebook_history::WriterOptions;
use tapebook_record::codec::Decoder;
use tapebook_record::{Crc32c, Schemas};
use tapebook_vfs::{MemoryVfs, Vfs};

use crate::model::{IDENTITY, PATH, Row, Rows, Value, write};

const PAGE: &str = include_str!("../../../../docs/format/history.md");

fn crc(kind: u32, number: u64, bytes: &[u8]) -> u32 {
    let mut seed = IDENTITY.cluster_id.to_le_bytes().to_vec();
    seed.extend_from_slice(&IDENTITY.file_id.to_le_bytes());
    seed.extend_from_slice(&kind.to_le_bytes());
    seed.extend_from_slice(&number.to_le_bytes());
    let mut crc = Crc32c::seeded(&seed);
    crc.update(bytes);
    crc.finish()
}

#[test]
fn a_file_is_what_the_page_says() {
    let schema = Schemas::standard().by_name("trades").unwrap().clone();
    let id = schema.column_index("trade_id").unwrap();
    let rows: Vec<Row> = (0..6_000_i64)
        .map(|ts| {
            let mut row = Row::null(&schema, if ts < 2_500 { "A" } else { "é" }, ts);
            let text = format!("{:x}", (ts as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            row.values[id] = Some(Value { double: 0.0, int: 0, decimal: 0, text, levels: Vec::new() });
            row
        })
        .collect();
    let rows = Rows::new(&schema, &rows);
    let vfs = MemoryVfs::new(1);
    let seal = write(&vfs, &schema, WriterOptions::default(), &rows.records()).seal;
    let bytes = vfs.read_file(Path::new(PATH), u64::MAX).unwrap();

    let footer_end = bytes.len() - 8;
    assert_eq!((&bytes[..4], &bytes[footer_end + 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    let length = u32::from_le_bytes(bytes[footer_end..footer_end + 4].try_into().unwrap()) as usize;
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes[footer_end - length..footer_end]).unwrap();
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let pairs: BTreeMap<&str, &str> =
        pairs.iter().map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap())).collect();

    let table = PAGE.split("## Key-value metadata").nth(1).unwrap().split("## ").next().unwrap();
    let documented: BTreeSet<&str> = table.split('`').filter(|word| word.starts_with("tapebook.")).collect();
    assert_eq!(documented, pairs.keys().copied().collect());
    assert_eq!(pairs["tapebook.cluster_id"], "0000000000000000000000000000007a");
    assert_eq!((pairs["tapebook.ts"], pairs["tapebook.seq"]), ("0..=5999", "1..=6000"));
    assert_eq!((pairs["tapebook.table"], pairs["tapebook.retractions_through"]), ("trades", "5"));
    assert!(PAGE.contains(&format!("`tapebook.grain_bytes` | {}", pairs["tapebook.grain_bytes"])));

    let number = |key: &str| pairs[key].parse::<usize>().unwrap();
    let (data, tail) = bytes.split_at(number("tapebook.tail"));
    assert_eq!((seal.file_bytes, seal.tail_bytes), (bytes.len() as u64, tail.len() as u64));
    assert_eq!(seal.tail_crc, crc(2, data.len() as u64, tail));
    let (directory, rest) = tail.split_at(number("tapebook.directory_bytes"));
    let mut from = Decoder::new(directory);
    let mut series = Vec::new();
    for _ in 0..from.u32().unwrap() {
        let name = from.text().unwrap();
        let numbers = (from.u64().unwrap(), from.i64().unwrap(), from.i64().unwrap());
        series.push((name, numbers, (from.u64().unwrap(), from.u64().unwrap())));
    }
    from.finish().unwrap();
    assert_eq!(series, [("A", (2500, 0, 2499), (1, 2500)), ("é", (3500, 2500, 5999), (2501, 6000))]);
    let grains: Vec<&[u8]> = data.chunks(number("tapebook.grain_bytes")).collect();
    assert!(grains.len() > 2);
    for (at, grain) in grains.iter().enumerate() {
        let expected = u32::from_le_bytes(rest[at * 4..at * 4 + 4].try_into().unwrap());
        assert_eq!(expected, crc(1, at as u64, grain), "grain {at}");
    }
    let column = |name: &str| {
        let columns = metadata.row_group(0).columns().iter();
        columns.clone().find(|column| column.column_path().string() == name).unwrap()
    };
    assert!(column("trade_id").bloom_filter_offset().is_some());
    assert!(column("bid_order_id").bloom_filter_offset().is_none());
    assert!(metadata.row_group(0).columns().iter().all(|column| column.column_index_offset().is_some()));
}
