//! The public side of one instrument: trades, quotes, book changes, snapshots, ticks and bars, each numbered.
//!
//! It turns whole ticks and lots into the decimals of the records. It does not match and knows no accounts.

use tapebook_record::{Action, Bar, BookDelta, BookSide, BookSnapshot, Id, Level, Quote, Side, Tick, Trade};

use crate::delivery::{Delivery, Name, Parcel, Sides};
use crate::instrument::{Contract, money};
use crate::options::{BookFeed, DAY_NS};
use crate::order_book::OrderBook;
use crate::statistics::Statistics;

/// Where a market trades.
pub(crate) const VENUE: &str = "SIM";
/// The most levels of a side that a snapshot shows.
const SNAPSHOT_LEVELS_MAX: usize = 1_000;
/// A day's prices stay within a fifth of the close before.
const LIMIT_SHARE: i64 = 5;

/// A trade as the venue reports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Print {
    pub(crate) trade_id: u64,
    pub(crate) price: i64,
    pub(crate) lots: i64,
    pub(crate) aggressor: Side,
    pub(crate) bid_order_id: u64,
    pub(crate) ask_order_id: u64,
}

type Best = Option<(i64, i64)>;

/// The feed of one instrument. Messages are gathered during an event and sent at its end.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    name: Name,
    contract: Contract,
    mode: BookFeed,
    trades: Vec<Parcel>,
    deltas: Vec<Parcel>,
    message: Vec<Parcel>,
    touched: Vec<(u8, i64)>,
    quote: (Best, Best),
    sequences: Sequences,
    trading_day: i64,
    day: Option<Statistics>,
    minute: Option<Statistics>,
    last: i64,
    pre_close: i64,
}

/// The last number given, by table.
#[derive(Clone, Copy, Debug, Default)]
struct Sequences {
    trades: u64,
    quotes: u64,
    ticks: u64,
    snapshots: u64,
    deltas: u64,
    bars: u64,
}

fn next(sequence: &mut u64) -> Option<u64> {
    *sequence += 1;
    Some(*sequence)
}

fn book_side(side: Side) -> BookSide {
    match side {
        Side::Buy => BookSide::Bid,
        Side::Sell => BookSide::Ask,
    }
}

impl Feed {
    pub(crate) fn new(instrument: u32, contract: Contract, mode: BookFeed, price: i64, now: i64) -> Self {
        Self {
            name: Name::Instrument(instrument),
            contract,
            mode,
            trades: Vec::new(),
            deltas: Vec::new(),
            message: Vec::new(),
            touched: Vec::new(),
            quote: (None, None),
            sequences: Sequences::default(),
            trading_day: now.div_euclid(DAY_NS),
            day: None,
            minute: None,
            last: price,
            pre_close: price,
        }
    }

    /// The price of the last trade, or that of the start.
    pub(crate) fn last(&self) -> i64 {
        self.last
    }

    /// The lowest and the highest price allowed today.
    pub(crate) fn limits(&self) -> (i64, i64) {
        (self.pre_close - self.pre_close / LIMIT_SHARE, self.pre_close + self.pre_close / LIMIT_SHARE)
    }

    /// Begins a new trading day where `now` lies in one.
    pub(crate) fn roll_day(&mut self, now: i64) {
        let day = now.div_euclid(DAY_NS);
        if day != self.trading_day {
            self.trading_day = day;
            self.pre_close = self.last;
            self.day = None;
        }
    }

    /// An order joined the book.
    pub(crate) fn order_added(&mut self, id: u64, side: Side, price: i64, lots: i64) {
        self.order_changed(Action::Add, id, side, price, lots);
    }

    /// An order left the book with `lots` open.
    pub(crate) fn order_deleted(&mut self, id: u64, side: Side, price: i64, lots: i64) {
        self.order_changed(Action::Delete, id, side, price, lots);
    }

    /// `lots` of an order in the book traded.
    pub(crate) fn order_filled(&mut self, id: u64, side: Side, price: i64, lots: i64) {
        self.order_changed(Action::Fill, id, side, price, lots);
    }

    fn order_changed(&mut self, action: Action, id: u64, side: Side, price: i64, lots: i64) {
        match self.mode {
            BookFeed::Levels => self.touched.push((side as u8, price)),
            BookFeed::Orders => {
                let delta = self.delta(side, action, price, lots, Some(id), false);
                self.deltas.push(Parcel::new(self.name, delta));
            }
        }
    }

    /// A trade happened.
    pub(crate) fn traded(&mut self, now: i64, print: Print) {
        let Print { trade_id, price, lots, aggressor, bid_order_id, ask_order_id } = print;
        let notional_units = self.contract.notional_units(price, lots);
        self.last = price;
        Statistics::add(&mut self.day, price, lots, notional_units);
        Statistics::add(&mut self.minute, price, lots, notional_units);
        let trade = Trade {
            symbol: "",
            ts: now,
            price: Some(self.contract.price(price)),
            size: Some(self.contract.size(lots)),
            side: Some(aggressor),
            trade_id: Some(Id::Number(trade_id)),
            venue: Some(VENUE),
            conditions: None,
            bid_order_id: Some(Id::Number(bid_order_id)),
            ask_order_id: Some(Id::Number(ask_order_id)),
            recv_ts: None,
            feed_seq: next(&mut self.sequences.trades),
        };
        self.trades.push(Parcel::new(self.name, trade));
    }

    /// Sends what was gathered: the trades, the book's changes, and the quote where it is another one.
    pub(crate) fn publish(&mut self, now: i64, book: &OrderBook, delivery: &mut Delivery) {
        delivery.publish(now, &mut self.trades);
        self.touched.sort_unstable();
        self.touched.dedup();
        for (code, price) in std::mem::take(&mut self.touched) {
            let side = if code == Side::Buy as u8 { Side::Buy } else { Side::Sell };
            let delta = self.delta(side, Action::Set, price, book.lots_at(side, price), None, false);
            self.deltas.push(Parcel::new(self.name, delta));
        }
        self.send_deltas(now, delivery);
        let quote = (book.best(Side::Buy), book.best(Side::Sell));
        if quote != self.quote {
            self.quote = quote;
            let (bid_price, bid_size) = self.level(quote.0);
            let (ask_price, ask_size) = self.level(quote.1);
            let row = Quote {
                ts: now,
                bid_price,
                bid_size,
                ask_price,
                ask_size,
                venue: Some(VENUE),
                feed_seq: next(&mut self.sequences.quotes),
                ..Quote::default()
            };
            self.message.push(Parcel::new(self.name, row));
            delivery.publish(now, &mut self.message);
        }
    }

    /// Sends the whole book, in `book_snapshots` and on request as rows of `book_deltas` too.
    pub(crate) fn send_snapshot(
        &mut self,
        now: i64,
        book: &OrderBook,
        as_deltas: bool,
        delivery: &mut Delivery,
    ) {
        let levels = |side| {
            let levels = book.levels(side).take(SNAPSHOT_LEVELS_MAX);
            levels
                .map(|(price, lots)| Level {
                    price: self.contract.price(price),
                    size: self.contract.size(lots),
                })
                .collect()
        };
        let sides = Sides { bids: levels(Side::Buy), asks: levels(Side::Sell) };
        let row =
            BookSnapshot { ts: now, feed_seq: next(&mut self.sequences.snapshots), ..Default::default() };
        self.message.push(Parcel { levels: Some(Box::new(sides)), ..Parcel::new(self.name, row) });
        delivery.publish(now, &mut self.message);
        if !as_deltas {
            return;
        }
        for side in [Side::Buy, Side::Sell] {
            let clear = BookDelta {
                side: Some(book_side(side)),
                action: Some(Action::Clear),
                event_end: Some(false),
                snapshot: Some(true),
                ..BookDelta::default()
            };
            self.deltas.push(Parcel::new(self.name, clear));
            let mut rows = Vec::new();
            match self.mode {
                BookFeed::Levels => rows.extend(
                    book.levels(side)
                        .map(|(price, lots)| self.delta(side, Action::Set, price, lots, None, true)),
                ),
                BookFeed::Orders => rows.extend(book.orders(side).map(|order| {
                    self.delta(side, Action::Add, order.price, order.lots, Some(order.id), true)
                })),
            }
            self.deltas.extend(rows.into_iter().map(|row| Parcel::new(self.name, row)));
        }
        self.send_deltas(now, delivery);
    }

    /// Sends the state of the day, as CTP does.
    pub(crate) fn send_tick(&mut self, now: i64, book: &OrderBook, delivery: &mut Delivery) {
        let price = |ticks: i64| Some(self.contract.price(ticks));
        let (lower, upper) = self.limits();
        let (bid_price, bid_size) = self.level(book.best(Side::Buy));
        let (ask_price, ask_size) = self.level(book.best(Side::Sell));
        let tick = Tick {
            symbol: "",
            ts: now,
            last_price: self.day.and_then(|day| price(day.close)),
            open: self.day.and_then(|day| price(day.open)),
            high: self.day.and_then(|day| price(day.high)),
            low: self.day.and_then(|day| price(day.low)),
            pre_close: price(self.pre_close),
            pre_settlement: price(self.pre_close),
            upper_limit: price(upper),
            lower_limit: price(lower),
            volume: Some(self.contract.size(self.day.map_or(0, |day| day.lots))),
            turnover: Some(money(self.day.map_or(0, |day| day.notional_units))),
            open_interest: None,
            bid_price,
            bid_size,
            ask_price,
            ask_size,
            trading_day: i32::try_from(self.trading_day).ok(),
            recv_ts: None,
            feed_seq: next(&mut self.sequences.ticks),
        };
        self.message.push(Parcel::new(self.name, tick));
        delivery.publish(now, &mut self.message);
    }

    /// Ends a minute and sends its bar, where anything traded in it.
    pub(crate) fn send_bar(&mut self, start: i64, now: i64, delivery: &mut Delivery) {
        let Some(minute) = self.minute.take() else {
            return;
        };
        let price = |ticks: i64| Some(self.contract.price(ticks));
        let bar = Bar {
            symbol: "",
            ts: start,
            period: Some("1m"),
            open: price(minute.open),
            high: price(minute.high),
            low: price(minute.low),
            close: price(minute.close),
            volume: Some(self.contract.size(minute.lots)),
            turnover: Some(money(minute.notional_units)),
            trade_count: Some(minute.trades),
            open_interest: None,
            recv_ts: None,
            feed_seq: next(&mut self.sequences.bars),
        };
        self.message.push(Parcel::new(self.name, bar));
        delivery.publish(now, &mut self.message);
    }

    fn delta(
        &self,
        side: Side,
        action: Action,
        price: i64,
        lots: i64,
        order_id: Option<u64>,
        snapshot: bool,
    ) -> BookDelta<'static> {
        BookDelta {
            side: Some(book_side(side)),
            action: Some(action),
            price: Some(self.contract.price(price)),
            size: Some(self.contract.size(lots)),
            order_id: order_id.map(Id::Number),
            event_end: Some(false),
            snapshot: Some(snapshot),
            ..BookDelta::default()
        }
    }

    /// Numbers and sends the gathered book changes as one message.
    fn send_deltas(&mut self, now: i64, delivery: &mut Delivery) {
        let last = self.deltas.len().saturating_sub(1);
        for (at, parcel) in self.deltas.iter_mut().enumerate() {
            if let crate::Row::BookDelta(row) = &mut parcel.row {
                row.ts = now;
                row.event_end = Some(at == last);
                row.feed_seq = next(&mut self.sequences.deltas);
            }
        }
        delivery.publish(now, &mut self.deltas);
    }

    fn level(&self, best: Best) -> (Option<f64>, Option<f64>) {
        best.map(|(price, lots)| (self.contract.price(price), self.contract.size(lots))).unzip()
    }
}
