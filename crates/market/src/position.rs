//! Positions: what an account bought more than it sold of an instrument, and what it made by that.

/// A net position since the market began; sizes in lots, money in 10^-9 of the quote currency.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NetPosition {
    /// Bought less sold; negative for a short position.
    pub lots: i64,
    /// What the open part cost, or brought in where it is short; never negative.
    pub cost_units: i128,
    /// Profit taken, before fees.
    pub realized_units: i128,
}

impl NetPosition {
    /// Books a fill of `lots` (negative for a sale) that cost or brought in `notional_units`.
    pub(crate) fn book(&mut self, lots: i64, notional_units: i128) {
        let closed = if (self.lots > 0) == (lots > 0) { 0 } else { self.lots.abs().min(lots.abs()) };
        let (value, cost) = if closed == 0 {
            (0, 0)
        } else {
            (share(notional_units, closed, lots.abs()), share(self.cost_units, closed, self.lots.abs()))
        };
        self.realized_units += if self.lots > 0 { value - cost } else { cost - value };
        self.cost_units += notional_units - value - cost;
        self.lots += lots;
    }

    /// Profit on the open part, were it worth `value_units`.
    pub(crate) fn unrealized_units(&self, value_units: i128) -> i128 {
        if self.lots >= 0 { value_units - self.cost_units } else { self.cost_units - value_units }
    }
}

fn share(units: i128, part: i64, whole: i64) -> i128 {
    units * i128::from(part) / i128::from(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_takes_profit_and_crossing_opens_the_other_side() {
        let mut position = NetPosition::default();
        position.book(10, 1_000);
        position.book(-4, 480);
        assert_eq!(position, NetPosition { lots: 6, cost_units: 600, realized_units: 80 });
        assert_eq!(position.unrealized_units(660), 60);
        position.book(-10, 900);
        assert_eq!(position, NetPosition { lots: -4, cost_units: 360, realized_units: 20 });
        assert_eq!(position.unrealized_units(300), 60);
        position.book(4, 400);
        assert_eq!(position, NetPosition { lots: 0, cost_units: 0, realized_units: -20 });
    }
}
