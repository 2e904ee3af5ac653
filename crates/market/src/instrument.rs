//! What trades: the rules of one instrument, how lively it is, and how its whole numbers become decimals.

use crate::options::OptionsError;

/// One unit of money or of an asset in the smallest units that are accounted for.
pub(crate) const UNITS: i64 = 1_000_000_000;
/// The largest whole number up to which every `f64` is exact.
const EXACT_MAX: i128 = 1 << 53;

/// An instrument: `base` is bought and sold for `quote`.
///
/// Inside, prices are whole ticks and sizes whole lots; one tick and one lot are given in units of 10^-9.
#[derive(Clone, Debug, PartialEq)]
pub struct InstrumentSpec {
    /// Its name in the records, such as `SIM.BTCUSDT`.
    pub symbol: String,
    /// What is bought and sold.
    pub base: String,
    /// What it is paid with.
    pub quote: String,
    /// The smallest price step, in 10^-9 of `quote`.
    pub tick_units: i64,
    /// The smallest size step, in 10^-9 of `base`.
    pub lot_units: i64,
    /// The price at the start, in ticks.
    pub start_price_ticks: i64,
    /// The size of a usual order, in lots.
    pub typical_lots: i64,
    /// How far from the fair value market makers quote, in ticks.
    pub half_spread_ticks: i64,
    /// How far the fair value moves from one event to the next (a standard deviation), in ticks.
    pub volatility_ticks: f64,
    /// How often somebody does something, per second.
    pub events_per_second: f64,
}

impl InstrumentSpec {
    /// The first `count` instruments of the demonstration market: eight known pairs, then as many made-up ones
    /// as are wanted, each less lively than the one before.
    pub fn defaults(count: usize) -> Vec<Self> {
        #[rustfmt::skip]
        let known = [
            ("BTC", "USDT", 100_000_000, 10_000, 618_000, 2_000, 2, 0.8, 40.0),
            ("ETH", "USDT", 10_000_000, 100_000, 312_000, 5_000, 2, 0.9, 30.0),
            ("SOL", "USDT", 10_000_000, 1_000_000, 14_500, 5_000, 1, 0.25, 20.0),
            ("XRP", "USDT", 100_000, 100_000_000, 5_820, 5_000, 1, 0.2, 12.0),
            ("DOGE", "USDT", 10_000, 1_000_000_000, 12_345, 2_000, 2, 0.4, 10.0),
            ("ETH", "BTC", 10_000, 100_000, 5_048, 3_000, 1, 0.25, 5.0),
            ("ADA", "USDT", 100_000, 100_000_000, 4_510, 8_000, 1, 0.25, 4.0),
            ("LTC", "USDT", 10_000_000, 1_000_000, 8_450, 4_000, 1, 0.35, 2.0),
        ];
        let known =
            known.into_iter().map(|(base, quote, tick, lot, price, lots, spread, volatility, rate)| Self {
                symbol: format!("SIM.{base}{quote}"),
                base: base.into(),
                quote: quote.into(),
                tick_units: tick,
                lot_units: lot,
                start_price_ticks: price,
                typical_lots: lots,
                half_spread_ticks: spread,
                volatility_ticks: volatility,
                events_per_second: rate,
            });
        known.chain((8..count).map(Self::made_up)).take(count).collect()
    }

    fn made_up(at: usize) -> Self {
        let base = format!("X{at:04}");
        let steps =
            [(100_000_000, 10_000), (10_000_000, 100_000), (1_000_000, 1_000_000), (100_000, 100_000_000)];
        let (tick_units, lot_units) = steps[at % steps.len()];
        Self {
            symbol: format!("SIM.{base}USDT"),
            base,
            quote: "USDT".into(),
            tick_units,
            lot_units,
            start_price_ticks: 1_000 + (at as i64 * 7_919) % 9_000,
            typical_lots: 1_000,
            half_spread_ticks: 1,
            volatility_ticks: 0.3,
            events_per_second: 0.1 + 20.0 / at as f64,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let refuse = |what: &'static str| Err(OptionsError::Instrument { symbol: self.symbol.clone(), what });
        for name in [&self.symbol, &self.base, &self.quote] {
            tapebook_record::symbol::check_symbol(name)?;
        }
        if self.base == self.quote {
            return refuse("base and quote are the same");
        }
        if [
            self.tick_units,
            self.lot_units,
            self.start_price_ticks,
            self.typical_lots,
            self.half_spread_ticks,
        ]
        .iter()
        .any(|number| *number < 1)
        {
            return refuse("ticks, lots, price, size and spread must be at least 1");
        }
        if i128::from(self.tick_units) * i128::from(self.lot_units) % i128::from(UNITS) != 0 {
            return refuse("one lot at a price of one tick must cost a whole number of 10^-9");
        }
        let price_max =
            i128::from(self.start_price_ticks) * 64 * i128::from(Decimal::new(self.tick_units).mantissa);
        let size_max =
            i128::from(self.typical_lots) * 100_000 * i128::from(Decimal::new(self.lot_units).mantissa);
        if price_max > EXACT_MAX || size_max > EXACT_MAX {
            return refuse("prices or sizes would have more digits than a double holds");
        }
        if self.start_price_ticks < 100 || self.half_spread_ticks > self.start_price_ticks / 100 {
            return refuse("the price must be at least 100 ticks and the spread below a hundredth of it");
        }
        if !(0.0..=1e6).contains(&self.volatility_ticks) {
            return refuse("the volatility must lie between 0 and a million ticks");
        }
        if !(1e-3..=1e6).contains(&self.events_per_second) {
            return refuse("events_per_second must lie between 0.001 and a million");
        }
        Ok(())
    }
}

/// The arithmetic of one instrument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contract {
    price: Decimal,
    size: Decimal,
    lot_units: i128,
    /// What one lot costs at a price of one tick.
    value_units: i128,
}

impl Contract {
    pub(crate) fn new(spec: &InstrumentSpec) -> Self {
        Self {
            price: Decimal::new(spec.tick_units),
            size: Decimal::new(spec.lot_units),
            lot_units: i128::from(spec.lot_units),
            value_units: i128::from(spec.tick_units) * i128::from(spec.lot_units) / i128::from(UNITS),
        }
    }

    pub(crate) fn price(&self, ticks: i64) -> f64 {
        self.price.value(ticks)
    }

    pub(crate) fn size(&self, lots: i64) -> f64 {
        self.size.value(lots)
    }

    /// What `lots` cost at `ticks`, in units of the quote currency; exact.
    pub(crate) fn notional_units(&self, ticks: i64, lots: i64) -> i128 {
        i128::from(ticks) * i128::from(lots) * self.value_units
    }

    pub(crate) fn base_units(&self, lots: i64) -> i128 {
        i128::from(lots) * self.lot_units
    }

    /// The price per unit at which `lots` cost `notional_units`; `None` for no lots.
    pub(crate) fn average_price(&self, notional_units: i128, lots: i64) -> Option<f64> {
        (lots != 0).then(|| money(notional_units) / self.size(lots))
    }
}

/// Units of 10^-9 as a number.
pub(crate) fn money(units: i128) -> f64 {
    units as f64 / UNITS as f64
}

/// Multiples of a decimal step, each as the `f64` nearest to its decimal, which therefore prints as short as the step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    mantissa: i64,
    divisor: f64,
}

impl Decimal {
    pub(crate) fn new(step_units: i64) -> Self {
        let (mut mantissa, mut divisor) = (step_units, UNITS);
        while mantissa % 10 == 0 && divisor > 1 {
            mantissa /= 10;
            divisor /= 10;
        }
        Self { mantissa, divisor: divisor as f64 }
    }

    #[inline]
    pub(crate) fn value(self, count: i64) -> f64 {
        (count * self.mantissa) as f64 / self.divisor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_has_short_decimals() {
        for spec in InstrumentSpec::defaults(100) {
            spec.check().unwrap();
            let contract = Contract::new(&spec);
            for more in 0..1_000 {
                let price = contract.price(spec.start_price_ticks + more);
                assert!(price.to_string().len() <= 10, "{} {price}", spec.symbol);
            }
        }
        assert_eq!(Decimal::new(100_000_000).value(618_002), 61_800.2);
        assert_eq!(Decimal::new(20_000_000_000).value(3), 60.0);
    }

    #[test]
    fn money_that_is_not_whole_is_refused() {
        let mut spec = InstrumentSpec::defaults(1).remove(0);
        spec.tick_units = 1;
        assert!(matches!(spec.check(), Err(OptionsError::Instrument { .. })));
    }
}
