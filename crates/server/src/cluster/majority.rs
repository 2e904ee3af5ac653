//! Whether writers may wait for this node.
//!
//! A leader that the others do not hear any more, or that does not hear them, still leads as far as it knows, while they may have elected
//! another one. Consensus takes nothing new from it then, and keeps what it has taken, for as long as it takes. A node that has lost the
//! lead keeps it as well, and settles it when it applies what the next leader sends, which may be never: its disk may be full. Writers must
//! not wait for that: they are sent away, and find out elsewhere what became of their batches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Writers wait for so long for a leader that no majority answers, or for a node that leads no more. Others have elected another leader by
/// then, if they could.
pub(super) const WAITED_FOR_MAX: Duration = Duration::from_secs(1);

/// What a node does, as far as writers are concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// It leads, and needs no other node for that.
    Rules,
    /// It leads, and a majority has answered it so long ago; `None` where none has since it leads.
    Leads(Option<Duration>),
    /// Others lead, or nobody does.
    Follows,
}

/// Since when it does what it does.
#[derive(Debug, Default)]
pub(super) struct Standing {
    unconfirmed_since: Option<Instant>,
    follows_since: Option<Instant>,
}

/// What is known, and who waits to hear of it.
#[derive(Debug, Default)]
pub(super) struct Majority {
    is_missing: AtomicBool,
    lets_go: watch::Sender<bool>,
}

impl Standing {
    /// How long it has led without a majority, and how long it has not led.
    pub(super) fn look(&mut self, part: Part, now: Instant) -> (Duration, Duration) {
        if let Part::Leads(Some(age)) = part {
            self.unconfirmed_since = now.checked_sub(age);
        }
        let since = |is_so: bool, since: &mut Option<Instant>| {
            if !is_so {
                *since = None;
                return Duration::ZERO;
            }
            now.duration_since(*since.get_or_insert(now))
        };
        let unconfirmed = since(matches!(part, Part::Leads(_)), &mut self.unconfirmed_since);
        (unconfirmed, since(part == Part::Follows, &mut self.follows_since))
    }
}

impl Majority {
    pub(super) fn note(&self, (unconfirmed, follows): (Duration, Duration)) {
        let is_missing = unconfirmed >= WAITED_FOR_MAX;
        self.is_missing.store(is_missing, Ordering::Relaxed);
        let lets_go = is_missing || follows >= WAITED_FOR_MAX;
        self.lets_go.send_if_modified(|before| std::mem::replace(before, lets_go) != lets_go);
    }

    /// True of a leader that too few answer.
    pub(super) fn is_missing(&self) -> bool {
        self.is_missing.load(Ordering::Relaxed)
    }

    /// True while nobody should wait for this node; a new leader is noticed a moment later.
    pub(super) fn lets_go(&self) -> watch::Receiver<bool> {
        self.lets_go.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_leader_is_confirmed_by_answers_and_a_new_one_gets_time_for_the_first() {
        let (mut standing, start) = (Standing::default(), Instant::now());
        let mut look = |part, at| standing.look(part, start + seconds(at));
        assert_eq!(look(Part::Leads(None), 10), (ZERO, ZERO));
        assert_eq!(look(Part::Leads(None), 12), (seconds(2), ZERO));
        assert_eq!(look(Part::Leads(Some(ZERO)), 13), (ZERO, ZERO));
        assert_eq!(look(Part::Leads(Some(seconds(3))), 16), (seconds(3), ZERO));
        assert_eq!(look(Part::Follows, 17), (ZERO, ZERO));
        assert_eq!(look(Part::Follows, 20), (ZERO, seconds(3)));
        assert_eq!(look(Part::Leads(None), 21), (ZERO, ZERO), "it leads anew");
        assert_eq!(look(Part::Rules, 30), (ZERO, ZERO));
    }

    #[tokio::test]
    async fn who_waits_is_let_go() {
        let majority = Majority::default();
        let mut lets_go = majority.lets_go();
        majority.note((ZERO, WAITED_FOR_MAX));
        assert!(lets_go.wait_for(|lets_go| *lets_go).await.is_ok());
        assert!(!majority.is_missing());
        majority.note((WAITED_FOR_MAX, ZERO));
        assert!(majority.is_missing() && *lets_go.borrow());
        majority.note((ZERO, ZERO));
        assert!(!majority.is_missing() && !*lets_go.borrow());
    }
}
