//! The worked example of `docs/format/sstable.md` is a file that this code writes and reads.

use tapebook_record::{Id, Schemas, Side};

use super::*;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format/sstable.md"));

fn example() -> Vec<Row> {
    let mut batch = Batch::new();
    let trade = Trade {
        symbol: "SHFE.cu2501",
        ts: 1_732_500_000_000_000_000,
        price: Some(74_210.0),
        size: Some(2.0),
        side: Some(Side::Buy),
        trade_id: Some(Id::Number(17)),
        ..Trade::default()
    };
    batch.push(trade).unwrap();
    batch.push(Trade { ts: trade.ts + 500_000_000, trade_id: Some(Id::from("x9")), ..trade }).unwrap();
    rows_of(&batch)
}

fn dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().filter(|(_, line)| line.iter().any(|byte| *byte != 0));
    lines
        .map(|(at, line)| {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:04x}  {}\n", at * 16, hex.join(" "))
        })
        .collect()
}

#[test]
fn the_example_is_what_the_code_writes() {
    let (vfs, _) = write(&example(), TableWriterOptions::default());
    let bytes = vfs.file_bytes(PATH).unwrap();
    let found = PAGE.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let found: String =
        found.lines().map(|line| format!("{}\n", line[..line.len().min(53)].trim_end())).collect();
    assert_eq!(found, dump(&bytes), "the example must be:\n{}", dump(&bytes));
}

#[test]
fn the_example_can_be_read_from_the_page() {
    let (_, summary) = write(&example(), TableWriterOptions::default());
    let mut bytes = vec![0; summary.file_bytes as usize];
    let hex = PAGE.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    for line in hex.lines() {
        let at = usize::from_str_radix(&line[..4], 16).unwrap();
        for (place, byte) in line[6..line.len().min(53)].split_whitespace().enumerate() {
            bytes[at + place] = u8::from_str_radix(byte, 16).unwrap();
        }
    }
    let table = Table::from_bytes(Path::new(PATH), AlignedBytes::from(&bytes[..]), IDENTITY).unwrap();
    table.verify(&Schemas::standard()).unwrap();
    read_all(&table, &example()).unwrap();
}
