//! Accounts: what each one has of each currency, and how much of it is held back for open orders.
//!
//! It moves whole units only, from one account to another: nothing is made and nothing lost. It does not know
//! orders or prices.

/// What an account has of one currency, in units of 10^-9.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Holding {
    /// All of it.
    pub balance: i128,
    /// The part that open orders hold back.
    pub frozen: i128,
}

impl Holding {
    /// The part that is free to use.
    pub fn available(&self) -> i128 {
        self.balance - self.frozen
    }
}

/// The holdings of all accounts.
///
/// *Invariant*: `0 <= frozen <= balance` in every holding; the sum over all accounts of a currency changes only
/// by [`Ledger::endow`].
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    currencies: usize,
    holdings: Vec<Holding>,
    /// What changed since it was last asked for, as `(account, currency)`.
    touched: Vec<(u32, u32)>,
}

impl Ledger {
    pub(crate) fn new(accounts: usize, currencies: usize) -> Self {
        Self { currencies, holdings: vec![Holding::default(); accounts * currencies], touched: Vec::new() }
    }

    pub(crate) fn holding(&self, account: u32, currency: u32) -> Holding {
        self.holdings[account as usize * self.currencies + currency as usize]
    }

    /// Gives an account what it begins with.
    pub(crate) fn endow(&mut self, account: u32, currency: u32, units: i128) {
        self.change(account, currency, |holding| holding.balance += units);
    }

    /// Holds back `units`; `false`, and nothing changes, where less is free.
    pub(crate) fn freeze(&mut self, account: u32, currency: u32, units: i128) -> bool {
        if self.holding(account, currency).available() < units {
            return false;
        }
        self.change(account, currency, |holding| holding.frozen += units);
        true
    }

    /// Gives back what was held.
    pub(crate) fn release(&mut self, account: u32, currency: u32, units: i128) {
        self.change(account, currency, |holding| holding.frozen -= units);
    }

    /// Moves `units` out of what `from` has held back.
    pub(crate) fn pay(&mut self, currency: u32, from: u32, to: u32, units: i128) {
        self.change(from, currency, |holding| {
            holding.frozen -= units;
            holding.balance -= units;
        });
        self.change(to, currency, |holding| holding.balance += units);
    }

    /// Takes the list of what changed, in the order of accounts and currencies.
    pub(crate) fn take_touched(&mut self, into: &mut Vec<(u32, u32)>) {
        into.clear();
        into.append(&mut self.touched);
        into.sort_unstable();
        into.dedup();
    }

    fn change(&mut self, account: u32, currency: u32, change: impl FnOnce(&mut Holding)) {
        let holding = &mut self.holdings[account as usize * self.currencies + currency as usize];
        change(holding);
        debug_assert!(
            0 <= holding.frozen && holding.frozen <= holding.balance,
            "{account} {currency} {holding:?}"
        );
        self.touched.push((account, currency));
    }
}
