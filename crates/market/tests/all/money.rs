//! Every unit of money is accounted for: holdings are what the accounts began with and what their executions say.

use std::collections::BTreeMap;

use tapebook_market::{BookFeed, Holding, InstrumentSpec, Market, MarketOptions, Row};
use tapebook_record::{Balance, Execution, Liquidity, Order, OrderStatus, OrderUpdate, Side};

use crate::audit::{self, Audit, instrument, lots, number, run, ticks};

struct Open {
    at: usize,
    account: String,
    side: Side,
    price: Option<i64>,
    lots: i64,
}

/// Holdings by `(account, currency)`, followed from the rows.
struct Books {
    options: MarketOptions,
    specs: Vec<InstrumentSpec>,
    balances: BTreeMap<(String, String), i128>,
    reported: BTreeMap<(String, String), Holding>,
    totals: BTreeMap<String, i128>,
    open: BTreeMap<u64, Open>,
    begun: bool,
    fills: u64,
    broke: u64,
}

fn notional_units(spec: &InstrumentSpec, price: i64, lots: i64) -> i128 {
    i128::from(price) * i128::from(spec.tick_units) * i128::from(lots) * i128::from(spec.lot_units)
        / 1_000_000_000
}

impl Books {
    fn new(options: MarketOptions) -> Self {
        Self {
            specs: options.instruments.clone(),
            options,
            balances: BTreeMap::new(),
            reported: BTreeMap::new(),
            totals: BTreeMap::new(),
            open: BTreeMap::new(),
            begun: false,
            fills: 0,
            broke: 0,
        }
    }

    fn balance(&mut self, row: &Balance<'_>) {
        let key = (row.account.unwrap().to_string(), row.symbol.to_owned());
        let (balance, frozen) = (row.balance.unwrap(), row.frozen.unwrap());
        assert_eq!(row.available, Some(balance - frozen));
        assert!(0 <= frozen && frozen <= balance, "{row:?}");
        if !self.begun {
            self.balances.insert(key.clone(), balance);
            *self.totals.entry(row.symbol.to_owned()).or_default() += balance;
        }
        self.reported.insert(key, Holding { balance, frozen });
    }

    fn add(&mut self, account: &str, currency: &str, units: i128) {
        *self.balances.entry((account.to_owned(), currency.to_owned())).or_default() += units;
    }

    fn execution(&mut self, row: &Execution<'_>) {
        let spec = self.specs[instrument(&self.specs, row.symbol)].clone();
        let account = row.account.unwrap().to_string();
        let (price, lots) = (ticks(&spec, row.price), lots(&spec, row.size));
        let notional = notional_units(&spec, price, lots);
        let fee = (row.fee.unwrap() * 1e9).round() as i128;
        let ppm = match row.liquidity.unwrap() {
            Liquidity::Maker => self.options.maker_fee_ppm,
            Liquidity::Taker => self.options.taker_fee_ppm,
        };
        assert_eq!(fee, notional * i128::from(ppm) / 1_000_000);
        let sign = if row.side == Some(Side::Buy) { 1 } else { -1 };
        self.add(&account, &spec.base, sign * i128::from(lots) * i128::from(spec.lot_units));
        self.add(&account, &spec.quote, -sign * notional - fee);
        self.add("fees", &spec.quote, fee);
        self.fills += 1;
    }

    fn sent(&mut self, row: &Order<'_>) {
        let at = instrument(&self.specs, row.symbol);
        let order = Open {
            at,
            account: row.account.unwrap().to_string(),
            side: row.side.unwrap(),
            price: row.price.map(|price| ticks(&self.specs[at], Some(price))),
            lots: lots(&self.specs[at], row.size),
        };
        self.open.insert(number(row.order_id), order);
    }

    fn updated(&mut self, row: &OrderUpdate<'_>) {
        let id = number(row.order_id);
        let order = self.open.get_mut(&id).unwrap();
        order.lots = lots(&self.specs[order.at], row.remaining);
        if !matches!(row.status.unwrap(), OrderStatus::Accepted | OrderStatus::PartiallyFilled) {
            self.open.remove(&id);
        }
        self.broke += u64::from(row.reason == Some("insufficient_funds"));
    }

    fn frozen(&self) -> BTreeMap<(String, String), i128> {
        let mut frozen = BTreeMap::new();
        let ppm = self.options.maker_fee_ppm.max(self.options.taker_fee_ppm);
        for order in self.open.values() {
            let spec = &self.specs[order.at];
            let (currency, units) = match order.side {
                Side::Sell => (&spec.base, i128::from(order.lots) * i128::from(spec.lot_units)),
                Side::Buy => {
                    let notional =
                        notional_units(spec, order.price.expect("only limit orders stay"), order.lots);
                    (&spec.quote, notional + notional * i128::from(ppm) / 1_000_000)
                }
            };
            *frozen.entry((order.account.clone(), currency.clone())).or_default() += units;
        }
        frozen
    }
}

impl Audit for Books {
    fn row(&mut self, row: &Row<'_>) {
        match row {
            Row::Balance(row) => self.balance(row),
            Row::Execution(row) => self.execution(row),
            Row::Order(row) => self.sent(row),
            Row::OrderUpdate(row) => self.updated(row),
            _ => {}
        }
    }

    fn event_end(&mut self, market: &Market) {
        self.begun = true;
        let frozen = self.frozen();
        let mut totals = BTreeMap::<String, i128>::new();
        for (at, account) in market.accounts().iter().enumerate() {
            for (place, currency) in market.currencies().iter().enumerate() {
                let holding = market.holding(at, place).unwrap();
                *totals.entry(currency.clone()).or_default() += holding.balance;
                let key = (account.clone(), currency.clone());
                let expected = Holding {
                    balance: self.balances.get(&key).copied().unwrap_or(0),
                    frozen: frozen.get(&key).copied().unwrap_or(0),
                };
                assert_eq!(holding, expected, "{account} {currency}");
                assert_eq!(
                    self.reported.get(&key).copied().unwrap_or_default(),
                    holding,
                    "{account} {currency}"
                );
            }
        }
        assert_eq!(totals, self.totals, "money was made or lost");
    }
}

fn audit(options: MarketOptions, events: usize) -> Books {
    let mut market = Market::new(options.clone()).unwrap();
    let mut books = Books::new(options);
    run(&mut market, events, &mut books);
    books
}

#[test]
fn holdings_are_what_the_executions_say() {
    let mut broke = 0;
    for seed in 0..6 {
        let books = audit(audit::options(seed, BookFeed::Levels), 3_000);
        assert!(books.fills > 1_000, "{}", books.fills);
        broke += books.broke;
    }
    assert!(broke > 0, "nobody ran out of money");
}

#[test]
fn odd_fees_lose_nothing_to_rounding() {
    for (maker_fee_ppm, taker_fee_ppm) in [(333, 77), (0, 99_999), (0, 0)] {
        audit(MarketOptions { maker_fee_ppm, taker_fee_ppm, ..audit::options(9, BookFeed::Orders) }, 2_000);
    }
}

#[test]
fn positions_are_what_was_bought_less_what_was_sold() {
    let options = audit::options(5, BookFeed::Levels);
    let mut market = Market::new(options.clone()).unwrap();
    let mut net = BTreeMap::<(usize, String), i64>::new();
    let mut reported = BTreeMap::<(usize, String), i64>::new();
    for _ in 0..5_000 {
        market.step(|row| match row {
            Row::Execution(row) => {
                let at = instrument(&options.instruments, row.symbol);
                let sign = if row.side == Some(Side::Buy) { 1 } else { -1 };
                let lots = sign * lots(&options.instruments[at], row.size);
                *net.entry((at, row.account.unwrap().to_string())).or_default() += lots;
            }
            Row::Position(row) => {
                let at = instrument(&options.instruments, row.symbol);
                let lots = lots(&options.instruments[at], row.size);
                let sign = if row.side == Some("short") { -1 } else { 1 };
                assert_eq!(row.side.is_none(), lots == 0);
                assert_eq!(row.average_price.is_none(), lots == 0);
                reported.insert((at, row.account.unwrap().to_string()), sign * lots);
            }
            _ => {}
        });
        assert_eq!(reported, net);
    }
    for ((at, account), lots) in net {
        let place = market.accounts().iter().position(|name| *name == account).unwrap();
        assert_eq!(market.position(place, at).unwrap().lots, lots);
    }
}
