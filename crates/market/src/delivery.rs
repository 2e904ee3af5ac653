//! The way from the market to whoever records it: latency, lateness, repeats, and the queue of what has arrived.
//!
//! It never changes what happened, only when and how often it is heard of. Its randomness is its own, so that
//! with and without lateness the market itself is the same.

use std::collections::{BTreeMap, VecDeque};

use tapebook_record::{BookSnapshot, Id, Instrument, Level};

use crate::options::MarketOptions;
use crate::random::Random;
use crate::row::Row;

/// The most rows that are held back at a time; what would be late beyond that arrives in time.
const HELD_ROWS_MAX: usize = 1 << 16;

/// A row without its names, which are the market's.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) row: Row<'static>,
    pub(crate) name: Name,
    pub(crate) account: Option<u32>,
    pub(crate) levels: Option<Box<Sides>>,
}

/// The levels of a book, best first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sides {
    pub(crate) bids: Vec<Level>,
    pub(crate) asks: Vec<Level>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    Instrument(u32),
    Currency(u32),
}

/// What the numbers in a parcel stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) instruments: Vec<String>,
    /// The quote currency of each instrument.
    pub(crate) quotes: Vec<String>,
    pub(crate) currencies: Vec<String>,
    pub(crate) accounts: Vec<String>,
}

impl Parcel {
    pub(crate) fn new(name: Name, row: impl Into<Row<'static>>) -> Self {
        Self { row: row.into(), name, account: None, levels: None }
    }

    pub(crate) fn of_account(name: Name, account: u32, row: impl Into<Row<'static>>) -> Self {
        Self { account: Some(account), ..Self::new(name, row) }
    }

    /// The row with its names.
    pub(crate) fn open<'a>(&'a self, names: &'a Names) -> Row<'a> {
        let symbol = match self.name {
            Name::Instrument(at) => &names.instruments[at as usize],
            Name::Currency(at) => &names.currencies[at as usize],
        };
        let mut row = self.row.with_symbol(symbol);
        if let Some(account) = self.account {
            let id = Some(Id::from(names.accounts[account as usize].as_str()));
            match &mut row {
                Row::Order(row) => row.account = id,
                Row::OrderUpdate(row) => row.account = id,
                Row::Execution(row) => row.account = id,
                Row::Balance(row) => row.account = id,
                Row::Position(row) => row.account = id,
                _ => {}
            }
        }
        match (&self.levels, row) {
            (Some(sides), Row::BookSnapshot(row)) => {
                Row::from(BookSnapshot { bids: Some(&sides.bids), asks: Some(&sides.asks), ..row })
            }
            (_, Row::Instrument(row)) => match self.name {
                Name::Instrument(at) => {
                    Row::from(Instrument { currency: Some(&names.quotes[at as usize]), ..row })
                }
                Name::Currency(_) => row.into(),
            },
            (_, row) => row,
        }
    }
}

/// What is under way and what has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    arrived: VecDeque<Parcel>,
    /// By time of arrival and, where that is equal, by number.
    held: BTreeMap<(i64, u64), Parcel>,
    held_count: u64,
    random: Random,
    latency_ns: i64,
    clock_skew_ns: i64,
    late_share: f64,
    late_ns_max: i64,
    duplicate_share: f64,
}

impl Delivery {
    pub(crate) fn new(options: &MarketOptions) -> Self {
        Self {
            arrived: VecDeque::new(),
            held: BTreeMap::new(),
            held_count: 0,
            random: Random::new(options.seed ^ 0x6465_6c69_7665_7279),
            latency_ns: options.latency_ns,
            clock_skew_ns: options.clock_skew_ns,
            late_share: options.late_share,
            late_ns_max: options.late_ns_max,
            duplicate_share: options.duplicate_share,
        }
    }

    /// Delivers a row that never gets lost or late: what an account hears of its own orders and money.
    pub(crate) fn send(&mut self, now: i64, mut parcel: Parcel) {
        let recv_ts = self.receipt(now);
        parcel.row.set_recv_ts(recv_ts);
        self.arrived.push_back(parcel);
    }

    /// Delivers a public message; its rows stay together and in order, in time or late.
    pub(crate) fn publish(&mut self, now: i64, message: &mut Vec<Parcel>) {
        if message.is_empty() {
            return;
        }
        let late = self.random.chance(self.late_share) && self.late_ns_max > 0;
        let late_ns = if late { self.random.between(1, self.late_ns_max) } else { 0 };
        let held = late && self.held.len() + 2 * message.len() <= HELD_ROWS_MAX;
        let due = now + if held { late_ns } else { 0 };
        let recv_ts = self.receipt(due);
        for mut parcel in message.drain(..) {
            parcel.row.set_recv_ts(recv_ts);
            let twice = matches!(parcel.row, Row::Trade(_)) && self.random.chance(self.duplicate_share);
            for parcel in twice.then(|| parcel.clone()).into_iter().chain([parcel]) {
                if held {
                    self.held_count += 1;
                    self.held.insert((due, self.held_count), parcel);
                } else {
                    self.arrived.push_back(parcel);
                }
            }
        }
    }

    /// Lets arrive what was held back until now.
    pub(crate) fn release(&mut self, now: i64) {
        while let Some(entry) = self.held.first_entry()
            && entry.key().0 <= now
        {
            self.arrived.push_back(entry.remove());
        }
    }

    /// The next row that has arrived.
    pub(crate) fn front(&self) -> Option<&Parcel> {
        self.arrived.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Parcel> {
        self.arrived.pop_front()
    }

    fn receipt(&mut self, due: i64) -> i64 {
        let half = self.latency_ns / 2;
        due + half + self.random.between(0, self.latency_ns) + self.clock_skew_ns
    }
}
