//! How many bytes may be on their way to a subscriber.

/// What a subscriber has allowed and not been sent yet.
///
/// A message goes out while there is credit, whatever its size; so the last one may overdraw it, by less than a batch, and even a
/// small credit leads to a whole batch. What is given never adds up to more than the server's own bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    left: i64,
    max: i64,
}

impl Credit {
    /// A first credit; `max` is the most that may ever be on its way.
    pub(super) fn new(bytes: u64, max: u64) -> Self {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let mut credit = Self { left: 0, max };
        credit.give(bytes);
        credit
    }

    /// The subscriber allows so many bytes more.
    pub(super) fn give(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.left = self.left.saturating_add(bytes).min(self.max);
    }

    /// True where another message may go.
    pub(super) fn is_left(self) -> bool {
        self.left > 0
    }

    /// A message of so many bytes goes.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// What is left; below 0 where it is overdrawn.
    pub(super) fn left(self) -> i64 {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_may_overdraw_it_and_then_none_goes() {
        let mut credit = Credit::new(10, 1_000);
        assert!(credit.is_left());
        credit.spend(300);
        assert_eq!(credit.left(), -290);
        credit.give(290);
        assert!(!credit.is_left());
        credit.give(1);
        assert!(credit.is_left());
    }

    #[test]
    fn it_never_grows_beyond_the_bound() {
        let mut credit = Credit::new(u64::MAX, 1_000);
        credit.give(u64::MAX);
        assert_eq!(credit.left(), 1_000);
    }
}
