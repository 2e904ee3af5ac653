//! The market: what happens next, and at which simulated moment.
//!
//! It has no clock of its own and starts no thread; time passes only while rows are taken from it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tapebook_record::{Batch, Instrument, PushError};

use crate::account::{Holding, Ledger};
use crate::delivery::{Delivery, Name, Names, Parcel};
use crate::feed::{Feed, VENUE};
use crate::instrument::{Contract, InstrumentSpec, UNITS};
use crate::options::{MarketOptions, OptionsError};
use crate::order_book::OrderBook;
use crate::participant::{Intent, Participant, Style, View};
use crate::position::NetPosition;
use crate::random::Random;
use crate::row::Row;
use crate::venue::{FEE_ACCOUNT, Listing, OrderRequest, Venue};
use crate::weighted::Weighted;

const MINUTE_NS: i64 = 60_000_000_000;
/// How much of a new fair value goes into the slow one.
const SLOW_SHARE: f64 = 1.0 / 64.0;

/// A market that runs by itself; see the [crate's page](crate) for what it writes.
#[derive(Clone, Debug)]
pub struct Market {
    specs: Vec<InstrumentSpec>,
    names: Names,
    venue: Venue,
    participants: Vec<Participant>,
    values: Vec<Value>,
    instrument_choice: Weighted,
    participant_choice: Weighted,
    gap_ns: f64,
    timers: BinaryHeap<Reverse<(i64, u32, Timer)>>,
    snapshot_interval_ns: i64,
    tick_interval_ns: i64,
    delta_snapshots: bool,
    random: Random,
    intents: Vec<Intent>,
    now: i64,
    next_action: i64,
    begun: bool,
}

/// What an instrument is worth, in ticks: now, and on average of late.
#[derive(Clone, Copy, Debug)]
struct Value {
    fair: f64,
    slow: f64,
}

/// What happens by the clock; at one moment in this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Timer {
    Bar,
    Tick,
    Snapshot,
}

impl Market {
    /// A market that has not begun: its first event lists the instruments and what every account begins with.
    pub fn new(options: MarketOptions) -> Result<Self, OptionsError> {
        options.check()?;
        let delivery = Delivery::new(&options);
        let random = Random::new(options.seed);
        let MarketOptions { instruments: specs, start_ts, .. } = options;
        let participants = participants(&options.participants, specs.len());
        let accounts = participants.len() + 1;
        let mut names = Names::default();
        names.accounts.push("fees".into());
        names.accounts.extend(account_names(&participants));
        let mut listings = Vec::with_capacity(specs.len());
        for (at, spec) in specs.iter().enumerate() {
            let contract = Contract::new(spec);
            names.instruments.push(spec.symbol.clone());
            names.quotes.push(spec.quote.clone());
            listings.push(Listing {
                contract,
                base: currency(&mut names.currencies, &spec.base),
                quote: currency(&mut names.currencies, &spec.quote),
                book: OrderBook::default(),
                feed: Feed::new(at as u32, contract, options.book_feed, spec.start_price_ticks, start_ts),
                positions: vec![NetPosition::default(); accounts],
            });
        }
        let rates: Vec<f64> = specs.iter().map(|spec| spec.events_per_second).collect();
        let weights: Vec<f64> = participants.iter().map(|participant| participant.style.weight()).collect();
        let mut timers = BinaryHeap::new();
        for at in 0..specs.len() as u32 {
            let minute = (start_ts.div_euclid(MINUTE_NS) + 1) * MINUTE_NS;
            let due = [
                (Timer::Bar, options.bars, minute),
                (Timer::Tick, options.tick_interval_ns > 0, start_ts + options.tick_interval_ns),
                (Timer::Snapshot, options.snapshot_interval_ns > 0, start_ts + options.snapshot_interval_ns),
            ];
            timers.extend(due.into_iter().filter(|due| due.1).map(|(timer, _, ts)| Reverse((ts, at, timer))));
        }
        Ok(Self {
            values: specs
                .iter()
                .map(|spec| Value {
                    fair: spec.start_price_ticks as f64,
                    slow: spec.start_price_ticks as f64,
                })
                .collect(),
            instrument_choice: Weighted::new(&rates),
            participant_choice: Weighted::new(&weights),
            gap_ns: UNITS as f64 / rates.iter().sum::<f64>(),
            venue: Venue {
                ledger: Ledger::new(accounts, names.currencies.len()),
                listings,
                delivery,
                maker_fee_ppm: options.maker_fee_ppm,
                taker_fee_ppm: options.taker_fee_ppm,
                order_count: 0,
                trade_count: 0,
                sent: vec![0; accounts],
                steps: Vec::new(),
                touched: Vec::new(),
                traded_accounts: Vec::new(),
            },
            specs,
            names,
            participants,
            timers,
            snapshot_interval_ns: options.snapshot_interval_ns,
            tick_interval_ns: options.tick_interval_ns,
            delta_snapshots: options.delta_snapshots,
            random,
            intents: Vec::new(),
            now: start_ts,
            next_action: start_ts,
            begun: false,
        })
    }

    /// Lets the next event happen and hands over what has arrived by then; with late rows that can be nothing.
    ///
    /// An event is one participant's action with all that follows from it, or a tick, a bar or a snapshot.
    /// Its rows have one `ts`, later than that of any event before that changed the same book.
    pub fn step(&mut self, mut sink: impl FnMut(Row<'_>)) {
        self.advance();
        while let Some(parcel) = self.venue.delivery.pop() {
            sink(parcel.open(&self.names));
        }
    }

    /// Pushes rows until `batch` is full or has got `rows_max` more; returns how many it got.
    ///
    /// No row is lost between one batch and the next. An error other than [`PushError::Full`], which is not
    /// passed on, cannot come from options that were accepted.
    pub fn fill_batch(&mut self, batch: &mut Batch, rows_max: usize) -> Result<usize, PushError> {
        let mut pushed = 0;
        while pushed < rows_max {
            let Some(parcel) = self.venue.delivery.front() else {
                self.advance();
                continue;
            };
            match batch.push(parcel.open(&self.names)) {
                Ok(()) => pushed += 1,
                Err(PushError::Full) => break,
                Err(error) => return Err(error),
            }
            self.venue.delivery.pop();
        }
        Ok(pushed)
    }

    /// Batches of `rows_max` rows each, or fewer where a batch is full before; without end for `rows_max` > 0.
    pub fn batches(&mut self, rows_max: usize) -> impl Iterator<Item = Result<Batch, PushError>> + '_ {
        std::iter::from_fn(move || {
            let mut batch = Batch::new();
            match self.fill_batch(&mut batch, rows_max) {
                Ok(0) => None,
                Ok(_) => Some(Ok(batch)),
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// The simulated moment of the last event, nanoseconds since the epoch, UTC.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// What trades.
    pub fn instruments(&self) -> &[InstrumentSpec] {
        &self.specs
    }

    /// The names of the accounts; the first one gets all fees.
    pub fn accounts(&self) -> &[String] {
        &self.names.accounts
    }

    /// The names of all currencies and assets.
    pub fn currencies(&self) -> &[String] {
        &self.names.currencies
    }

    /// The order book of an instrument, by its position in [`Market::instruments`].
    pub fn book(&self, instrument: usize) -> Option<&OrderBook> {
        self.venue.listings.get(instrument).map(|listing| &listing.book)
    }

    /// What an account has of a currency, by their positions in [`Market::accounts`] and [`Market::currencies`].
    pub fn holding(&self, account: usize, currency: usize) -> Option<Holding> {
        let known = account < self.names.accounts.len() && currency < self.names.currencies.len();
        known.then(|| self.venue.ledger.holding(account as u32, currency as u32))
    }

    /// The position of an account in an instrument, by their positions in the lists above.
    pub fn position(&self, account: usize, instrument: usize) -> Option<NetPosition> {
        self.venue.listings.get(instrument)?.positions.get(account).copied()
    }

    fn advance(&mut self) {
        if !self.begun {
            self.begun = true;
            self.open();
            self.schedule_action();
        } else if let Some(Reverse((due, instrument, timer))) = self.timers.peek().copied()
            && due <= self.next_action
        {
            self.timers.pop();
            self.now = due;
            self.venue.delivery.release(due);
            let next = self.ring(due, instrument as usize, timer);
            self.timers.push(Reverse((next, instrument, timer)));
        } else {
            // A timer may have rung at this very moment; a book never changes twice at one time.
            self.now = self.next_action.max(self.now + 1);
            self.venue.delivery.release(self.now);
            self.act();
            self.schedule_action();
        }
    }

    fn schedule_action(&mut self) {
        self.next_action = self.now + 1 + self.random.exponential(self.gap_ns) as i64;
    }

    /// Lists the instruments and gives every account what it begins with.
    fn open(&mut self) {
        for (at, spec) in self.specs.iter().enumerate() {
            let Listing { contract, base, quote, .. } = self.venue.listings[at];
            let row = Instrument {
                ts: self.now,
                venue: Some(VENUE),
                kind: Some("spot"),
                tick_size: Some(contract.price(1)),
                lot_size: Some(contract.size(1)),
                multiplier: Some(1.0),
                ..Instrument::default()
            };
            self.venue.delivery.send(self.now, Parcel::new(Name::Instrument(at as u32), row));
            for participant in &self.participants {
                let lots = spec.typical_lots * participant.style.endowment_orders();
                let notional_units = contract.notional_units(spec.start_price_ticks, lots);
                self.venue.ledger.endow(participant.account, base, contract.base_units(lots));
                self.venue.ledger.endow(participant.account, quote, notional_units);
            }
            self.venue.ledger.endow(FEE_ACCOUNT, quote, 0);
        }
        self.venue.report_balances(self.now);
    }

    /// Does what a timer is for and returns when it rings next.
    fn ring(&mut self, now: i64, instrument: usize, timer: Timer) -> i64 {
        let Venue { listings, delivery, .. } = &mut self.venue;
        let Listing { book, feed, .. } = &mut listings[instrument];
        match timer {
            Timer::Bar => {
                feed.send_bar(now - MINUTE_NS, now, delivery);
                now + MINUTE_NS
            }
            Timer::Tick => {
                feed.roll_day(now);
                feed.send_tick(now, book, delivery);
                now + self.tick_interval_ns
            }
            Timer::Snapshot => {
                feed.send_snapshot(now, book, self.delta_snapshots, delivery);
                now + self.snapshot_interval_ns
            }
        }
    }

    /// Lets one participant act on one instrument.
    fn act(&mut self) {
        let instrument = self.instrument_choice.pick(&mut self.random) as usize;
        let who = self.participant_choice.pick(&mut self.random) as usize;
        let listing = &mut self.venue.listings[instrument];
        let spec = &self.specs[instrument];
        listing.feed.roll_day(self.now);
        let value = &mut self.values[instrument];
        value.drift(spec, listing.feed.limits(), &mut self.random);

        let participant = &mut self.participants[who];
        participant.open[instrument].retain(|id| listing.book.order(*id).is_some());
        let view = View { spec, listing, fair: value.fair as i64, slow: value.slow as i64 };
        let mut intents = std::mem::take(&mut self.intents);
        participant.decide(instrument, view, &mut self.random, &mut intents);
        for intent in intents.drain(..) {
            match intent {
                Intent::Cancel(id) => self.venue.cancel(self.now, instrument, id),
                Intent::Submit { side, terms, lots } => {
                    let request = OrderRequest { account: participant.account, side, terms, lots };
                    participant.open[instrument].extend(self.venue.submit(self.now, instrument, request));
                }
            }
        }
        self.intents = intents;
        self.venue.finish(self.now, instrument);
    }
}

impl Value {
    /// One step of a random walk that stays well inside the limits of the day and above a few spreads.
    fn drift(&mut self, spec: &InstrumentSpec, (lower, upper): (i64, i64), random: &mut Random) {
        let margin = (upper - lower) as f64 / 10.0;
        // The walk as a whole keeps to a band around the start, so that prices keep their digits for years.
        let start = spec.start_price_ticks as f64;
        let low = (lower as f64 + margin).max(start / 4.0);
        let high = (upper as f64 - margin).min(start * 4.0);
        self.fair += random.bell() * spec.volatility_ticks;
        self.fair = self.fair.max(low).min(high.max(low));
        self.slow += (self.fair - self.slow) * SLOW_SHARE;
    }
}

fn participants(counts: &crate::options::Participants, instruments: usize) -> Vec<Participant> {
    let styles = [
        (Style::Maker, counts.makers),
        (Style::Noise, counts.noise),
        (Style::Patient, counts.patient),
        (Style::Trend, counts.trend),
    ];
    let styles = styles.into_iter().flat_map(|(style, count)| (0..count).map(move |_| style));
    let accounts = FEE_ACCOUNT + 1..;
    styles
        .zip(accounts)
        .map(|(style, account)| Participant { account, style, open: vec![Vec::new(); instruments] })
        .collect()
}

fn account_names(participants: &[Participant]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(participants.len());
    for (at, participant) in participants.iter().enumerate() {
        let first = participants.iter().position(|other| other.style == participant.style).unwrap_or(at);
        names.push(format!("{}-{}", participant.style.name(), at - first + 1));
    }
    names
}

fn currency(currencies: &mut Vec<String>, name: &str) -> u32 {
    let known = currencies.iter().position(|currency| currency == name);
    known.unwrap_or_else(|| {
        currencies.push(name.to_owned());
        currencies.len() - 1
    }) as u32
}
