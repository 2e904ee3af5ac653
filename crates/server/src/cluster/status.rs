//! What this node knows of all nodes.

use std::time::Duration;

use futures::future::join_all;
use tapebook::Member;
use tapebook_proto::v1;
use tapebook_replication::{Follower, NodeStatus, Role};

use super::transport::reason_of;
use super::{Cluster, wire};

impl Cluster {
    /// How this node itself stands.
    pub(crate) fn own_state(&self) -> v1::NodeState {
        self.state_of(&self.consensus.status())
    }

    fn state_of(&self, status: &NodeStatus) -> v1::NodeState {
        let (applied_seq, rolling_hash) = self.replica().applied_hash();
        let leads = status.role == Role::Leader;
        v1::NodeState {
            node_id: status.node_id,
            address: self.address.clone(),
            role: wire::role_to_wire(status.role).into(),
            term: status.term,
            last_index: status.durable_index,
            commit_index: status.committed.index,
            applied_index: status.applied.index,
            applied_seq,
            lag_records: leads.then_some(0),
            lag_seconds: leads.then_some(0.0),
            last_contact_seconds: Some(0.0),
            problem: status.failure.clone().unwrap_or_default(),
            rolling_hash: rolling_hash.to_vec().into(),
        }
    }

    /// How all nodes stand. Each is asked, and those that do not answer are shown as far as they are known.
    pub(crate) async fn states(&self) -> Vec<v1::NodeState> {
        let status = self.consensus.status();
        let others = status.membership.members.iter().filter(|member| member.node_id != status.node_id);
        let others = others.map(|member| self.ask_for_state(&status, member));
        let mut states = join_all(others).await;
        // Of this moment, like the others.
        states.push(self.state_of(&self.consensus.status()));
        states.sort_by_key(|state| state.node_id);
        let leader_index = states.iter().find(|state| state.role() == v1::NodeRole::Leader);
        if let Some(leader_index) = leader_index.map(|leader| leader.last_index) {
            for state in &mut states {
                let lag = leader_index.saturating_sub(state.last_index);
                if state.lag_records.is_none() && state.role() != v1::NodeRole::Unspecified {
                    state.lag_records = Some(lag);
                    state.lag_seconds = state.lag_seconds.or((lag == 0).then_some(0.0));
                }
            }
        }
        states
    }

    async fn ask_for_state(&self, status: &NodeStatus, member: &Member) -> v1::NodeState {
        let follower = status.followers.iter().find(|follower| follower.node_id == member.node_id);
        let answer = self.transport.introduce(&member.address).await;
        let state = match answer {
            Ok(answer) if answer.node_id == member.node_id => answer.state,
            Ok(answer) => Some(v1::NodeState {
                problem: format!("node {} is at its address", answer.node_id),
                ..v1::NodeState::default()
            }),
            Err(status) => Some(v1::NodeState { problem: reason_of(&status), ..v1::NodeState::default() }),
        };
        let mut state = state.unwrap_or_default();
        (state.node_id, state.address) = (member.node_id, member.address.clone());
        if let Some(follower) = follower {
            self.add_what_the_leader_knows(&mut state, status, follower);
        }
        state
    }

    fn add_what_the_leader_knows(&self, state: &mut v1::NodeState, status: &NodeStatus, follower: &Follower) {
        let seconds = |duration: Duration| duration.as_secs_f64();
        let lag = status.last_index.saturating_sub(follower.matched);
        state.lag_records = Some(lag);
        state.lag_seconds = match lag {
            0 => Some(0.0),
            _ => self.tended().age_of(follower.matched).map(seconds),
        };
        state.last_contact_seconds = follower.last_contact.map(seconds);
        if state.role() == v1::NodeRole::Unspecified && state.last_index == 0 {
            state.last_index = follower.matched;
        }
    }
}
