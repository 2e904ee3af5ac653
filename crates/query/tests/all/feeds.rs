//! What SQL shows of producers and of gaps in their feeds.

use tapebook::{Batch, Durability, FeedNumbers, Producer, Trade};

use crate::support::Place;

fn send(place: &Place, id: u64, epoch: u32, batch_number: u64, numbers: &[u64]) {
    let mut batch = Batch::from_producer(Producer { id, epoch, batch_number });
    for number in numbers {
        let trade = Trade { symbol: "A", feed_seq: Some(*number), ..Trade::default() };
        batch.push(trade).expect("a valid row");
    }
    place.db.append(batch, Durability::Synced).expect("a log").wait().expect("a receipt");
}

fn declare(place: &Place, id: u64, numbers: FeedNumbers) {
    place.db.declare_feed(id, numbers).expect("a log").wait().expect("a receipt");
}

#[test]
fn producers_and_gaps_are_listed() {
    let place = Place::new();
    declare(&place, 7, FeedNumbers::PerSymbol);
    declare(&place, 9, FeedNumbers::PerChannel);
    send(&place, 7, 3, 1, &[10, 14]);
    send(&place, 9, 1, 1, &[1, 2]);
    send(&place, 7, 3, 2, &[15, 12]);
    send(&place, 9, 1, 2, &[5]);
    place.db.expire_producer(9).expect("a log").wait().expect("a receipt");
    let producers =
        "SELECT producer_id, epoch, last_batch_number, window, last_seq, expired, feed, gaps_unlisted
                     FROM sys.producers";
    assert_eq!(place.rows(producers), "7 3 2 2 6 false per symbol 0 | 9 1 2 0 7 true per channel 0");
    assert_eq!(place.rows("SELECT count(*) FROM sys.producers WHERE seen_at > '2024-01-01'"), "2");
    let gaps = "SELECT producer_id, table_name, symbol, from_feed_seq, to_feed_seq, seen_seq, closed_seq,
                       closed_at IS NULL
                FROM sys.gaps";
    assert_eq!(
        place.rows(gaps),
        "7 trades A 11 11 2 - true | 7 trades A 13 13 2 - true | 9 - - 3 4 7 - true | 7 trades A 12 12 2 6 false"
    );
}
