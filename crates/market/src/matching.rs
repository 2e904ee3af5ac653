//! Price-time priority: which resting orders an incoming one meets, and in which order.
//!
//! It changes the book and says what happened. Money, accounts and records are the venue's.

use tapebook_record::Side;

use crate::order_book::{OrderBook, RestingOrder};

/// An order on its way to the book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming {
    pub(crate) account: u32,
    pub(crate) side: Side,
    /// The worst price that is acceptable, in ticks; `None` takes any.
    pub(crate) limit: Option<i64>,
    pub(crate) lots: i64,
}

/// One step of matching.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Match {
    /// `maker` stands as it was before; the trade is at its price.
    Fill { maker: RestingOrder, lots: i64 },
    /// The resting order belonged to the same account, so it was taken back and did not trade.
    OwnOrder { cancelled: RestingOrder },
}

pub(crate) fn opposite(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

/// True where an order of `side` with this limit would trade at `price`.
pub(crate) fn acceptable(side: Side, limit: Option<i64>, price: i64) -> bool {
    limit.is_none_or(|limit| match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    })
}

/// Takes from the book what `incoming` can get, appends the steps to `steps` and returns the lots that are left.
pub(crate) fn match_order(book: &mut OrderBook, incoming: Incoming, steps: &mut Vec<Match>) -> i64 {
    let mut left = incoming.lots;
    while left > 0
        && let Some(maker) = book.front(opposite(incoming.side)).copied()
        && acceptable(incoming.side, incoming.limit, maker.price)
    {
        if maker.account == incoming.account {
            book.remove(maker.id);
            steps.push(Match::OwnOrder { cancelled: maker });
            continue;
        }
        let lots = left.min(maker.lots);
        book.change(maker.id, |order| {
            order.lots -= lots;
            order.filled += lots;
        });
        left -= lots;
        steps.push(Match::Fill { maker, lots });
    }
    left
}

/// The fills that [`match_order`] would make, as `(price, lots)`, without touching the book.
pub(crate) fn fills_ahead(book: &OrderBook, incoming: Incoming) -> impl Iterator<Item = (i64, i64)> + '_ {
    let mut left = incoming.lots;
    book.orders(opposite(incoming.side))
        .take_while(move |maker| acceptable(incoming.side, incoming.limit, maker.price))
        .filter(move |maker| maker.account != incoming.account)
        .map_while(move |maker| {
            let lots = left.min(maker.lots);
            left -= lots;
            (lots > 0).then_some((maker.price, lots))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_fills_foretold_are_those_made_own_orders_included() {
        let mut random = Random::new(11);
        let mut own_orders = 0;
        for _ in 0..500 {
            let mut book = OrderBook::default();
            for id in 0..20 {
                let (account, price) = (random.below(3) as u32, random.between(90, 99));
                let (lots, side) = (random.between(1, 9), Side::Sell);
                let order = RestingOrder {
                    id,
                    account,
                    side,
                    price,
                    lots,
                    filled: 0,
                    notional_units: 0,
                    frozen_units: 0,
                };
                book.insert(order);
            }
            let limit = random.chance(0.5).then(|| random.between(88, 101));
            let incoming = Incoming { account: 0, side: Side::Buy, limit, lots: random.between(1, 120) };
            let foretold: Vec<(i64, i64)> = fills_ahead(&book, incoming).collect();
            let mut steps = Vec::new();
            match_order(&mut book, incoming, &mut steps);
            let made = steps.iter().filter_map(|step| match step {
                Match::Fill { maker, lots } => Some((maker.price, *lots)),
                Match::OwnOrder { .. } => None,
            });
            assert!(made.eq(foretold));
            own_orders += steps.iter().filter(|step| matches!(step, Match::OwnOrder { .. })).count();
        }
        assert!(own_orders > 500);
    }
}
