//! Open, high, low and close: what trades add up to over a minute or a day.

/// Trades of a period added up; prices in ticks, sizes in lots, money in 10^-9 of the quote currency.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) open: i64,
    pub(crate) high: i64,
    pub(crate) low: i64,
    pub(crate) close: i64,
    pub(crate) lots: i64,
    pub(crate) notional_units: i128,
    pub(crate) trades: i64,
}

impl Statistics {
    /// Adds a trade to what there is; the first one begins the period.
    pub(crate) fn add(period: &mut Option<Self>, price: i64, lots: i64, notional_units: i128) {
        let sum = period.get_or_insert(Self {
            open: price,
            high: price,
            low: price,
            close: price,
            lots: 0,
            notional_units: 0,
            trades: 0,
        });
        sum.high = sum.high.max(price);
        sum.low = sum.low.min(price);
        sum.close = price;
        sum.lots += lots;
        sum.notional_units += notional_units;
        sum.trades += 1;
    }
}
