//! Files of small tables, and the model that they are compared with.

mod damage;
mod format_page;
mod ids;
mod model;
mod refusals;

use std::path::Path;
use std::sync::Arc;

use tapebook_record::{
    AlignedBytes, Balance, Batch, Id, Order, RawRecord, Schemas, StandardTable, TableId, Trade,
};
use tapebook_vfs::{MemoryVfs, Vfs};

use super::{Table, TableIdentity, TableMeta, TableSummary, TableWriter, TableWriterOptions};
use crate::key::{Direction, TimeRange};

pub(super) const IDENTITY: TableIdentity = TableIdentity { cluster_id: 0x1234_5678_9abc, file_id: 42 };
pub(super) const PATH: &str = "/table.sst";
pub(super) const TRADES: TableId = <Trade<'static> as StandardTable>::ID;
pub(super) const ORDERS: TableId = <Order<'static> as StandardTable>::ID;
pub(super) const BALANCES: TableId = <Balance<'static> as StandardTable>::ID;

/// A record of the model.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) table: TableId,
    pub(super) symbol: String,
    pub(super) ts: i64,
    pub(super) seq: u64,
    pub(super) recv_ts: i64,
    pub(super) feed_seq: u64,
    pub(super) flags: u8,
    pub(super) layout: u16,
    pub(super) row: AlignedBytes,
}

impl Row {
    pub(super) fn raw(&self) -> RawRecord<'_> {
        RawRecord {
            ts: self.ts,
            seq: self.seq,
            recv_ts: self.recv_ts,
            feed_seq: self.feed_seq,
            flags: self.flags,
            layout: self.layout,
            symbol: &self.symbol,
            row: &self.row,
        }
    }

    pub(super) fn key(&self) -> (TableId, &[u8], i64, u64) {
        (self.table, self.symbol.as_bytes(), self.ts, self.seq)
    }

    pub(super) fn id(&self, column: usize) -> Option<Id<'_>> {
        self.raw().id(Schemas::standard().get(self.table)?, column)
    }
}

pub(super) fn assert_same(found: &RawRecord<'_>, expected: &Row) {
    assert_eq!((found.symbol, found.ts, found.seq), (expected.symbol.as_str(), expected.ts, expected.seq));
    assert_eq!((found.recv_ts, found.feed_seq, found.flags, found.layout), {
        (expected.recv_ts, expected.feed_seq, expected.flags, expected.layout)
    });
    assert_eq!(found.row, &expected.row[..]);
    assert!(found.row.as_ptr().addr().is_multiple_of(8));
}

/// The rows of a batch, numbered from 1 on.
pub(super) fn rows_of(batch: &Batch) -> Vec<Row> {
    let batch = batch.encode();
    let symbols: Vec<&str> = batch.symbols().collect();
    (0..batch.len())
        .map(|at| {
            let header = batch.row_header(at);
            Row {
                table: header.table,
                symbol: symbols[header.symbol as usize].to_owned(),
                ts: header.ts,
                seq: at as u64 + 1,
                recv_ts: header.recv_ts,
                feed_seq: header.feed_seq,
                flags: header.flags,
                layout: header.layout,
                row: AlignedBytes::from(batch.row(&header)),
            }
        })
        .collect()
}

/// A generator of numbers that are the same in every run (splitmix64).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Rows of three tables (balances have rows aligned to 16) with few symbols, times and ids, so that they collide.
pub(super) fn random_rows(numbers: &mut Numbers, count: u64) -> Vec<Row> {
    let mut batch = Batch::new();
    let venues = ["", "SHFE", "a venue with a long name that makes the row longer than the others are"];
    for _ in 0..count {
        let symbol = ["A", "AB", "B", "SHFE.cu2501", "é", "z"][numbers.below(6) as usize];
        let ts = numbers.below(40) as i64 - 20;
        let number = Id::Number(numbers.below(30));
        let text = ["x", "order-1", "order-2", "00"][numbers.below(4) as usize];
        let id = match numbers.below(4) {
            0 => None,
            1 => Some(Id::from(text)),
            _ => Some(number),
        };
        let recv_ts = (numbers.below(2) == 0).then_some(ts + 5);
        let feed_seq = (numbers.below(2) == 0).then(|| numbers.below(100));
        let pushed = match numbers.below(3) {
            0 => batch.push(Trade {
                symbol,
                ts,
                recv_ts,
                feed_seq,
                price: Some(numbers.below(1000) as f64),
                trade_id: id,
                venue: Some(venues[numbers.below(3) as usize]),
                ..Trade::default()
            }),
            1 => batch.push(Order {
                symbol,
                ts,
                recv_ts,
                feed_seq,
                order_id: id,
                account: Some(number),
                ..Order::default()
            }),
            _ => batch.push(Balance {
                symbol,
                ts,
                recv_ts,
                feed_seq,
                account: id,
                balance: Some(i128::from(numbers.next())),
                ..Balance::default()
            }),
        };
        pushed.expect("a small batch");
    }
    let mut rows = rows_of(&batch);
    rows.sort_by(|a, b| a.key().cmp(&b.key()));
    rows
}

pub(super) fn write(rows: &[Row], options: TableWriterOptions) -> (MemoryVfs, TableSummary) {
    let vfs = MemoryVfs::new(1);
    let mut writer =
        TableWriter::create(&vfs, Path::new(PATH), IDENTITY, &Schemas::standard(), options).unwrap();
    for row in rows {
        writer.add(row.table, &row.raw()).unwrap();
    }
    let summary =
        writer.finish(TableMeta { level: 3, retractions_through: 9, ..TableMeta::default() }).unwrap();
    (vfs, summary)
}

pub(super) fn small_blocks(block_bytes: usize) -> TableWriterOptions {
    TableWriterOptions { block_bytes, ..TableWriterOptions::default() }
}

pub(super) fn open(vfs: &dyn Vfs) -> Arc<Table> {
    Table::open(vfs, Path::new(PATH), IDENTITY).unwrap()
}

/// Reads everything in every way and compares with `rows` until the first error.
pub(super) fn read_all(table: &Table, rows: &[Row]) -> Result<(), super::TableError> {
    for series in rows.chunk_by(|a, b| (a.table, &a.symbol) == (b.table, &b.symbol)) {
        let Some(found) = table.series(series[0].table, &series[0].symbol) else {
            panic!("{} is missing", series[0].symbol);
        };
        let mut expected = series.iter();
        for record in found.scan(TimeRange::ALL, Direction::Forward) {
            assert_same(&record?, expected.next().expect("no more records than were written"));
        }
        assert!(expected.next().is_none());
        for record in found.scan(TimeRange { first: 0, last: 10 }, Direction::Backward) {
            assert!(TimeRange { first: 0, last: 10 }.contains(record?.ts));
        }
        for row in series {
            assert_same(&found.get(row.ts, row.seq)?.expect("the record"), row);
        }
    }
    let schemas = Schemas::standard();
    for row in rows {
        for (column, _) in schemas.get(row.table).unwrap().id_columns() {
            let Some(id) = row.id(column) else { continue };
            let mut seen = false;
            for record in table.by_id(row.table, column, id)? {
                seen |= record?.seq == row.seq;
            }
            assert!(seen, "{id} is not found");
        }
    }
    Ok(())
}

#[test]
fn tables_and_scans_go_to_other_threads() {
    fn goes<T: Send + Sync>() {}
    goes::<Table>();
    goes::<super::Scan<'static>>();
    goes::<super::IdMatches<'static, 'static>>();
}

#[test]
fn an_empty_table_can_be_opened() {
    let (vfs, summary) = write(&[], TableWriterOptions::default());
    assert_eq!((summary.rows, summary.blocks, summary.series), (0, 0, 0));
    let table = open(&vfs);
    table.verify(&Schemas::standard()).unwrap();
    assert!(table.series(TRADES, "A").is_none());
    assert_eq!(table.series_of(TRADES).count(), 0);
    assert_eq!(table.seq_range(), None);
    assert!(table.time_range().is_empty());
    assert!(table.by_id(TRADES, 3, Id::Number(1)).unwrap().next().is_none());
}
