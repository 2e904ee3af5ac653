//! The venue: takes orders, checks and holds the money for them, has them matched, settles, and reports.
//!
//! *Invariant*: what an open order holds back is always enough for what is left of it, fees included, so that
//! settling never fails. Fees are rounded down, and the fee of a whole is never less than those of its parts.

use tapebook_record::{Balance, Execution, Id, Liquidity, Order, OrderStatus, OrderUpdate, Position, Side};

use crate::account::Ledger;
use crate::delivery::{Delivery, Name, Parcel};
use crate::feed::{Feed, Print};
use crate::instrument::{Contract, money};
use crate::matching::{Incoming, Match, fills_ahead, match_order};
use crate::order_book::{OrderBook, RestingOrder};
use crate::position::NetPosition;

/// The account that all fees go to.
pub(crate) const FEE_ACCOUNT: u32 = 0;

/// How an order may trade.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Terms {
    /// At this price or better, in ticks; the rest stands in the book.
    Limit(i64),
    /// At this price or better, in ticks; the rest is cancelled.
    LimitNow(i64),
    /// At any price; the rest is cancelled.
    Market,
}

/// An order as a participant sends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderRequest {
    pub(crate) account: u32,
    pub(crate) side: Side,
    pub(crate) terms: Terms,
    /// At least 1.
    pub(crate) lots: i64,
}

/// One instrument as the venue runs it.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) contract: Contract,
    pub(crate) base: u32,
    pub(crate) quote: u32,
    pub(crate) book: OrderBook,
    pub(crate) feed: Feed,
    /// By account.
    pub(crate) positions: Vec<NetPosition>,
}

/// All books and all accounts.
#[derive(Clone, Debug)]
pub(crate) struct Venue {
    pub(crate) listings: Vec<Listing>,
    pub(crate) ledger: Ledger,
    pub(crate) delivery: Delivery,
    pub(crate) maker_fee_ppm: u32,
    pub(crate) taker_fee_ppm: u32,
    pub(crate) order_count: u64,
    pub(crate) trade_count: u64,
    /// Orders sent, by account.
    pub(crate) sent: Vec<u64>,
    pub(crate) steps: Vec<Match>,
    pub(crate) touched: Vec<(u32, u32)>,
    pub(crate) traded_accounts: Vec<u32>,
}

/// One side of a fill.
#[derive(Clone, Copy, Debug)]
struct Fill {
    order_id: u64,
    account: u32,
    side: Side,
    price: i64,
    lots: i64,
    fee_units: i128,
    liquidity: Liquidity,
}

impl Venue {
    /// Handles an order; its number where (the rest of) it stands in the book afterwards.
    pub(crate) fn submit(&mut self, now: i64, instrument: usize, request: OrderRequest) -> Option<u64> {
        self.order_count += 1;
        let OrderRequest { account, side, terms, lots } = request;
        let mut order = RestingOrder {
            id: self.order_count,
            account,
            side,
            price: 0,
            lots,
            filled: 0,
            notional_units: 0,
            frozen_units: 0,
        };
        self.report_order(now, instrument, order.id, request);
        let limit = match terms {
            Terms::Limit(price) | Terms::LimitNow(price) => Some(price),
            Terms::Market => None,
        };
        let (lower, upper) = self.listings[instrument].feed.limits();
        if limit.is_some_and(|price| price < lower || price > upper) {
            self.report_update(now, instrument, &order, OrderStatus::Rejected, Some("price_limit"));
            return None;
        }
        let incoming = Incoming { account, side, limit, lots };
        let needed_units = self.needed_units(instrument, incoming);
        let currency = self.paid_with(instrument, side);
        if !self.ledger.freeze(account, currency, needed_units) {
            self.report_update(now, instrument, &order, OrderStatus::Rejected, Some("insufficient_funds"));
            return None;
        }
        order.frozen_units = needed_units;
        order.price = limit.unwrap_or(0);
        self.report_update(now, instrument, &order, OrderStatus::Accepted, None);

        let mut steps = std::mem::take(&mut self.steps);
        match_order(&mut self.listings[instrument].book, incoming, &mut steps);
        for step in steps.drain(..) {
            match step {
                Match::OwnOrder { cancelled } => self.end(now, instrument, cancelled, "own_order"),
                Match::Fill { maker, lots } => self.settle(now, instrument, maker, &mut order, limit, lots),
            }
        }
        self.steps = steps;

        if order.lots == 0 {
            self.ledger.release(account, currency, order.frozen_units);
            return None;
        }
        match terms {
            Terms::Limit(price) => {
                let listing = &mut self.listings[instrument];
                listing.book.insert(order);
                listing.feed.order_added(order.id, side, price, order.lots);
                Some(order.id)
            }
            Terms::LimitNow(_) | Terms::Market => {
                self.ledger.release(account, currency, order.frozen_units);
                let why = if terms == Terms::Market { "no_liquidity" } else { "immediate_or_cancel" };
                self.report_update(now, instrument, &order, OrderStatus::Cancelled, Some(why));
                None
            }
        }
    }

    /// Takes an order back; nothing happens where it no longer stands in the book.
    pub(crate) fn cancel(&mut self, now: i64, instrument: usize, id: u64) {
        if let Some(order) = self.listings[instrument].book.remove(id) {
            self.end(now, instrument, order, "by_account");
        }
    }

    /// Ends the event: sends the public messages, then the balances and positions that changed.
    pub(crate) fn finish(&mut self, now: i64, instrument: usize) {
        let Listing { book, feed, .. } = &mut self.listings[instrument];
        feed.publish(now, book, &mut self.delivery);
        self.report_balances(now);
        let mut accounts = std::mem::take(&mut self.traded_accounts);
        accounts.sort_unstable();
        accounts.dedup();
        for account in accounts.drain(..) {
            self.report_position(now, instrument, account);
        }
        self.traded_accounts = accounts;
    }

    /// Reports every balance that changed since the last time.
    pub(crate) fn report_balances(&mut self, now: i64) {
        let mut touched = std::mem::take(&mut self.touched);
        self.ledger.take_touched(&mut touched);
        for (account, currency) in touched.drain(..) {
            let holding = self.ledger.holding(account, currency);
            let row = Balance {
                ts: now,
                balance: Some(holding.balance),
                available: Some(holding.available()),
                frozen: Some(holding.frozen),
                ..Balance::default()
            };
            self.delivery.send(now, Parcel::of_account(Name::Currency(currency), account, row));
        }
        self.touched = touched;
    }

    fn fee_units(notional_units: i128, ppm: u32) -> i128 {
        notional_units * i128::from(ppm) / 1_000_000
    }

    /// What `lots` at `price` need at most, the higher of the two fees included.
    fn reserve_units(&self, instrument: usize, side: Side, price: i64, lots: i64) -> i128 {
        let contract = &self.listings[instrument].contract;
        match side {
            Side::Sell => contract.base_units(lots),
            Side::Buy => {
                let notional_units = contract.notional_units(price, lots);
                notional_units + Self::fee_units(notional_units, self.maker_fee_ppm.max(self.taker_fee_ppm))
            }
        }
    }

    /// What has to be held back for an order before it is matched.
    fn needed_units(&self, instrument: usize, incoming: Incoming) -> i128 {
        match (incoming.side, incoming.limit) {
            (Side::Buy, None) => fills_ahead(&self.listings[instrument].book, incoming)
                .map(|(price, lots)| self.reserve_units(instrument, Side::Buy, price, lots))
                .sum(),
            (side, limit) => self.reserve_units(instrument, side, limit.unwrap_or(0), incoming.lots),
        }
    }

    fn paid_with(&self, instrument: usize, side: Side) -> u32 {
        match side {
            Side::Buy => self.listings[instrument].quote,
            Side::Sell => self.listings[instrument].base,
        }
    }

    /// Moves money and assets for one fill and reports it to both sides and to the public.
    fn settle(
        &mut self,
        now: i64,
        instrument: usize,
        maker_before: RestingOrder,
        taker: &mut RestingOrder,
        taker_limit: Option<i64>,
        lots: i64,
    ) {
        self.trade_count += 1;
        let Listing { contract, base, quote, .. } = self.listings[instrument];
        let price = maker_before.price;
        let notional_units = contract.notional_units(price, lots);
        let maker_fee_units = Self::fee_units(notional_units, self.maker_fee_ppm);
        let taker_fee_units = Self::fee_units(notional_units, self.taker_fee_ppm);

        let mut maker = maker_before;
        for order in [&mut maker, &mut *taker] {
            order.lots -= lots;
            order.filled += lots;
            order.notional_units += notional_units;
        }
        let (buyer, seller, buyer_fee_units, seller_fee_units) = match taker.side {
            Side::Buy => (taker.account, maker.account, taker_fee_units, maker_fee_units),
            Side::Sell => (maker.account, taker.account, maker_fee_units, taker_fee_units),
        };
        self.ledger.pay(quote, buyer, seller, notional_units - seller_fee_units);
        self.ledger.pay(quote, buyer, FEE_ACCOUNT, buyer_fee_units + seller_fee_units);
        self.ledger.pay(base, seller, buyer, contract.base_units(lots));

        maker.frozen_units =
            self.thaw(instrument, &maker, Some(maker.price), notional_units + maker_fee_units, lots);
        taker.frozen_units =
            self.thaw(instrument, taker, taker_limit, notional_units + taker_fee_units, lots);
        let listing = &mut self.listings[instrument];
        listing.book.change(maker.id, |order| *order = maker);
        listing.feed.order_filled(maker.id, maker.side, price, lots);
        listing.positions[buyer as usize].book(lots, notional_units);
        listing.positions[seller as usize].book(-lots, notional_units);
        self.traded_accounts.extend([buyer, seller]);

        let (bid, ask) = if taker.side == Side::Buy { (taker.id, maker.id) } else { (maker.id, taker.id) };
        listing.feed.traded(
            now,
            Print {
                trade_id: self.trade_count,
                price,
                lots,
                aggressor: taker.side,
                bid_order_id: bid,
                ask_order_id: ask,
            },
        );
        let sides = [(maker, maker_fee_units, Liquidity::Maker), (*taker, taker_fee_units, Liquidity::Taker)];
        for (order, fee_units, liquidity) in sides {
            let RestingOrder { id: order_id, account, side, .. } = order;
            let fill = Fill { order_id, account, side, price, lots, fee_units, liquidity };
            self.report_execution(now, instrument, fill);
            let status = if order.lots == 0 { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
            self.report_update(now, instrument, &order, status, None);
        }
    }

    /// After a fill, gives back what an order holds beyond the need of its open part; what it holds from now on.
    fn thaw(
        &mut self,
        instrument: usize,
        order: &RestingOrder,
        limit: Option<i64>,
        spent_quote_units: i128,
        lots: i64,
    ) -> i128 {
        let spent_units = match order.side {
            Side::Buy => spent_quote_units,
            Side::Sell => self.listings[instrument].contract.base_units(lots),
        };
        let held_units = order.frozen_units - spent_units;
        let Some(limit) = limit else {
            return held_units;
        };
        let needed_units = self.reserve_units(instrument, order.side, limit, order.lots);
        let currency = self.paid_with(instrument, order.side);
        self.ledger.release(order.account, currency, held_units - needed_units);
        needed_units
    }

    /// Gives back what an order held that has just left the book, and reports it.
    fn end(&mut self, now: i64, instrument: usize, order: RestingOrder, why: &'static str) {
        let currency = self.paid_with(instrument, order.side);
        self.ledger.release(order.account, currency, order.frozen_units);
        self.listings[instrument].feed.order_deleted(order.id, order.side, order.price, order.lots);
        self.report_update(now, instrument, &order, OrderStatus::Cancelled, Some(why));
    }

    fn report_order(&mut self, now: i64, instrument: usize, id: u64, request: OrderRequest) {
        let contract = &self.listings[instrument].contract;
        let OrderRequest { account, side, terms, lots } = request;
        let (kind, time_in_force, price) = match terms {
            Terms::Limit(price) => ("limit", "gtc", Some(contract.price(price))),
            Terms::LimitNow(price) => ("limit", "ioc", Some(contract.price(price))),
            Terms::Market => ("market", "ioc", None),
        };
        let row = Order {
            ts: now,
            order_id: Some(Id::Number(id)),
            side: Some(side),
            kind: Some(kind),
            time_in_force: Some(time_in_force),
            price,
            size: Some(contract.size(lots)),
            client_order_id: Some(Id::Number(self.sent[account as usize])),
            ..Order::default()
        };
        self.sent[account as usize] += 1;
        self.delivery.send(now, Parcel::of_account(Name::Instrument(instrument as u32), account, row));
    }

    fn report_update(
        &mut self,
        now: i64,
        instrument: usize,
        order: &RestingOrder,
        status: OrderStatus,
        reason: Option<&'static str>,
    ) {
        let contract = &self.listings[instrument].contract;
        let open = matches!(status, OrderStatus::Accepted | OrderStatus::PartiallyFilled);
        let row = OrderUpdate {
            ts: now,
            order_id: Some(Id::Number(order.id)),
            status: Some(status),
            filled: Some(contract.size(order.filled)),
            remaining: Some(contract.size(if open { order.lots } else { 0 })),
            average_price: contract.average_price(order.notional_units, order.filled),
            reason,
            ..OrderUpdate::default()
        };
        self.delivery.send(now, Parcel::of_account(Name::Instrument(instrument as u32), order.account, row));
    }

    fn report_execution(&mut self, now: i64, instrument: usize, fill: Fill) {
        let contract = &self.listings[instrument].contract;
        let maker = u64::from(fill.liquidity == Liquidity::Maker);
        let row = Execution {
            ts: now,
            execution_id: Some(Id::Number(2 * self.trade_count - maker)),
            order_id: Some(Id::Number(fill.order_id)),
            side: Some(fill.side),
            price: Some(contract.price(fill.price)),
            size: Some(contract.size(fill.lots)),
            fee: Some(money(fill.fee_units)),
            liquidity: Some(fill.liquidity),
            ..Execution::default()
        };
        self.delivery.send(now, Parcel::of_account(Name::Instrument(instrument as u32), fill.account, row));
    }

    fn report_position(&mut self, now: i64, instrument: usize, account: u32) {
        let Listing { contract, feed, positions, .. } = &self.listings[instrument];
        let position = positions[account as usize];
        let lots = position.lots.abs();
        let value_units = contract.notional_units(feed.last(), lots);
        let row = Position {
            ts: now,
            side: match position.lots {
                0 => None,
                1.. => Some("long"),
                _ => Some("short"),
            },
            size: Some(contract.size(lots)),
            average_price: contract.average_price(position.cost_units, lots),
            realized_pnl: Some(money(position.realized_units)),
            unrealized_pnl: Some(money(position.unrealized_units(value_units))),
            ..Position::default()
        };
        self.delivery.send(now, Parcel::of_account(Name::Instrument(instrument as u32), account, row));
    }
}
