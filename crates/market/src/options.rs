//! What a market can be told, and which of it is refused.

use std::collections::BTreeSet;

use tapebook_record::symbol::SymbolError;

use crate::instrument::InstrumentSpec;

/// The most instruments that a market can have.
pub const INSTRUMENTS_MAX: usize = 1_024;
/// The most participants that a market can have.
pub const PARTICIPANTS_MAX: u32 = 1_024;

/// How the changes of the order books are told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BookFeed {
    /// What stands at each price that changed: `set`, size 0 where nothing does.
    #[default]
    Levels,
    /// Order by order: `add`, `fill`, `delete`, each with its `order_id`.
    Orders,
}

/// How many of each kind take part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Participants {
    /// Quote both sides around the fair value, and cancel and replace as it drifts.
    pub makers: u32,
    /// Buy and sell at the market without a view.
    pub noise: u32,
    /// Leave limit orders in the book and take some back.
    pub patient: u32,
    /// Follow the price.
    pub trend: u32,
}

impl Default for Participants {
    fn default() -> Self {
        Self { makers: 4, noise: 8, patient: 8, trend: 4 }
    }
}

/// What a market is made of. Two markets with equal options write equal records.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketOptions {
    /// Where all randomness comes from.
    pub seed: u64,
    /// What trades, at most [`INSTRUMENTS_MAX`].
    pub instruments: Vec<InstrumentSpec>,
    /// The first moment, nanoseconds since the epoch, UTC.
    pub start_ts: i64,
    /// Who trades.
    pub participants: Participants,
    /// What the side that stood in the book pays, in millionths of the value.
    pub maker_fee_ppm: u32,
    /// What the side that came to it pays, in millionths of the value.
    pub taker_fee_ppm: u32,
    /// How the changes of the order books are told.
    pub book_feed: BookFeed,
    /// Tells the whole book in `book_deltas` too, in rows marked `snapshot`, each time it stands in `book_snapshots`.
    pub delta_snapshots: bool,
    /// From one row in `book_snapshots` to the next, per instrument; 0 for none.
    pub snapshot_interval_ns: i64,
    /// From one row in `ticks` to the next, per instrument; 0 for none.
    pub tick_interval_ns: i64,
    /// Writes a bar for each minute in which an instrument traded.
    pub bars: bool,
    /// From event to receipt on average. Receipt is never before the event but for `clock_skew_ns`.
    pub latency_ns: i64,
    /// Added to every time of receipt: a receiver whose clock is wrong; negative for one that is behind.
    pub clock_skew_ns: i64,
    /// The share of public messages that arrive late, from 0 to 1.
    pub late_share: f64,
    /// How late such a message is at most.
    pub late_ns_max: i64,
    /// The share of trades that the feed tells twice, in rows that are equal in every column.
    pub duplicate_share: f64,
}

impl Default for MarketOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            instruments: InstrumentSpec::defaults(8),
            start_ts: 1_723_161_600_000_000_000,
            participants: Participants::default(),
            maker_fee_ppm: 200,
            taker_fee_ppm: 500,
            book_feed: BookFeed::default(),
            delta_snapshots: false,
            snapshot_interval_ns: 10_000_000_000,
            tick_interval_ns: 500_000_000,
            bars: true,
            latency_ns: 250_000,
            clock_skew_ns: 0,
            late_share: 0.0,
            late_ns_max: 0,
            duplicate_share: 0.0,
        }
    }
}

/// Why a market cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// None, or too many.
    #[error("{found} {what}: between 1 and {max} are possible")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many were given.
        found: usize,
        /// How many are possible.
        max: usize,
    },
    /// A name that cannot stand in a record.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// Two instruments with one name.
    #[error("instrument {symbol} is given twice")]
    Twice {
        /// The name.
        symbol: String,
    },
    /// The numbers of an instrument do not fit together.
    #[error("instrument {symbol}: {what}")]
    Instrument {
        /// Its name.
        symbol: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A number out of its range.
    #[error("{option} is {found}: {expected}")]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// What was given.
        found: String,
        /// What is possible.
        expected: &'static str,
    },
}

impl MarketOptions {
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let found = self.instruments.len();
        if found == 0 || found > INSTRUMENTS_MAX {
            return Err(OptionsError::Count { what: "instruments", found, max: INSTRUMENTS_MAX });
        }
        let Participants { makers, noise, patient, trend } = self.participants;
        let all = [makers, noise, patient, trend].iter().fold(0_u32, |sum, kind| sum.saturating_add(*kind));
        if all == 0 || all > PARTICIPANTS_MAX {
            let max = PARTICIPANTS_MAX as usize;
            return Err(OptionsError::Count { what: "participants", found: all as usize, max });
        }
        let mut names = BTreeSet::new();
        for spec in &self.instruments {
            spec.check()?;
            if !names.insert(&spec.symbol) {
                return Err(OptionsError::Twice { symbol: spec.symbol.clone() });
            }
        }
        for (option, ppm) in [("maker_fee_ppm", self.maker_fee_ppm), ("taker_fee_ppm", self.taker_fee_ppm)] {
            within(option, ppm <= 100_000, ppm, "at most 100000 millionths")?;
        }
        let century_ns = 100 * 365 * 86_400_000_000_000;
        let start = self.start_ts;
        within("start_ts", (-century_ns..=century_ns).contains(&start), start, "within 100 years of 1970")?;
        let intervals = [
            ("snapshot_interval_ns", self.snapshot_interval_ns),
            ("tick_interval_ns", self.tick_interval_ns),
        ];
        for (option, ns) in intervals {
            within(
                option,
                ns == 0 || (1_000_000..=DAY_NS).contains(&ns),
                ns,
                "0, or a millisecond to a day",
            )?;
        }
        for (option, ns) in [("latency_ns", self.latency_ns), ("late_ns_max", self.late_ns_max)] {
            within(option, (0..=30 * DAY_NS).contains(&ns), ns, "0 to 30 days")?;
        }
        let skew = self.clock_skew_ns;
        within("clock_skew_ns", (-DAY_NS..=DAY_NS).contains(&skew), skew, "at most a day")?;
        for (option, share) in [("late_share", self.late_share), ("duplicate_share", self.duplicate_share)] {
            within(option, (0.0..=1.0).contains(&share), share, "between 0 and 1")?;
        }
        Ok(())
    }
}

pub(crate) const DAY_NS: i64 = 86_400_000_000_000;

fn within(
    option: &'static str,
    good: bool,
    found: impl ToString,
    expected: &'static str,
) -> Result<(), OptionsError> {
    if good { Ok(()) } else { Err(OptionsError::OutOfRange { option, found: found.to_string(), expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        MarketOptions::default().check().unwrap();
        let refused = [
            MarketOptions { instruments: Vec::new(), ..Default::default() },
            MarketOptions { late_share: f64::NAN, ..Default::default() },
            MarketOptions { duplicate_share: 1.5, ..Default::default() },
            MarketOptions { start_ts: i64::MAX, ..Default::default() },
            MarketOptions { tick_interval_ns: 1, ..Default::default() },
            MarketOptions {
                participants: Participants { makers: u32::MAX, ..Default::default() },
                ..Default::default()
            },
            MarketOptions {
                instruments: [InstrumentSpec::defaults(1), InstrumentSpec::defaults(1)].concat(),
                ..Default::default()
            },
        ];
        for options in refused {
            assert!(options.check().is_err(), "{options:?}");
        }
    }
}
