//! The fast generator keeps its promises: order, lateness, shares, numbering, and batches without seams.

use std::collections::BTreeMap;

use tapebook_market::{Row, generator};
use tapebook_record::{Batch, EncodedBatch, Schemas, StandardRow};

#[test]
fn rows_come_in_order_numbered_and_skewed() {
    let mut ticks = generator::ticks(3, 1_000, 1.0).unwrap();
    let mut last = 0;
    let mut numbers = BTreeMap::<(String, bool), u64>::new();
    let mut trades = 0;
    for _ in 0..200_000 {
        let row = ticks.next_row();
        assert!(row.ts() > last && row.recv_ts().unwrap() > row.ts());
        last = row.ts();
        let trade = matches!(row, Row::Trade(_));
        trades += u64::from(trade);
        let number = numbers.entry((row.symbol().to_owned(), trade)).or_default();
        *number += 1;
        assert_eq!(row.feed_seq(), Some(*number));
        if let Row::Quote(row) = row {
            assert!(row.bid_price < row.ask_price);
        }
    }
    assert!((38_000..42_000).contains(&trades), "{trades}");
    let rows = |rank: u32| {
        let name = format!("GEN.S{rank:06}");
        numbers.iter().filter(|(key, _)| key.0 == name).map(|(_, count)| count).sum::<u64>()
    };
    let (first, tenth) = (rows(1), rows(10));
    assert!((7 * tenth..14 * tenth).contains(&first), "{first} {tenth}");
}

#[test]
fn the_late_share_is_late_and_no_later_than_said() {
    let mut ticks = generator::ticks(3, 50, 0.0).unwrap().late(0.25, 1_000_000).start(0).gap(100);
    let mut late = 0;
    for _ in 0..100_000 {
        let row = ticks.next_row();
        let delay = row.recv_ts().unwrap() - 100_000 - row.ts();
        assert!((0..=1_000_000).contains(&delay));
        late += u64::from(delay > 0);
    }
    assert!((24_000..26_000).contains(&late), "{late}");
}

#[test]
fn batches_go_on_where_the_last_one_was_full() {
    let mut one = generator::ticks(5, 300, 0.8).unwrap().trades(0.5).burst(2);
    let mut other = one.clone();
    for _ in 0..5 {
        let mut batch = Batch::new();
        let rows = one.fill_batch(&mut batch, usize::MAX).unwrap();
        assert!(rows > 500);
        let encoded = batch.encode();
        EncodedBatch::check(encoded.bytes().clone(), &Schemas::standard()).unwrap();
        for at in 0..rows {
            let (header, row) = (encoded.row_header(at), other.next_row());
            assert_eq!((header.ts, Some(header.feed_seq)), (row.ts(), row.feed_seq()));
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    assert!(generator::ticks(0, 0, 1.0).is_err());
    assert!(generator::ticks(0, u32::MAX, 1.0).is_err());
    assert!(generator::ticks(0, 10, f64::NAN).is_err());
    assert!(generator::ticks(0, 10, -1.0).is_err());
}
