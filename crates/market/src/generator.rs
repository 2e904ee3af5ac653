//! Quotes and trades as fast as they can be pushed: load for benchmarks and long runs.
//!
//! Here nothing is matched: prices walk at random and only look like a market. Every row is made in place,
//! without allocating. For records that agree with each other there is [`crate::Market`].

use tapebook_record::{Batch, Id, PushError, Quote, Side, Trade};

use crate::instrument::Decimal;
use crate::options::OptionsError;
use crate::random::Random;
use crate::row::Row;
use crate::weighted::{Weighted, zipf};

/// The most symbols that a generator can have.
pub const SYMBOLS_MAX: u32 = 1_000_000;
const VENUE: &str = "GEN";
/// Steps of a price: a hundredth.
const TICK_UNITS: i64 = 10_000_000;
/// Steps of a size: a thousandth.
const LOT_UNITS: i64 = 1_000_000;

/// An endless stream of quotes and trades over many symbols.
///
/// ```
/// use tapebook_market::generator;
/// use tapebook_record::Batch;
///
/// let mut ticks = generator::ticks(1, 5_000, 1.0)?.late(0.05, 1_000_000_000);
/// let mut batch = Batch::new();
/// let rows = ticks.fill_batch(&mut batch, 1_000)?;
/// assert_eq!(rows, batch.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ticks {
    symbols: Vec<String>,
    series: Vec<Series>,
    choice: Weighted,
    random: Random,
    price: Decimal,
    size: Decimal,
    /// The symbol that goes on for so many more rows.
    burst: (u32, u64),
    burst_mean: u64,
    gap_ns: u64,
    trade_threshold: u64,
    late_threshold: u64,
    late_ns_max: u64,
    latency_ns: i64,
    now: i64,
    /// Made, but not yet taken.
    next: Option<Draft>,
}

/// Where a symbol stands: what its next rows follow from.
#[derive(Clone, Copy, Debug)]
struct Series {
    mid: i64,
    quotes: u64,
    trades: u64,
}

/// The whole numbers of a row.
#[derive(Clone, Copy, Debug)]
struct Draft {
    symbol: u32,
    trade: bool,
    ts: i64,
    recv_ts: i64,
    mid: i64,
    feed_seq: u64,
    bits: u64,
}

/// Quotes and trades of `symbols` symbols (1 to [`SYMBOLS_MAX`]), all in order of time.
///
/// The symbol with rank `r` has a share of `1 / r^skew`; `skew` from 0 (all alike) to 10. One row in five is a trade.
/// Time begins in August 2024 and a row comes every 2 µs; see the methods for what can be set.
pub fn ticks(seed: u64, symbols: u32, skew: f64) -> Result<Ticks, OptionsError> {
    if symbols == 0 || symbols > SYMBOLS_MAX {
        let max = SYMBOLS_MAX as usize;
        return Err(OptionsError::Count { what: "symbols", found: symbols as usize, max });
    }
    if !(0.0..=10.0).contains(&skew) {
        let found = skew.to_string();
        return Err(OptionsError::OutOfRange { option: "skew", found, expected: "between 0 and 10" });
    }
    let mut random = Random::new(seed);
    Ok(Ticks {
        symbols: (1..=symbols).map(|rank| format!("GEN.S{rank:06}")).collect(),
        series: (0..symbols)
            .map(|_| Series { mid: random.between(1_000, 1_000_000), quotes: 0, trades: 0 })
            .collect(),
        choice: Weighted::new(&zipf(symbols, skew)),
        random,
        price: Decimal::new(TICK_UNITS),
        size: Decimal::new(LOT_UNITS),
        burst: (0, 0),
        burst_mean: 4,
        gap_ns: 2_000,
        trade_threshold: threshold(0.2),
        late_threshold: 0,
        late_ns_max: 1,
        latency_ns: 100_000,
        now: 1_723_161_600_000_000_000,
        next: None,
    })
}

/// The number of 32 bits that a random one is below in `share` of all cases.
fn threshold(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * (1_u64 << 32) as f64) as u64
}

impl Ticks {
    /// Begins at `ts`, nanoseconds since the epoch, UTC.
    #[must_use]
    pub fn start(self, ts: i64) -> Self {
        Self { now: ts, ..self }
    }

    /// The mean time from row to row.
    #[must_use]
    pub fn gap(self, gap_ns: u32) -> Self {
        Self { gap_ns: u64::from(gap_ns), ..self }
    }

    /// The share of trades, from 0 to 1; the others are quotes.
    #[must_use]
    pub fn trades(self, share: f64) -> Self {
        Self { trade_threshold: threshold(share), ..self }
    }

    /// The mean number of rows that a symbol has in a row; 1 for a new choice each time.
    #[must_use]
    pub fn burst(self, rows: u32) -> Self {
        Self { burst_mean: u64::from(rows.max(1)), ..self }
    }

    /// Lets `share` of the rows, from 0 to 1, come up to `late_ns_max` after their time: their `ts` lies back.
    #[must_use]
    pub fn late(self, share: f64, late_ns_max: u64) -> Self {
        Self { late_threshold: threshold(share), late_ns_max: late_ns_max.min(1 << 60), ..self }
    }

    /// The names of the symbols, the liveliest first.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// The next row, a [`Row::Quote`] or a [`Row::Trade`].
    pub fn next_row(&mut self) -> Row<'_> {
        let draft = self.next.take().unwrap_or_else(|| self.draft());
        if draft.trade { self.trade(&draft).into() } else { self.quote(&draft).into() }
    }

    /// Pushes rows until `batch` is full or has got `rows_max` more; returns how many it got.
    pub fn fill_batch(&mut self, batch: &mut Batch, rows_max: usize) -> Result<usize, PushError> {
        for pushed in 0..rows_max {
            let draft = self.next.take().unwrap_or_else(|| self.draft());
            let result =
                if draft.trade { batch.push(self.trade(&draft)) } else { batch.push(self.quote(&draft)) };
            if let Err(error) = result {
                self.next = Some(draft);
                return if error == PushError::Full { Ok(pushed) } else { Err(error) };
            }
        }
        Ok(rows_max)
    }

    fn draft(&mut self) -> Draft {
        if self.burst.1 == 0 {
            let symbol = self.choice.pick(&mut self.random);
            self.burst = (symbol, 1 + self.random.below(2 * self.burst_mean - 1));
        }
        self.burst.1 -= 1;
        let symbol = self.burst.0;
        let (bits, more) = (self.random.next_u64(), self.random.next_u64());
        // Differently distributed parts of the same words: the low bits wait, the high ones choose.
        self.now += 1 + (((bits & 0xffff) * 2 * self.gap_ns) >> 16) as i64;
        let late = more & 0xffff_ffff < self.late_threshold;
        let late_ns = if late { 1 + self.random.below(self.late_ns_max) } else { 0 };
        let trade = more >> 32 < self.trade_threshold;
        let series = &mut self.series[symbol as usize];
        series.mid = (series.mid + [-1, 0, 0, 1][(bits >> 62) as usize]).clamp(100, 10_000_000);
        let sequence = if trade { &mut series.trades } else { &mut series.quotes };
        *sequence += 1;
        Draft {
            symbol,
            trade,
            ts: self.now.saturating_sub(late_ns as i64),
            recv_ts: self.now + self.latency_ns,
            mid: series.mid,
            feed_seq: *sequence,
            bits,
        }
    }

    fn lots(&self, bits: u64) -> Option<f64> {
        Some(self.size.value(1 + (bits & 0xfff) as i64))
    }

    fn trade(&self, draft: &Draft) -> Trade<'_> {
        let buy = draft.bits >> 61 & 1 == 1;
        Trade {
            symbol: &self.symbols[draft.symbol as usize],
            ts: draft.ts,
            price: Some(self.price.value(draft.mid + i64::from(buy))),
            size: self.lots(draft.bits >> 16),
            side: Some(if buy { Side::Buy } else { Side::Sell }),
            trade_id: Some(Id::Number(draft.feed_seq)),
            venue: Some(VENUE),
            recv_ts: Some(draft.recv_ts),
            feed_seq: Some(draft.feed_seq),
            ..Trade::default()
        }
    }

    fn quote(&self, draft: &Draft) -> Quote<'_> {
        let spread = 1 + (draft.bits >> 60 & 1) as i64;
        Quote {
            symbol: &self.symbols[draft.symbol as usize],
            ts: draft.ts,
            bid_price: Some(self.price.value(draft.mid)),
            bid_size: self.lots(draft.bits >> 16),
            ask_price: Some(self.price.value(draft.mid + spread)),
            ask_size: self.lots(draft.bits >> 32),
            venue: Some(VENUE),
            recv_ts: Some(draft.recv_ts),
            feed_seq: Some(draft.feed_seq),
            ..Quote::default()
        }
    }
}
