//! Who trades: what each kind of participant wants to do, given what it sees.
//!
//! Deciding changes nothing; the market carries the intents out, in order.

use tapebook_record::Side;

use crate::instrument::InstrumentSpec;
use crate::matching::opposite;
use crate::random::Random;
use crate::venue::{Listing, Terms};

/// The prices on each side that a market maker stands at.
const MAKER_LEVELS: i64 = 4;
/// The open orders that a patient participant has per instrument at most.
const PATIENT_ORDERS_MAX: usize = 12;

/// How somebody trades.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// Quotes both sides around the fair value.
    Maker,
    /// Buys and sells at the market without a view.
    Noise,
    /// Leaves limit orders in the book and takes some back.
    Patient,
    /// Follows the price.
    Trend,
}

impl Style {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Noise => "noise",
            Self::Patient => "patient",
            Self::Trend => "trend",
        }
    }

    /// How often one of this kind acts, against the others.
    pub(crate) fn weight(self) -> f64 {
        match self {
            Self::Maker => 4.0,
            Self::Noise => 1.0,
            Self::Patient => 1.2,
            Self::Trend => 0.6,
        }
    }

    /// What one of this kind begins with, in usual orders of every instrument.
    pub(crate) fn endowment_orders(self) -> i64 {
        match self {
            Self::Maker => 3_000,
            Self::Noise => 60,
            Self::Patient => 300,
            Self::Trend => 100,
        }
    }
}

/// One participant.
#[derive(Clone, Debug)]
pub(crate) struct Participant {
    pub(crate) account: u32,
    pub(crate) style: Style,
    /// By instrument: its orders that stood in the book when it last looked.
    pub(crate) open: Vec<Vec<u64>>,
}

/// What a participant sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) spec: &'a InstrumentSpec,
    pub(crate) listing: &'a Listing,
    /// What the instrument is worth now, in ticks.
    pub(crate) fair: i64,
    /// What it was worth on average of late, in ticks.
    pub(crate) slow: i64,
}

/// What a participant wants to do next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Intent {
    Cancel(u64),
    Submit { side: Side, terms: Terms, lots: i64 },
}

impl Participant {
    /// Appends to `intents` what to do about one instrument.
    pub(crate) fn decide(
        &self,
        instrument: usize,
        view: View<'_>,
        random: &mut Random,
        intents: &mut Vec<Intent>,
    ) {
        let open = &self.open[instrument];
        match self.style {
            Style::Maker => self.make(open, view, random, intents),
            Style::Noise => intents.push(trade_at_market(view, random)),
            Style::Patient => wait_for_a_price(open, view, random, intents),
            Style::Trend => follow(view, random, intents),
        }
    }

    /// Leaves the orders that stand where they should, takes the others back and puts new ones.
    fn make(&self, open: &[u64], view: View<'_>, random: &mut Random, intents: &mut Vec<Intent>) {
        let View { spec, listing, fair, .. } = view;
        let held = listing.positions[self.account as usize].lots / (spec.typical_lots * 40);
        let centre = fair + random.between(-1, 1) - held.clamp(-20, 20) * spec.half_spread_ticks;
        let step = spec.half_spread_ticks;
        let mut wanted: Vec<(Side, i64)> = Vec::with_capacity(2 * MAKER_LEVELS as usize);
        // Mostly a maker waits until the others have moved; now and then one takes what they left standing.
        let waits = random.chance(0.9);
        let touch = |side| listing.book.best(side).filter(|_| waits).map(|(price, _)| price);
        let highest_bid = touch(Side::Sell).map_or(i64::MAX, |ask| ask - 1).min(centre - step);
        let lowest_ask = touch(Side::Buy).map_or(i64::MIN, |bid| bid + 1).max(centre + step);
        for level in 0..MAKER_LEVELS {
            wanted.push((Side::Buy, highest_bid - level * step));
            wanted.push((Side::Sell, lowest_ask + level * step));
        }
        for id in open {
            let Some(order) = listing.book.order(*id) else {
                continue;
            };
            match wanted.iter().position(|place| *place == (order.side, order.price)) {
                Some(at) => drop(wanted.remove(at)),
                None => intents.push(Intent::Cancel(*id)),
            }
        }
        for (side, price) in wanted {
            let lots = spec.typical_lots * random.between(1, 4) + random.between(0, spec.typical_lots);
            intents.push(Intent::Submit { side, terms: Terms::Limit(price), lots });
        }
    }
}

fn any_side(random: &mut Random) -> Side {
    if random.chance(0.5) { Side::Buy } else { Side::Sell }
}

fn trade_at_market(view: View<'_>, random: &mut Random) -> Intent {
    let side = any_side(random);
    let mut lots = random.between(1, view.spec.typical_lots * 2);
    if random.chance(0.01) {
        lots *= 200;
    }
    let touch = view.listing.book.best(opposite(side));
    let terms = match touch {
        Some((price, _)) if random.chance(0.3) => Terms::LimitNow(price),
        _ => Terms::Market,
    };
    Intent::Submit { side, terms, lots }
}

fn wait_for_a_price(open: &[u64], view: View<'_>, random: &mut Random, intents: &mut Vec<Intent>) {
    let spec = view.spec;
    if !open.is_empty() && (open.len() >= PATIENT_ORDERS_MAX || random.chance(0.35)) {
        intents.push(Intent::Cancel(open[random.below(open.len() as u64) as usize]));
        return;
    }
    let side = any_side(random);
    let mut distance = random.exponential(6.0 * spec.half_spread_ticks as f64) as i64;
    if random.chance(0.005) {
        distance = view.fair / 3;
    }
    let price = match side {
        Side::Buy => view.fair - distance,
        Side::Sell => view.fair + distance,
    };
    let lots = random.between(1, spec.typical_lots * 3);
    intents.push(Intent::Submit { side, terms: Terms::Limit(price), lots });
}

fn follow(view: View<'_>, random: &mut Random, intents: &mut Vec<Intent>) {
    let View { spec, listing, fair, slow } = view;
    let side = match fair - slow {
        up if up > spec.half_spread_ticks => Side::Buy,
        down if down < -spec.half_spread_ticks => Side::Sell,
        _ => return,
    };
    let Some((touch, _)) = listing.book.best(opposite(side)) else {
        return;
    };
    let reach = random.between(0, 2);
    let limit = if side == Side::Buy { touch + reach } else { touch - reach };
    let lots = random.between(spec.typical_lots / 2 + 1, spec.typical_lots * 3);
    intents.push(Intent::Submit { side, terms: Terms::LimitNow(limit), lots });
}
