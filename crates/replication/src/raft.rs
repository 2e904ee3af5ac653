//! The consensus library's types, as this crate fills them in. Nothing of them leaves the crate.
//!
//! The library counts entries from 0, the log from 1: an index is one greater here than there, and what stands before the
//! first entry is `None` there.

use openraft::impls::leader_id_adv::LeaderId;
use openraft::rt::deterministic_rng::DeterministicRng;
use tapebook::{Member, Membership};
use tapebook_wal::{LogId, Vote};

use crate::entry::{RaftEntry, RaftPayload};
use crate::runtime::OrderedTokio;

openraft::declare_raft_types!(
    /// A node is known by its address.
    pub(crate) Raft:
        D = crate::entry::Proposed,
        R = (),
        NodeId = u64,
        Node = String,
        Term = u64,
        LeaderId = LeaderId<u64, u64>,
        Vote = openraft::impls::Vote<LeaderId<u64, u64>>,
        Payload = RaftPayload,
        Entry = RaftEntry,
        // Chance comes from a seed and nothing else is random, so that a simulation runs the very code that a server runs.
        AsyncRuntime = DeterministicRng<OrderedTokio>,
);

pub(crate) type RaftLogId = openraft::type_config::alias::LogIdOf<Raft>;
pub(crate) type RaftVoteOf = openraft::type_config::alias::VoteOf<Raft>;
pub(crate) type RaftMembership = openraft::Membership<u64, String>;
pub(crate) type RaftStoredMembership = openraft::type_config::alias::StoredMembershipOf<Raft>;

/// The library's name of an entry; `None` before the first.
pub(crate) fn to_raft(log_id: LogId) -> Option<RaftLogId> {
    let index = log_id.index.checked_sub(1)?;
    Some(RaftLogId::new(LeaderId { term: log_id.term, node_id: log_id.leader_node }, index))
}

/// The log's name of an entry.
pub(crate) fn from_raft(log_id: &RaftLogId) -> LogId {
    let LeaderId { term, node_id } = log_id.leader_id;
    LogId { term, leader_node: node_id, index: log_id.index + 1 }
}

/// As [`from_raft`], where there may be none.
pub(crate) fn from_raft_or_none(log_id: Option<&RaftLogId>) -> LogId {
    log_id.map_or_else(LogId::default, from_raft)
}

pub(crate) fn vote_to_raft(vote: Vote) -> RaftVoteOf {
    match vote.committed {
        true => openraft::Vote::new_committed(vote.term, vote.node),
        false => openraft::Vote::new(vote.term, vote.node),
    }
}

pub(crate) fn vote_from_raft(vote: &RaftVoteOf) -> Vote {
    let LeaderId { term, node_id } = *vote.leader_id();
    Vote { term, node: node_id, committed: vote.is_committed() }
}

pub(crate) fn membership_to_raft(membership: &Membership) -> RaftMembership {
    let configuration = |bit: u8| {
        let voters = membership.members.iter().filter(move |member| member.votes & bit != 0);
        voters.map(|member| member.node_id).collect::<std::collections::BTreeSet<_>>()
    };
    let configurations = [1, 2].map(configuration);
    let configurations = configurations.into_iter().filter(|voters| !voters.is_empty()).collect();
    let nodes: std::collections::BTreeMap<_, _> =
        membership.members.iter().map(|member| (member.node_id, member.address.clone())).collect();
    // Every voter is among the nodes, and no configuration is empty.
    RaftMembership::new(configurations, nodes).unwrap_or_default()
}

pub(crate) fn membership_from_raft(membership: &RaftMembership) -> Membership {
    let configurations = membership.get_joint_config();
    let member = |(node_id, address): (&u64, &String)| {
        let votes = configurations
            .iter()
            .zip(0_u32..)
            .map(|(voters, bit)| u8::from(voters.contains(node_id)) << bit)
            .sum();
        Member { node_id: *node_id, votes, address: address.clone() }
    };
    Membership { members: membership.nodes().map(member).collect() }
}

pub(crate) fn stored_membership(stored: Option<&(LogId, Membership)>) -> RaftStoredMembership {
    match stored {
        None => RaftStoredMembership::default(),
        Some((log_id, membership)) => {
            RaftStoredMembership::new(to_raft(*log_id), membership_to_raft(membership))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_translated_comes_back() {
        let first = LogId { term: 3, leader_node: 2, index: 1 };
        assert_eq!(from_raft(&to_raft(first).unwrap()), first);
        assert_eq!(to_raft(LogId::default()), None);
        assert_eq!(from_raft_or_none(None), LogId::default());
        for committed in [true, false] {
            let vote = Vote { term: 7, node: 3, committed };
            assert_eq!(vote_from_raft(&vote_to_raft(vote)), vote);
        }
        let member = |node_id, votes| Member { node_id, votes, address: format!("n{node_id}:7700") };
        let joint = Membership { members: vec![member(1, 1), member(2, 3), member(3, 2), member(4, 0)] };
        assert_eq!(membership_from_raft(&membership_to_raft(&joint)), joint);
    }
}
