//! Readers beside a writer: each sees exactly the rows up to its sequence number, across sealing and merging.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;
use crate::key::{Direction, TimeRange};

const ROWS: u64 = 60_000;
const BATCH_ROWS: u64 = 150;

/// The row with this number: two symbols, one in order, one so disordered that its tail is sealed all the time.
fn row(seq: u64) -> Row {
    let scattered = (seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as i64;
    let is_ordered = seq.is_multiple_of(4);
    Row {
        quote: false,
        symbol: u32::from(is_ordered),
        ts: if is_ordered { seq as i64 } else { scattered },
        trade_id: Some((seq % 977).to_string()),
    }
}

/// What a reader must find at `visible_seq`.
fn expected(symbol: u32, visible_seq: u64) -> Vec<(i64, u64)> {
    let rows = (1..=visible_seq).map(|seq| (row(seq), seq)).filter(|(row, _)| row.symbol == symbol);
    let mut keys: Vec<_> = rows.map(|(row, seq)| (row.ts, seq)).collect();
    keys.sort_unstable();
    keys
}

fn read(table: &MemTable, visible_seq: u64, symbols: &Symbols) {
    for symbol in [0, 1] {
        let series = Series { table: TRADES, symbol };
        let mut keys = expected(symbol, visible_seq);
        let found = table.series(series, visible_seq, symbols).unwrap();
        assert_eq!(found.len(), keys.len());
        let last = found.last_at(i64::MAX).map(|row| key_of(series, row));
        assert_eq!(last, keys.last().copied());
        assert!(
            found
                .scan(TimeRange::ALL, Direction::Forward)
                .map(|row| key_of(series, row))
                .eq(keys.iter().copied())
        );
        keys.reverse();
        assert!(
            found
                .scan(TimeRange::ALL, Direction::Backward)
                .map(|row| key_of(series, row))
                .eq(keys.iter().copied())
        );
        let (ts, seq) = keys[keys.len() / 2];
        assert!(found.get(ts, seq).is_some());
    }
    let schema = <Trade<'static> as StandardTable>::schema();
    let column = schema.column_index("trade_id").unwrap();
    let found = table.by_id(schema, column, Id::from("7"), visible_seq, symbols).map(|(_, row)| row.seq);
    let mut seqs: Vec<u64> = (1..=visible_seq).filter(|seq| seq % 977 == 7).collect();
    seqs.reverse();
    assert!(found.eq(seqs));
}

#[test]
fn readers_see_exactly_the_rows_up_to_their_number() {
    let table = MemTable::new(1);
    let visible = AtomicU64::new(0);
    let symbols = symbols(2);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let visible_seq = visible.load(Ordering::Acquire);
                    if visible_seq > 0 {
                        read(&table, visible_seq, &symbols);
                        // What was visible once stays what it was.
                        read(&table, visible_seq / 2 + 1, &symbols);
                    }
                    if visible_seq == ROWS {
                        return;
                    }
                }
            });
        }
        for first_seq in (1..=ROWS).step_by(BATCH_ROWS as usize) {
            let rows: Vec<Row> = (first_seq..first_seq + BATCH_ROWS).map(row).collect();
            let (batch, handles) = batch(&rows, first_seq);
            table.insert(batch, first_seq, &handles);
            visible.store(first_seq + BATCH_ROWS - 1, Ordering::Release);
        }
    });
}
