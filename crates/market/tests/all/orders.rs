//! What is told of an order follows the rules, and its executions add up to what its updates say.

use std::collections::{BTreeMap, BTreeSet};

use tapebook_market::{BookFeed, InstrumentSpec, Market, Row};
use tapebook_record::{Execution, Id, Liquidity, OrderStatus, OrderUpdate, Side};

use crate::audit::{self, Audit, instrument, lots, number, run};

#[derive(Debug)]
struct Told {
    account: String,
    side: Side,
    size: i64,
    filled: i64,
    cost: f64,
    status: Option<OrderStatus>,
}

struct Orders {
    specs: Vec<InstrumentSpec>,
    orders: BTreeMap<u64, Told>,
    /// For each pair of executions: the sides of its trade.
    executions: BTreeMap<u64, (Liquidity, Side, String)>,
    seen: BTreeSet<String>,
    last_ts: i64,
}

fn done(status: Option<OrderStatus>) -> bool {
    matches!(status, Some(OrderStatus::Filled | OrderStatus::Cancelled | OrderStatus::Rejected))
}

impl Orders {
    fn updated(&mut self, row: &OrderUpdate<'_>) {
        use OrderStatus::{Accepted, Cancelled, Filled, PartiallyFilled, Rejected};
        let spec = &self.specs[instrument(&self.specs, row.symbol)];
        let order = self.orders.get_mut(&number(row.order_id)).expect("the order was sent before");
        assert_eq!(row.account, Some(Id::from(order.account.as_str())));
        let status = row.status.unwrap();
        let legal = matches!(
            (order.status, status),
            (None, Accepted | Rejected)
                | (Some(Accepted | PartiallyFilled), PartiallyFilled | Filled | Cancelled)
        );
        assert!(legal, "{:?} after {:?}", status, order.status);
        order.status = Some(status);
        let (filled, remaining) = (lots(spec, row.filled), lots(spec, row.remaining));
        assert_eq!(filled, order.filled, "the executions so far add up to what is filled");
        match status {
            Accepted => assert_eq!((filled, remaining), (0, order.size)),
            PartiallyFilled => assert!(filled > 0 && remaining > 0 && filled + remaining == order.size),
            Filled => assert_eq!((filled, remaining), (order.size, 0)),
            Rejected => assert_eq!((filled, remaining), (0, 0)),
            _ => assert!(filled < order.size && remaining == 0),
        }
        assert_eq!(row.reason.is_some(), matches!(status, Cancelled | Rejected));
        assert_eq!(row.average_price.is_some(), filled > 0);
        if let Some(average) = row.average_price {
            let expected = order.cost / row.filled.unwrap();
            assert!((average / expected - 1.0).abs() < 1e-9, "{average} {expected}");
        }
        self.seen.insert(format!("{} {}", status.as_str(), row.reason.unwrap_or("")));
    }

    fn executed(&mut self, row: &Execution<'_>) {
        let spec = &self.specs[instrument(&self.specs, row.symbol)];
        let order = self.orders.get_mut(&number(row.order_id)).expect("the order was sent before");
        assert!(!done(order.status) && order.status.is_some());
        assert_eq!((row.account, row.side), (Some(Id::from(order.account.as_str())), Some(order.side)));
        order.filled += lots(spec, row.size);
        order.cost += row.price.unwrap() * row.size.unwrap();
        let id = number(row.execution_id);
        let (liquidity, side) = (row.liquidity.unwrap(), row.side.unwrap());
        let known = self.executions.insert(id, (liquidity, side, order.account.clone()));
        assert!(known.is_none(), "an execution has a number of its own");
    }
}

impl Audit for Orders {
    fn row(&mut self, row: &Row<'_>) {
        match row {
            Row::Order(row) => {
                let spec = &self.specs[instrument(&self.specs, row.symbol)];
                assert!(row.ts >= self.last_ts);
                self.last_ts = row.ts;
                let told = Told {
                    account: row.account.unwrap().to_string(),
                    side: row.side.unwrap(),
                    size: lots(spec, row.size),
                    filled: 0,
                    cost: 0.0,
                    status: None,
                };
                assert!(self.orders.insert(number(row.order_id), told).is_none());
            }
            Row::OrderUpdate(row) => self.updated(row),
            Row::Execution(row) => self.executed(row),
            Row::Trade(row) => {
                let trade = number(row.trade_id);
                let (maker, taker) = (&self.executions[&(2 * trade - 1)], &self.executions[&(2 * trade)]);
                assert_eq!((maker.0, taker.0), (Liquidity::Maker, Liquidity::Taker));
                assert_eq!(row.side, Some(taker.1));
                assert_ne!((maker.1, &maker.2), (taker.1, &taker.2), "two sides and two accounts");
            }
            _ => {}
        }
    }

    fn event_end(&mut self, market: &Market) {
        for order in self.orders.values() {
            assert!(order.status.is_some(), "every order is answered: {order:?}");
        }
        let standing: usize = (0..self.specs.len()).map(|at| market.book(at).unwrap().len()).sum();
        self.orders.retain(|_, order| !done(order.status));
        assert_eq!(self.orders.len(), standing, "an order stands in the book until it is said to be done");
        self.executions.clear();
    }
}

#[test]
fn the_states_of_every_order_are_legal() {
    let mut seen = BTreeSet::new();
    for seed in 20..26 {
        let mut market = Market::new(audit::options(seed, BookFeed::Levels)).unwrap();
        let mut orders = Orders {
            specs: market.instruments().to_vec(),
            orders: BTreeMap::new(),
            executions: BTreeMap::new(),
            seen: BTreeSet::new(),
            last_ts: 0,
        };
        run(&mut market, 5_000, &mut orders);
        seen.append(&mut orders.seen);
    }
    let expected = [
        "accepted ",
        "cancelled by_account",
        "cancelled immediate_or_cancel",
        "cancelled no_liquidity",
        "cancelled own_order",
        "filled ",
        "partially_filled ",
        "rejected insufficient_funds",
        "rejected price_limit",
    ];
    assert!(seen.iter().map(String::as_str).eq(expected), "{seen:?}");
}
