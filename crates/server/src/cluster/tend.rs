//! What a node does again and again: it looks after itself, and the leader after the others.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tapebook::{Member, Membership};
use tapebook_proto::v1;
use tapebook_replication::{Node as Consensus, NodeStatus, Role};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::Cluster;
use super::majority::{Part, Standing};
use super::transport::reason_of;

/// How often a node looks around.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A node that was not heard of for so long is not there.
pub(super) const CONTACT_MAX: Duration = Duration::from_secs(1);
/// A learner that lacks no more entries than this gets its vote.
const LAG_MAX_TO_VOTE: u64 = 10_000;
/// How many moments are kept to tell how old an entry is, and how far they are apart.
const MOMENTS_MAX: usize = 600;
const MOMENT_EVERY: Duration = Duration::from_secs(1);
/// A leader that cannot write tries to hand over so often.
const HAND_OVER_EVERY: Duration = Duration::from_secs(5);
/// What failed is told again after so long.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What was seen at the last looks.
#[derive(Debug, Default)]
pub(super) struct Tended {
    pub members: Arc<Membership>,
    /// The end of the log at some moments, the oldest first.
    moments: VecDeque<(Instant, u64)>,
    disk: Disk,
    standing: Standing,
    handed_over_at: Option<Instant>,
    told_at: Option<Instant>,
}

/// Whether the disk goes on.
#[derive(Debug, Default)]
struct Disk {
    groups: u64,
    /// Since when something waits and nothing was synced.
    stalled_since: Option<Instant>,
}

impl Tended {
    /// Of a node that has just begun.
    pub fn begin(consensus: &Consensus) -> Self {
        Self { members: Arc::new(consensus.status().membership), ..Self::default() }
    }

    /// How long ago the entry behind this one was in the log; `None` where that is longer than is kept.
    pub fn age_of(&self, index: u64) -> Option<Duration> {
        let behind = self.moments.partition_point(|(_, last)| *last <= index);
        let (at, _) = self.moments.get(behind.checked_sub(1)?)?;
        Some(at.elapsed())
    }

    fn note(&mut self, last_index: u64, now: Instant) {
        let due = self.moments.back().is_none_or(|(at, _)| now.duration_since(*at) >= MOMENT_EVERY);
        if due {
            self.moments.push_back((now, last_index));
        }
        while self.moments.len() > MOMENTS_MAX {
            self.moments.pop_front();
        }
    }

    fn may_tell(&mut self, now: Instant) -> bool {
        let may = self.told_at.is_none_or(|at| now.duration_since(at) >= TELL_AGAIN_AFTER);
        if may {
            self.told_at = Some(now);
        }
        may
    }
}

impl Disk {
    /// How long the disk has synced nothing while something waits.
    fn stalled_for(&mut self, groups: u64, waits: bool, now: Instant) -> Duration {
        if !waits || groups != self.groups {
            (self.groups, self.stalled_since) = (groups, None);
        }
        if waits {
            return now.duration_since(*self.stalled_since.get_or_insert(now));
        }
        Duration::ZERO
    }
}

/// Looks around until the node is gone. Where it can go on no more, `failed` says why.
pub(super) async fn tend(cluster: Weak<Cluster>, failed: watch::Sender<Option<String>>) {
    loop {
        sleep(LOOK_EVERY).await;
        let Some(cluster) = cluster.upgrade() else { return };
        if let Err(reason) = cluster.look_around().await {
            failed.send_replace(Some(reason));
            return;
        }
    }
}

impl Cluster {
    /// One look; why the node can go on no more, where that is so.
    async fn look_around(self: &Arc<Self>) -> Result<(), String> {
        let (status, now) = (self.consensus.status(), Instant::now());
        if let Some(failure) = &status.failure {
            return Err(format!("consensus has ended on this node: {failure}"));
        }
        let confirmed = status.quorum_age.and_then(|age| now.checked_sub(age));
        self.origin().confirmed(confirmed);
        let part = match status.role {
            Role::Leader if status.membership.is_ruled_by(status.node_id) => Part::Rules,
            Role::Leader => Part::Leads(status.quorum_age),
            _ => Part::Follows,
        };
        self.majority.note(self.tended().standing.look(part, now));
        let stalled = {
            let wal = self.replica().db().stats().wal;
            let mut tended = self.tended();
            tended.members = Arc::new(status.membership.clone());
            tended.note(status.last_index, now);
            tended.disk.stalled_for(wal.groups, wal.unsynced_bytes > 0, now)
        };
        if stalled >= self.options.disk_hang_max {
            return Err(format!(
                "the disk has synced nothing for {} s (disk_hang_max)",
                self.options.disk_hang_max.as_secs()
            ));
        }
        if status.role == Role::Leader {
            self.look_after_others(&status, stalled, now).await;
        } else {
            self.look_after_itself(&status);
        }
        Ok(())
    }

    async fn look_after_others(self: &Arc<Self>, status: &NodeStatus, stalled: Duration, now: Instant) {
        let reason = match self.consensus.log_is_full() {
            Some(error) => Some(error.to_string()),
            None if stalled >= self.options.disk_stall_max => {
                Some(format!("its disk has synced nothing for {} ms", stalled.as_millis()))
            }
            None => None,
        };
        if let Some(reason) = reason {
            let due = self.tended().handed_over_at.is_none_or(|at| now.duration_since(at) >= HAND_OVER_EVERY);
            if let Some(to) = self.best_follower().filter(|_| due) {
                self.tended().handed_over_at = Some(now);
                log::warn!("node {} hands over to node {to}: {reason}", status.node_id);
                if let Err(error) = self.consensus.transfer_lead(to).await {
                    log::warn!("handing over failed: {error}");
                }
            }
            return;
        }
        // A change that somebody asked for goes first.
        let Ok(alone) = Arc::clone(&self.changing).try_lock_owned() else { return };
        let Some(change) = self.due_change(status) else { return };
        let cluster = Arc::clone(self);
        // Without a majority it takes as long as that is missing.
        tokio::spawn(async move {
            let _alone = alone;
            let changed = match change {
                DueChange::Address => {
                    cluster.consensus.set_address(cluster.node_id(), &cluster.address).await
                }
                DueChange::Voters(voters) => cluster.consensus.set_voters(&voters, true).await,
            };
            if let Err(error) = changed
                && cluster.tended().may_tell(Instant::now())
            {
                log::warn!("the membership could not be changed: {error}; it is tried again");
            }
        });
    }

    /// What the leader changes by itself.
    fn due_change(&self, status: &NodeStatus) -> Option<DueChange> {
        let own = status.membership.member(status.node_id)?;
        if own.address != self.address && !self.address.is_empty() {
            return Some(DueChange::Address);
        }
        let node_id = learner_that_may_vote(status)?;
        log::info!("node {node_id} has caught up and gets its vote");
        let mut voters = voters_of(&status.membership);
        voters.push(node_id);
        Some(DueChange::Voters(voters))
    }

    /// A node that is not among the members, or under another address, tells the leader.
    fn look_after_itself(self: &Arc<Self>, status: &NodeStatus) {
        if self.address.is_empty() {
            return;
        }
        let purpose = match status.membership.member(status.node_id) {
            Some(own) if own.address == self.address => return,
            Some(_) => v1::JoinPurpose::Address,
            None if status.last_index == 0 => v1::JoinPurpose::Join,
            // It was taken out, or does not know yet that it was taken in.
            None => return,
        };
        let Ok(alone) = Arc::clone(&self.changing).try_lock_owned() else { return };
        let cluster = Arc::clone(self);
        tokio::spawn(async move {
            let _alone = alone;
            cluster.tell_the_leader(purpose).await;
        });
    }

    async fn tell_the_leader(&self, purpose: v1::JoinPurpose) {
        let leader = match self.consensus.leader().filter(|(leader, _)| *leader != self.node_id()) {
            Some((_, address)) if !address.is_empty() => Some(address),
            _ => self.find_leader().await,
        };
        let Some(leader) = leader else { return };
        let request = v1::JoinRequest {
            sender: Some(self.origin().sender(0)),
            protocol: super::PROTOCOL,
            address: self.address.clone(),
            purpose: purpose.into(),
        };
        let asked = self.transport.ask(&leader, None, |mut client| async move { client.join(request).await });
        if let Err(status) = asked.await
            && self.tended().may_tell(Instant::now())
        {
            log::warn!("the leader at {leader} does not take this node in: {}", reason_of(&status));
        }
    }

    /// Asks those whom the options name.
    async fn find_leader(&self) -> Option<String> {
        let peers = self.options.peers.iter().filter(|(node_id, _)| *node_id != self.node_id());
        for address in peers.map(|(_, address)| address).chain(&self.options.join) {
            if let Ok(answer) = self.transport.introduce(address).await
                && !answer.leader_address.is_empty()
            {
                return Some(answer.leader_address);
            }
        }
        None
    }
}

/// A change of the membership that nobody has to ask for.
enum DueChange {
    /// The leader is somewhere else than the others think.
    Address,
    /// These vote from now on.
    Voters(Vec<u64>),
}

/// The ids of those who vote.
pub(super) fn voters_of(membership: &Membership) -> Vec<u64> {
    let voters = membership.members.iter().filter(|member| member.votes != 0);
    voters.map(|member| member.node_id).collect()
}

/// The first learner that has caught up, where no change is under way.
pub(super) fn learner_that_may_vote(status: &NodeStatus) -> Option<u64> {
    if status.membership.members.iter().any(|member| member.votes & 2 != 0) {
        return None;
    }
    let learners = status.membership.members.iter().filter(|member| member.votes == 0);
    learners.map(|member: &Member| member.node_id).find(|node_id| has_caught_up(status, *node_id))
}

/// Whether a node has nearly all of the log and was heard of just now.
pub(super) fn has_caught_up(status: &NodeStatus, node_id: u64) -> bool {
    status.followers.iter().any(|follower| {
        follower.node_id == node_id
            && follower.matched > 0
            && status.last_index.saturating_sub(follower.matched) <= LAG_MAX_TO_VOTE
            && follower.last_contact.is_some_and(|contact| contact < CONTACT_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapebook_replication::{Follower, LogId};

    fn status(votes: &[(u64, u8)], matched: &[(u64, u64)]) -> NodeStatus {
        let member = |&(node_id, votes): &(u64, u8)| Member { node_id, votes, address: String::new() };
        let contact = Some(Duration::from_millis(50));
        let follower =
            |&(node_id, matched): &(u64, u64)| Follower { node_id, matched, last_contact: contact };
        NodeStatus {
            node_id: 1,
            role: Role::Leader,
            term: 1,
            leader: Some(1),
            last_index: 100_000,
            durable_index: 100_000,
            committed: LogId::default(),
            applied: LogId::default(),
            membership: Membership { members: votes.iter().map(member).collect() },
            followers: matched.iter().map(follower).collect(),
            quorum_age: None,
            failure: None,
        }
    }

    #[test]
    fn a_learner_votes_once_it_has_caught_up() {
        let members = [(1, 1), (2, 0), (3, 0)];
        assert_eq!(learner_that_may_vote(&status(&members, &[(2, 0), (3, 50_000)])), None);
        assert_eq!(learner_that_may_vote(&status(&members, &[(2, 0), (3, 99_000)])), Some(3));
        let changing = [(1, 3), (2, 2), (3, 0)];
        assert_eq!(learner_that_may_vote(&status(&changing, &[(3, 100_000)])), None, "one change at a time");
        let mut silent = status(&members, &[(2, 100_000)]);
        silent.followers[0].last_contact = Some(Duration::from_secs(5));
        assert_eq!(learner_that_may_vote(&silent), None);
    }

    #[test]
    fn a_disk_stalls_when_it_syncs_nothing_that_waits() {
        let (mut disk, start) = (Disk::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(disk.stalled_for(1, true, at(0)), Duration::ZERO);
        assert_eq!(disk.stalled_for(1, true, at(2)), Duration::from_secs(2));
        assert_eq!(disk.stalled_for(2, true, at(3)), Duration::ZERO, "something was synced");
        assert_eq!(disk.stalled_for(2, false, at(9)), Duration::ZERO, "nothing waits");
        assert_eq!(disk.stalled_for(2, true, at(10)), Duration::ZERO);
    }

    #[test]
    fn an_entry_is_as_old_as_the_moment_at_which_the_log_did_not_have_it() {
        let (mut tended, now) = (Tended::default(), Instant::now());
        let Some(start) = now.checked_sub(Duration::from_secs(10)) else { return };
        for (second, last) in [(0, 10), (1, 20), (2, 30)] {
            tended.note(last, start + Duration::from_secs(second));
        }
        assert_eq!(tended.age_of(5), None);
        assert_eq!(tended.age_of(25).map(|age| age.as_secs()), Some(9));
    }
}
