//! Batches from outside and from the log.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::{AS_IT_IS, rows, seal, split};
use tapebook_record::{AlignedBytes, EncodedBatch, RawRecord, Schemas, SharedBytes, TableId};

fuzz_target!(|input: &[u8]| {
    let (mode, bytes) = split(input);
    let mut bytes = AlignedBytes::from(bytes);
    if mode != AS_IT_IS {
        seal::batch(&mut bytes);
    }
    let bytes = SharedBytes::from(bytes);
    let schemas = Schemas::standard();
    let from_log = EncodedBatch::from_log(bytes.clone());
    match (EncodedBatch::check(bytes, &schemas), from_log) {
        (Ok(_), Err(error)) => panic!("the log would refuse what was taken from outside: {error}"),
        (Ok(batch), Ok(_)) => read(&batch, &schemas, true),
        (Err(_), Ok(batch)) => read(&batch, &schemas, false),
        (Err(_), Err(_)) => {}
    }
});

fn read(batch: &EncodedBatch, schemas: &Schemas, checked: bool) {
    let names: Vec<&str> = batch.symbols().collect();
    for row in 0..batch.len() {
        let header = batch.row_header(row);
        let name = names.get(header.symbol as usize).copied();
        assert!(name.is_some() || !checked, "a checked row has a symbol");
        let raw = RawRecord {
            ts: header.ts,
            seq: row as u64 + 1,
            recv_ts: header.recv_ts,
            feed_seq: header.feed_seq,
            flags: header.flags,
            layout: header.layout,
            symbol: name.unwrap_or("?"),
            row: batch.row(&header),
        };
        // What comes from the log was not looked at again: its rows can be those of any table.
        let table = if checked { header.table } else { TableId(1 + (row % 12) as u16) };
        if let Some(schema) = schemas.get(table) {
            // The typed form of a row is that of the newest layout, whatever the header says.
            rows::read(table, schema, &RawRecord { layout: schema.layout, ..raw });
            if checked {
                rows::write_again(schema, &raw);
            }
        }
    }
}
