//! How old what this node shows can be, as long as it only follows.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Since when nothing was acknowledged that cannot be read here.
///
/// The leader says with each message what it knows to be committed. When that is applied here, this node shows everything that was
/// committed when the message left, hence before it came.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// When a message came, and what must be applied for this node to be as new as that.
    awaited: Option<(Instant, u64)>,
    fresh_at: Option<Instant>,
}

impl Freshness {
    /// The leader says that it has committed so much; here so much is applied.
    pub fn heard(&self, committed: u64, applied: u64, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(applied);
        // An earlier message that is not settled yet stays: under load there would always be a newer one.
        state.awaited.get_or_insert((now, committed));
        state.settle(applied);
    }

    /// How far this node can be behind, where that is known.
    pub fn age(&self, applied: u64, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(applied);
        state.fresh_at.map(|at| now.saturating_duration_since(at))
    }
}

impl State {
    fn settle(&mut self, applied: u64) {
        if let Some((at, _)) = self.awaited.take_if(|(_, index)| *index <= applied) {
            self.fresh_at = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_as_new_as_the_last_message_that_it_has_caught_up_with() {
        let (freshness, start) = (Freshness::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(freshness.age(0, at(0)), None, "nobody has said anything");
        freshness.heard(5, 3, at(10));
        assert_eq!(freshness.age(4, at(20)), None);
        assert_eq!(freshness.age(5, at(20)), Some(Duration::from_millis(10)));
        freshness.heard(9, 6, at(30));
        freshness.heard(12, 8, at(40));
        assert_eq!(freshness.age(8, at(50)), Some(Duration::from_millis(40)), "as before");
        assert_eq!(
            freshness.age(9, at(50)),
            Some(Duration::from_millis(20)),
            "the first message that is settled"
        );
        freshness.heard(9, 12, at(60));
        assert_eq!(
            freshness.age(12, at(60)),
            Some(Duration::ZERO),
            "nothing new while nobody writes is new, too"
        );
    }
}
