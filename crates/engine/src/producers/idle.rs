//! Who has not been heard of for long is proposed to expire.

use std::time::Duration;

use tapebook_record::SharedBytes;
use tapebook_wal::{EntryKind, Wal};

use super::{EXPIRIES_MAX, Expiry, ProducerExpiry, Producers};
use crate::commit::{Change, Committer};
use crate::proposals::{Handing, Proposals};

/// Proposes idle producers to expire, now and then. Whether they do is decided when the entry is applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleProducers {
    /// Who was not heard of for so long by the commit clock; `None`: nobody is proposed.
    pub idle_max: Option<Duration>,
}

impl IdleProducers {
    /// Proposes an entry where somebody is idle. Where it is not taken, as on a node that does not lead, the next call tries
    /// again.
    pub(crate) fn propose(&self, proposals: &Proposals, committer: &Committer, wal: &Wal<Committer>) {
        let Some(idle_max) = self.idle_max else { return };
        let expiries = match committer.lock_sound() {
            Ok(committed) => {
                let state = &committed.applier.state;
                idle(&state.producers, state.commit_clock, idle_max)
            }
            Err(_) => return,
        };
        if expiries.is_empty() {
            return;
        }
        let entry = ProducerExpiry { expiries };
        let payload = SharedBytes::from(&*entry.encode());
        let change = Change::Expire(entry);
        let _ =
            proposals.propose(committer, wal, EntryKind::ProducerExpiry, payload, change, Handing::TryQueue);
    }
}

/// Who was not heard of for `idle_max` before `now`, by ascending id; the others of too many come with a later call.
fn idle(producers: &Producers, now: i64, idle_max: Duration) -> Vec<Expiry> {
    let idle_max = i64::try_from(idle_max.as_nanos()).unwrap_or(i64::MAX);
    let idle =
        producers.iter().filter(|(_, state)| !state.expired && now.saturating_sub(state.seen_at) > idle_max);
    let expiry = |(producer, state): (u64, &std::sync::Arc<super::ProducerState>)| Expiry {
        producer,
        epoch: state.epoch,
        through_number: state.last_number,
    };
    idle.map(expiry).take(EXPIRIES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapebook_record::Producer;

    #[test]
    fn only_who_was_silent_for_long_is_idle() {
        let mut producers = Producers::default();
        for (id, at) in [(1, 100), (2, 900), (3, 100), (4, 99)] {
            producers.applied(Producer { id, epoch: 5, batch_number: 1 }, id, id, at);
        }
        producers.expire(&Expiry { producer: 3, epoch: 5, through_number: 1 });
        let ids = |now, idle_max| -> Vec<u64> {
            let found = idle(&producers, now, Duration::from_nanos(idle_max));
            found.iter().map(|expiry| expiry.producer).collect()
        };
        assert_eq!(ids(1_000, 900), [4]);
        assert_eq!(ids(1_000, 899), [1, 4]);
        assert_eq!(ids(i64::MAX, 1_000), [1, 2, 4]);
        assert_eq!(ids(i64::MIN, 1_000), [0; 0], "a clock that lies before says nothing");
    }
}
