//! The book that follows from `book_deltas` is the venue's, its best prices are the last quote, and nothing crosses.

use std::collections::BTreeMap;

use tapebook_market::{BookFeed, InstrumentSpec, Market, MarketOptions, Row};
use tapebook_record::{Action, BookDelta, BookSide, Level, Quote, Side};

use crate::audit::{self, Audit, instrument, lots, number, run, ticks};

#[derive(Default)]
struct Rebuilt {
    /// Lots by price in ticks, from `set`.
    levels: [BTreeMap<i64, i64>; 2],
    /// `(side, price, lots)` by order, from `add`, `fill` and `delete`.
    orders: BTreeMap<u64, (usize, i64, i64)>,
    quote: [Option<(i64, i64)>; 2],
    open_message: bool,
    feed_seq: u64,
}

struct Books {
    specs: Vec<InstrumentSpec>,
    books: Vec<Rebuilt>,
    snapshots: Vec<(usize, Vec<Level>, Vec<Level>)>,
    rows: u64,
    snapshot_rows: u64,
}

fn place(side: BookSide) -> usize {
    usize::from(side == BookSide::Ask)
}

impl Books {
    fn new(market: &Market) -> Self {
        let specs = market.instruments().to_vec();
        let books = specs.iter().map(|_| Rebuilt::default()).collect();
        Self { specs, books, snapshots: Vec::new(), rows: 0, snapshot_rows: 0 }
    }

    fn delta(&mut self, row: &BookDelta<'_>) {
        let at = instrument(&self.specs, row.symbol);
        let (spec, book) = (&self.specs[at], &mut self.books[at]);
        self.rows += 1;
        self.snapshot_rows += u64::from(row.snapshot == Some(true));
        book.open_message = row.event_end == Some(false);
        book.feed_seq += 1;
        assert_eq!(row.feed_seq, Some(book.feed_seq));
        let side = place(row.side.unwrap());
        if row.action == Some(Action::Clear) {
            book.levels[side].clear();
            book.orders.retain(|_, order| order.0 != side);
            return;
        }
        let (price, lots) = (ticks(spec, row.price), lots(spec, row.size));
        match row.action.unwrap() {
            Action::Set if lots == 0 => {
                assert!(book.levels[side].remove(&price).is_some(), "a level that was not there is removed");
            }
            Action::Set => drop(book.levels[side].insert(price, lots)),
            Action::Add => {
                assert_eq!(book.orders.insert(number(row.order_id), (side, price, lots)), None);
            }
            Action::Fill => {
                let id = number(row.order_id);
                let order = book.orders.get_mut(&id).expect("a filled order stands in the book");
                assert_eq!((order.0, order.1), (side, price));
                order.2 -= lots;
                if order.2 == 0 {
                    book.orders.remove(&id);
                }
            }
            Action::Delete => {
                assert_eq!(book.orders.remove(&number(row.order_id)), Some((side, price, lots)));
            }
            other => panic!("{other:?}"),
        }
    }

    fn quote(&mut self, row: &Quote<'_>) {
        let at = instrument(&self.specs, row.symbol);
        let spec = &self.specs[at];
        let level = |price: Option<f64>, size| price.map(|_| (ticks(spec, price), lots(spec, size)));
        let quote = [level(row.bid_price, row.bid_size), level(row.ask_price, row.ask_size)];
        assert_ne!(self.books[at].quote, quote, "a quote comes only when it is another one");
        self.books[at].quote = quote;
    }
}

impl Audit for Books {
    fn row(&mut self, row: &Row<'_>) {
        match row {
            Row::BookDelta(row) => self.delta(row),
            Row::Quote(row) => self.quote(row),
            Row::BookSnapshot(row) => {
                let at = instrument(&self.specs, row.symbol);
                self.snapshots.push((at, row.bids.unwrap().to_vec(), row.asks.unwrap().to_vec()));
            }
            _ => {}
        }
    }

    fn event_end(&mut self, market: &Market) {
        for (at, rebuilt) in self.books.iter_mut().enumerate() {
            assert!(!rebuilt.open_message, "the last row of a message is marked");
            let book = market.book(at).unwrap();
            for (place, side) in [Side::Buy, Side::Sell].into_iter().enumerate() {
                let mut levels = rebuilt.levels[place].clone();
                for (_, price, lots) in rebuilt.orders.values().filter(|order| order.0 == place) {
                    *levels.entry(*price).or_default() += lots;
                }
                let mut levels: Vec<(i64, i64)> = levels.into_iter().collect();
                if side == Side::Buy {
                    levels.reverse();
                }
                assert!(book.levels(side).eq(levels.iter().copied()), "{side:?} {levels:?}");
                assert_eq!(rebuilt.quote[place], book.best(side), "the last quote is the best of the book");
            }
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
                assert!(bid.0 < ask.0, "the book is crossed: {bid:?} {ask:?}");
            }
        }
        for (at, bids, asks) in self.snapshots.drain(..) {
            let (spec, book) = (&self.specs[at], market.book(at).unwrap());
            for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
                let levels =
                    levels.iter().map(|level| (ticks(spec, Some(level.price)), lots(spec, Some(level.size))));
                assert!(book.levels(side).eq(levels));
            }
        }
    }
}

#[test]
fn the_book_follows_from_its_levels() {
    for seed in 0..6 {
        let mut market = Market::new(audit::options(seed, BookFeed::Levels)).unwrap();
        let mut books = Books::new(&market);
        run(&mut market, 6_000, &mut books);
        assert!(books.rows > 10_000);
    }
}

#[test]
fn the_book_follows_from_its_orders() {
    for seed in 10..16 {
        let mut market = Market::new(audit::options(seed, BookFeed::Orders)).unwrap();
        let mut books = Books::new(&market);
        run(&mut market, 6_000, &mut books);
        assert!(books.rows > 10_000);
    }
}

#[test]
fn a_snapshot_in_the_deltas_changes_nothing() {
    for book_feed in [BookFeed::Levels, BookFeed::Orders] {
        let options = MarketOptions { delta_snapshots: true, ..audit::options(3, book_feed) };
        let mut market = Market::new(options).unwrap();
        let mut books = Books::new(&market);
        run(&mut market, 6_000, &mut books);
        assert!(books.snapshot_rows > 500);
    }
}
