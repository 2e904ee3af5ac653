//! A plain matcher, which searches a list, makes the same trades from the same orders.

use std::collections::{BTreeMap, VecDeque};

use tapebook_market::{BookFeed, InstrumentSpec, Market, Row};
use tapebook_record::{Order, OrderStatus, OrderUpdate, Side, Trade};

use crate::audit::{self, Audit, instrument, lots, number, opposite, run, ticks};

#[derive(Clone, Debug)]
struct Plain {
    id: u64,
    account: String,
    side: Side,
    /// `None` takes any price.
    limit: Option<i64>,
    stays: bool,
    lots: i64,
}

#[derive(Debug, PartialEq)]
struct Expected {
    bid: u64,
    ask: u64,
    price: i64,
    lots: i64,
    aggressor: Side,
}

struct Replay {
    specs: Vec<InstrumentSpec>,
    /// By instrument, in the order of arrival.
    books: Vec<Vec<Plain>>,
    sent: BTreeMap<u64, Plain>,
    trades: Vec<VecDeque<Expected>>,
    taken_back: Vec<u64>,
    compared: u64,
    own_orders: u64,
}

impl Replay {
    fn new(market: &Market) -> Self {
        let specs = market.instruments().to_vec();
        Self {
            books: vec![Vec::new(); specs.len()],
            trades: specs.iter().map(|_| VecDeque::new()).collect(),
            specs,
            sent: BTreeMap::new(),
            taken_back: Vec::new(),
            compared: 0,
            own_orders: 0,
        }
    }

    fn sent(&mut self, row: &Order<'_>) {
        let spec = &self.specs[instrument(&self.specs, row.symbol)];
        let order = Plain {
            id: number(row.order_id),
            account: row.account.unwrap().to_string(),
            side: row.side.unwrap(),
            limit: row.price.map(|price| ticks(spec, Some(price))),
            stays: row.time_in_force == Some("gtc"),
            lots: lots(spec, row.size),
        };
        assert_eq!(row.kind == Some("market"), order.limit.is_none());
        self.sent.insert(order.id, order);
    }

    fn matched(&mut self, at: usize, mut order: Plain) {
        let book = &mut self.books[at];
        while order.lots > 0 {
            let sign = if order.side == Side::Buy { 1 } else { -1 };
            let best = book
                .iter()
                .enumerate()
                .filter(|(_, other)| other.side == opposite(order.side))
                .filter(|(_, other)| {
                    order.limit.is_none_or(|limit| (limit - other.limit.unwrap()) * sign >= 0)
                })
                .min_by_key(|(arrival, other)| (other.limit.unwrap() * sign, *arrival));
            let Some((found, _)) = best else {
                break;
            };
            let maker = &mut book[found];
            if maker.account == order.account {
                self.taken_back.push(maker.id);
                self.own_orders += 1;
                book.remove(found);
                continue;
            }
            let lots = order.lots.min(maker.lots);
            let (bid, ask) =
                if order.side == Side::Buy { (order.id, maker.id) } else { (maker.id, order.id) };
            let price = maker.limit.unwrap();
            self.trades[at].push_back(Expected { bid, ask, price, lots, aggressor: order.side });
            order.lots -= lots;
            maker.lots -= lots;
            if maker.lots == 0 {
                book.remove(found);
            }
        }
        if order.lots > 0 && order.stays {
            book.push(order);
        }
    }

    fn updated(&mut self, row: &OrderUpdate<'_>) {
        let at = instrument(&self.specs, row.symbol);
        let id = number(row.order_id);
        match (row.status.unwrap(), row.reason) {
            (OrderStatus::Accepted, _) => {
                let order = self.sent.remove(&id).expect("an accepted order was sent");
                self.matched(at, order);
            }
            (OrderStatus::Rejected, _) => drop(self.sent.remove(&id)),
            (OrderStatus::Cancelled, Some("by_account")) => {
                let found = self.books[at].iter().position(|order| order.id == id);
                self.books[at].remove(found.expect("a cancelled order stands in the book"));
            }
            (OrderStatus::Cancelled, Some("own_order")) => {
                let found = self.taken_back.iter().position(|other| *other == id);
                self.taken_back.remove(found.expect("the plain matcher took it back as well"));
            }
            _ => {}
        }
    }

    fn traded(&mut self, row: &Trade<'_>) {
        let at = instrument(&self.specs, row.symbol);
        let found = Expected {
            bid: number(row.bid_order_id),
            ask: number(row.ask_order_id),
            price: ticks(&self.specs[at], row.price),
            lots: lots(&self.specs[at], row.size),
            aggressor: row.side.unwrap(),
        };
        assert_eq!(self.trades[at].pop_front(), Some(found));
        self.compared += 1;
    }
}

impl Audit for Replay {
    fn row(&mut self, row: &Row<'_>) {
        match row {
            Row::Order(row) => self.sent(row),
            Row::OrderUpdate(row) => self.updated(row),
            Row::Trade(row) => self.traded(row),
            _ => {}
        }
    }

    fn event_end(&mut self, market: &Market) {
        assert!(self.trades.iter().all(VecDeque::is_empty), "trades are missing: {:?}", self.trades);
        assert!(self.taken_back.is_empty() && self.sent.is_empty());
        for (at, plain) in self.books.iter().enumerate() {
            assert_eq!(market.book(at).unwrap().len(), plain.len());
        }
    }
}

#[test]
fn the_trades_are_those_of_a_plain_matcher() {
    let mut own_orders = 0;
    for seed in 0..10 {
        let mut market = Market::new(audit::options(seed, BookFeed::Levels)).unwrap();
        let mut replay = Replay::new(&market);
        run(&mut market, 6_000, &mut replay);
        assert!(replay.compared > 1_000, "{}", replay.compared);
        own_orders += replay.own_orders;
    }
    assert!(own_orders > 0, "no order met one of its own account");
}
