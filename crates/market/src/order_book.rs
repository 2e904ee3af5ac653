//! The order book of one instrument: what stands at which price, first come first.
//!
//! It keeps orders and their sequence. It does not decide what trades (`matching`) and knows nothing of money.

use std::collections::{BTreeMap, HashMap};

use tapebook_record::Side;

const NONE: u32 = u32::MAX;

/// Orders by price, and by arrival at each price. Prices are in ticks, sizes in lots.
///
/// *Invariant*: the lots of a level are the sum of its orders' lots, and no level is empty.
#[derive(Clone, Debug, Default)]
pub struct OrderBook {
    bids: BTreeMap<i64, Queue>,
    asks: BTreeMap<i64, Queue>,
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// Only ever asked for one id; its order, which differs from run to run, is never seen.
    by_id: HashMap<u64, u32>,
}

/// The orders at one price, as a list through the nodes.
#[derive(Clone, Copy, Debug)]
struct Queue {
    first: u32,
    last: u32,
    lots: i64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    order: RestingOrder,
    before: u32,
    after: u32,
}

/// An order that stands in the book.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RestingOrder {
    /// Its number.
    pub id: u64,
    /// Whose it is.
    pub account: u32,
    /// Which way it goes.
    pub side: Side,
    /// Its limit, in ticks.
    pub price: i64,
    /// What is still open, in lots.
    pub lots: i64,
    /// What was filled, in lots.
    pub filled: i64,
    /// What the filled part cost, in 10^-9 of the quote currency.
    pub(crate) notional_units: i128,
    /// What is held back for the open part, in 10^-9 of what it would be paid with.
    pub(crate) frozen_units: i128,
}

impl OrderBook {
    /// The best price of a side and the lots that stand there.
    pub fn best(&self, side: Side) -> Option<(i64, i64)> {
        let (price, queue) = match side {
            Side::Buy => self.bids.last_key_value()?,
            Side::Sell => self.asks.first_key_value()?,
        };
        Some((*price, queue.lots))
    }

    /// The lots at a price, 0 where nothing stands there.
    pub fn lots_at(&self, side: Side, price: i64) -> i64 {
        self.side(side).get(&price).map_or(0, |queue| queue.lots)
    }

    /// The prices of a side with their lots, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (i64, i64)> + '_ {
        let (bids, asks) = match side {
            Side::Buy => (Some(self.bids.iter().rev()), None),
            Side::Sell => (None, Some(self.asks.iter())),
        };
        let levels = bids.into_iter().flatten().chain(asks.into_iter().flatten());
        levels.map(|(price, queue)| (*price, queue.lots))
    }

    /// The orders of a side: best price first, then first come first.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = &RestingOrder> + '_ {
        self.levels(side).flat_map(move |(price, _)| {
            let first = self.side(side).get(&price).map_or(NONE, |queue| queue.first);
            std::iter::successors(self.node(first), |node| self.node(node.after)).map(|node| &node.order)
        })
    }

    /// The order with that number, where it stands in the book.
    pub fn order(&self, id: u64) -> Option<&RestingOrder> {
        self.node(*self.by_id.get(&id)?).map(|node| &node.order)
    }

    /// The number of orders.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True where no order stands.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The order that trades first of a side.
    pub(crate) fn front(&self, side: Side) -> Option<&RestingOrder> {
        let queue = match side {
            Side::Buy => self.bids.last_key_value()?.1,
            Side::Sell => self.asks.first_key_value()?.1,
        };
        self.node(queue.first).map(|node| &node.order)
    }

    /// Puts an order behind all others at its price. Its number must be new and its lots at least 1.
    pub(crate) fn insert(&mut self, order: RestingOrder) {
        debug_assert!(order.lots > 0, "an order without lots cannot stand in the book");
        let slot = self.free.pop().unwrap_or(self.nodes.len() as u32);
        let levels = match order.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let queue = levels.entry(order.price).or_insert(Queue { first: NONE, last: NONE, lots: 0 });
        let node = Node { order, before: queue.last, after: NONE };
        queue.lots += order.lots;
        queue.last = slot;
        if queue.first == NONE {
            queue.first = slot;
        }
        if let Some(before) = self.nodes.get_mut(node.before as usize) {
            before.after = slot;
        }
        match self.nodes.get_mut(slot as usize) {
            Some(place) => *place = node,
            None => self.nodes.push(node),
        }
        let known = self.by_id.insert(order.id, slot);
        debug_assert!(known.is_none(), "order {} stands in the book twice", order.id);
    }

    /// Takes an order out, whatever is open of it.
    pub(crate) fn remove(&mut self, id: u64) -> Option<RestingOrder> {
        let slot = self.by_id.remove(&id)?;
        let Node { order, before, after } = self.nodes[slot as usize];
        self.free.push(slot);
        if let Some(node) = self.nodes.get_mut(before as usize) {
            node.after = after;
        }
        if let Some(node) = self.nodes.get_mut(after as usize) {
            node.before = before;
        }
        let levels = match order.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if let Some(queue) = levels.get_mut(&order.price) {
            queue.lots -= order.lots;
            if queue.first == slot {
                queue.first = after;
            }
            if queue.last == slot {
                queue.last = before;
            }
            if queue.first == NONE {
                levels.remove(&order.price);
            }
        }
        Some(order)
    }

    /// Changes an order in its place in the queue; one that has no lots left leaves the book.
    /// Returns the order as it is afterwards.
    pub(crate) fn change(&mut self, id: u64, change: impl FnOnce(&mut RestingOrder)) -> Option<RestingOrder> {
        let slot = *self.by_id.get(&id)?;
        let order = &mut self.nodes[slot as usize].order;
        let lots = order.lots;
        change(order);
        let order = *order;
        let levels = match order.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if let Some(queue) = levels.get_mut(&order.price) {
            queue.lots += order.lots - lots;
        }
        if order.lots == 0 {
            self.remove(id);
        }
        Some(order)
    }

    fn side(&self, side: Side) -> &BTreeMap<i64, Queue> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn node(&self, slot: u32) -> Option<&Node> {
        self.nodes.get(slot as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn order(id: u64, side: Side, price: i64, lots: i64) -> RestingOrder {
        RestingOrder { id, account: 0, side, price, lots, filled: 0, notional_units: 0, frozen_units: 0 }
    }

    #[test]
    fn it_agrees_with_a_plain_list_after_many_random_changes() {
        let mut random = Random::new(3);
        let mut book = OrderBook::default();
        let mut list: Vec<RestingOrder> = Vec::new();
        for id in 0..20_000 {
            match random.below(3) {
                0 | 1 if list.len() < 200 => {
                    let side = if random.chance(0.5) { Side::Buy } else { Side::Sell };
                    let order = order(id, side, random.between(1, 20), random.between(1, 9));
                    book.insert(order);
                    list.push(order);
                }
                _ if list.is_empty() => {}
                2 => {
                    let at = random.below(list.len() as u64) as usize;
                    assert_eq!(book.remove(list[at].id), Some(list.remove(at)));
                }
                _ => {
                    let at = random.below(list.len() as u64) as usize;
                    let take = random.between(1, list[at].lots);
                    list[at].lots -= take;
                    assert_eq!(book.change(list[at].id, |order| order.lots -= take), Some(list[at]));
                    if list[at].lots == 0 {
                        list.remove(at);
                    }
                }
            }
            for side in [Side::Buy, Side::Sell] {
                let mut expected: Vec<&RestingOrder> =
                    list.iter().filter(|order| order.side == side).collect();
                expected.sort_by_key(|order| if side == Side::Buy { -order.price } else { order.price });
                assert!(book.orders(side).eq(expected.iter().copied()));
                assert_eq!(book.front(side), expected.first().copied());
                assert_eq!(
                    book.levels(side).map(|(_, lots)| lots).sum::<i64>(),
                    expected.iter().map(|order| order.lots).sum::<i64>()
                );
                assert!(book.levels(side).all(|(price, lots)| lots > 0 && book.lots_at(side, price) == lots));
            }
            assert_eq!(book.len(), list.len());
        }
        assert_eq!(book.remove(u64::MAX), None);
    }
}
