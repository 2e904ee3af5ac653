//! Whether a majority still answers the leader.
//!
//! A leader that the others do not hear any more, or that does not hear them, still leads as far as it knows, while they may have elected
//! another one. Consensus takes nothing new from it then, and keeps what it has taken, for as long as it takes. Writers must not wait for
//! that: they are sent away, and find out elsewhere what became of their batches.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A leader that no majority has answered for so long sends writers away. Others have elected another one by then, if they could.
pub(super) const UNCONFIRMED_MAX: Duration = Duration::from_secs(1);

/// What is known of it, and who waits to hear that it is gone.
#[derive(Debug, Default)]
pub(super) struct Majority {
    is_missing: watch::Sender<bool>,
}

/// Since when a leader leads without one.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    since: Option<Instant>,
}

impl Unconfirmed {
    /// For how long it does. `needs_others` is false of a node that does not lead, or needs nobody to; `age` is how long ago a majority has
    /// answered for the last time, `None` where none has since it leads.
    pub(super) fn lasts_for(&mut self, needs_others: bool, age: Option<Duration>, now: Instant) -> Duration {
        if !needs_others {
            self.since = None;
            return Duration::ZERO;
        }
        if let Some(age) = age {
            self.since = now.checked_sub(age);
        }
        now.duration_since(*self.since.get_or_insert(now))
    }
}

impl Majority {
    pub(super) fn note(&self, unconfirmed_for: Duration) {
        let is_missing = unconfirmed_for >= UNCONFIRMED_MAX;
        self.is_missing.send_if_modified(|before| std::mem::replace(before, is_missing) != is_missing);
    }

    pub(super) fn is_missing(&self) -> bool {
        *self.is_missing.borrow()
    }

    /// Waits until it is.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut is_missing = self.is_missing.subscribe();
        async move {
            if is_missing.wait_for(|is_missing| *is_missing).await.is_err() {
                // The node has ended, and says so to everybody.
                std::future::pending().await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_confirmed_by_answers_and_a_new_one_gets_time_for_the_first() {
        let (mut unconfirmed, start) = (Unconfirmed::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(unconfirmed.lasts_for(true, None, at(10)), Duration::ZERO);
        assert_eq!(unconfirmed.lasts_for(true, None, at(12)), Duration::from_secs(2));
        assert_eq!(unconfirmed.lasts_for(true, seconds(0), at(13)), Duration::ZERO);
        assert_eq!(unconfirmed.lasts_for(true, seconds(3), at(16)), Duration::from_secs(3));
        assert_eq!(unconfirmed.lasts_for(false, None, at(17)), Duration::ZERO);
        assert_eq!(unconfirmed.lasts_for(true, None, at(20)), Duration::ZERO, "it leads anew");
    }

    #[tokio::test]
    async fn who_waits_hears_that_it_is_lost() {
        let majority = Majority::default();
        let lost = majority.lost();
        majority.note(UNCONFIRMED_MAX);
        lost.await;
        assert!(majority.is_missing());
        majority.note(Duration::ZERO);
        assert!(!majority.is_missing());
    }
}
