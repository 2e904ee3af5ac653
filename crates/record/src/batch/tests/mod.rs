//! A trade and a book delta by hand. Random rows of every table are in `tables/tests.rs`; here is also what is
//! refused, what damage does, and the example of the format page.

mod damage;
mod document;
mod refusals;
mod select;

use super::*;
use crate::tables::{Action, BookDelta, BookSide, Side, StandardTable, Trade};
use crate::{Id, Record, Schemas};

#[test]
fn a_trade_comes_back_as_it_was_pushed() {
    let mut batch = Batch::new();
    let trade = Trade {
        symbol: "BINANCE.BTCUSDT",
        ts: 7,
        price: Some(61_800.2),
        side: Some(Side::Sell),
        trade_id: Some(Id::from("3535188229")),
        bid_order_id: Some(Id::from("0017")),
        venue: Some("BINANCE"),
        conditions: Some(""),
        feed_seq: Some(9),
        ..Trade::default()
    };
    batch.push(trade).unwrap();
    batch
        .push(BookDelta {
            symbol: "X",
            ts: 8,
            side: Some(BookSide::Ask),
            action: Some(Action::Delete),
            event_end: Some(false),
            snapshot: None,
            ..BookDelta::default()
        })
        .unwrap();
    let encoded = batch.encode();
    let again = EncodedBatch::check(encoded.bytes().clone(), &Schemas::standard()).unwrap();
    assert_eq!(again.symbols().collect::<Vec<_>>(), ["BINANCE.BTCUSDT", "X"]);
    let (table, raw) = again.rows().get(0, 1).unwrap();
    assert_eq!((table, raw.symbol), (<Trade<'_> as StandardTable>::ID, "BINANCE.BTCUSDT"));
    assert!(again.rows().get(2, 3).is_none());
    let read = Record::<Trade>::new(raw).unwrap();
    assert_eq!(read.price(), Some(61_800.2));
    assert_eq!(read.size(), None);
    assert_eq!(read.side(), Some(Side::Sell));
    assert_eq!(read.trade_id(), Some(Id::Number(3_535_188_229)));
    assert_eq!(read.bid_order_id(), Some(Id::Text("0017")));
    assert_eq!(read.venue(), Some("BINANCE"));
    assert_eq!(read.conditions(), Some(""));
    assert_eq!(read.feed_seq(), Some(9));
    assert_eq!(read.recv_ts(), None);
}
