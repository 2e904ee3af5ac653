//! Changes of the membership, as an administrator or a node asks for them. Only on the leader, one at a time.

use std::time::Duration;

use tapebook::Membership;
use tapebook_proto::v1;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::tend::{CONTACT_MAX, has_caught_up, voters_of};
use super::transport::reason_of;
use super::{Cluster, sender};

/// How long a node gets to be at its address: it may just have been started, and does not listen for a moment when it is let in.
const START_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a node that was started gets to join.
const JOIN_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a node gets to catch up. A transfer of many files takes longer, and goes on.
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(600);
/// How long the next leader may take to be one.
const TRANSFER_TIME_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn refused(reason: impl ToString) -> Status {
    Status::failed_precondition(reason.to_string())
}

impl Cluster {
    /// Refuses whoever asks another node than the leader, and says where that is.
    pub(super) fn must_lead(&self) -> Result<(), Status> {
        self.refusal().map_or(Ok(()), |refusal| Err(refusal.to_status()))
    }

    fn membership(&self) -> Membership {
        self.consensus.status().membership
    }

    /// Waits for a node that is about to join, until it votes.
    pub(super) async fn add(&self, node_id: u64, address: &str) -> Result<Membership, Status> {
        self.must_lead()?;
        if let Some(member) = self.membership().member(node_id) {
            if member.address != address {
                return Err(refused(format!("node {node_id} is a member already, at {}", member.address)));
            }
        } else {
            self.check_new(node_id, address)?;
            let found = self.look_at(node_id, address, START_TIME_MAX).await?;
            if !found.cluster_id.is_empty() && found.cluster_id != self.origin().cluster_id() {
                return Err(refused(format!(
                    "node {node_id} at {address} belongs to another cluster, {}; start it with an empty data directory and --join",
                    sender::hex(&found.cluster_id)
                )));
            }
        }
        let joined = |membership: &Membership| {
            membership.member(node_id).is_some_and(|member| member.address == address)
        };
        if !self.wait_for(JOIN_TIME_MAX, joined).await? {
            return Err(refused(format!(
                "node {node_id} at {address} is there and has not joined within {} s; was it started with --join?",
                JOIN_TIME_MAX.as_secs()
            )));
        }
        self.promote(node_id).await
    }

    /// Waits until a member votes; a learner gets its vote as soon as it has caught up.
    pub(super) async fn promote(&self, node_id: u64) -> Result<Membership, Status> {
        self.must_lead()?;
        if self.membership().member(node_id).is_none() {
            return Err(unknown(node_id));
        }
        let votes =
            |membership: &Membership| membership.member(node_id).is_some_and(|member| member.votes == 1);
        if !self.wait_for(CATCH_UP_TIME_MAX, votes).await? {
            let status = self.consensus.status();
            let follower = status.followers.iter().find(|follower| follower.node_id == node_id);
            let lag = follower.map_or(status.last_index, |follower| status.last_index - follower.matched);
            let not_there = if has_caught_up(&status, node_id) { "" } else { ", or it was not heard of" };
            return Err(refused(format!(
                "node {node_id} has not caught up: it lacks {lag} entries{not_there}"
            )));
        }
        Ok(self.membership())
    }

    /// Takes a node out.
    pub(super) async fn remove(&self, node_id: u64) -> Result<Membership, Status> {
        self.must_lead()?;
        let status = self.consensus.status();
        let member = status.membership.member(node_id).ok_or_else(|| unknown(node_id))?;
        let voters: Vec<u64> =
            voters_of(&status.membership).into_iter().filter(|voter| *voter != node_id).collect();
        if member.votes != 0 {
            if voters.is_empty() {
                return Err(refused(format!(
                    "node {node_id} is the only one that votes; add another one first"
                )));
            }
            let is_there = |voter: &&u64| {
                **voter == status.node_id
                    || status.followers.iter().any(|follower| {
                        follower.node_id == **voter
                            && follower.last_contact.is_some_and(|contact| contact < CONTACT_MAX)
                    })
            };
            let there = voters.iter().filter(is_there).count();
            if there <= voters.len() / 2 {
                return Err(refused(format!(
                    "without node {node_id} only {there} of {} that vote would be there, no majority; add another one first",
                    voters.len()
                )));
            }
            if node_id == status.node_id {
                // The next leader does it.
                self.hand_over().await;
                self.must_lead()?;
                return Err(refused(format!(
                    "node {node_id} leads, and no other node has taken over; try again"
                )));
            }
        }
        {
            let _alone = self.changing.lock().await;
            let changed = match member.votes {
                0 => self.consensus.remove_learners(&[node_id]).await,
                _ => self.consensus.set_voters(&voters, false).await,
            };
            changed.map_err(|error| self.not_changed(error))?;
        }
        Ok(self.membership())
    }

    /// Takes a node out once another one votes in its place.
    pub(super) async fn replace(&self, node_id: u64, by: u64, address: &str) -> Result<Membership, Status> {
        self.must_lead()?;
        if self.membership().member(node_id).is_none() {
            return Err(unknown(node_id));
        }
        if node_id == by {
            return Err(Status::invalid_argument(format!(
                "node {node_id} cannot take its own place: ids are never used again; give the new node another one"
            )));
        }
        self.add(by, address).await?;
        self.remove(node_id).await
    }

    /// Has another node lead; which one leads then.
    pub(super) async fn transfer(&self, to: Option<u64>) -> Result<u64, Status> {
        self.must_lead()?;
        let status = self.consensus.status();
        let to = match to {
            Some(to) if to == status.node_id => return Ok(to),
            Some(to) => match status.membership.member(to) {
                None => return Err(unknown(to)),
                Some(member) if member.votes == 0 => {
                    return Err(refused(format!("node {to} has no vote, so it cannot lead")));
                }
                Some(_) => to,
            },
            None => self.best_follower().ok_or_else(|| refused("no other node is there that could lead"))?,
        };
        self.consensus.transfer_lead(to).await.map_err(refused)?;
        let since = Instant::now();
        while since.elapsed() < TRANSFER_TIME_MAX {
            match self.consensus.leader() {
                Some((leader, _)) if leader == to => return Ok(to),
                _ => sleep(LOOK_EVERY).await,
            }
        }
        Err(Status::deadline_exceeded(format!(
            "node {to} does not lead after {} s; it may be too far behind",
            TRANSFER_TIME_MAX.as_secs()
        )))
    }

    /// A node wants to join, or says where it is.
    pub(super) async fn take_in(
        &self,
        node_id: u64,
        address: &str,
        purpose: v1::JoinPurpose,
    ) -> Result<(), Status> {
        self.must_lead()?;
        // Whoever still believes to lead must not decide by what it last knew.
        self.consensus.read_barrier().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let membership = self.membership();
        let member = membership.member(node_id);
        match (purpose, member) {
            (v1::JoinPurpose::Ask, None) => self.check_new(node_id, address),
            (v1::JoinPurpose::Ask, Some(_)) => Err(refused(format!(
                "node {node_id} belongs to the cluster already, and its data directory is empty: what it promised is lost. Start a node with an \
                 id that was never used, and let it take the place: tapebook cluster replace {node_id} --by ID HOST:PORT"
            ))),
            (v1::JoinPurpose::Join, Some(member)) if member.address == address => Ok(()),
            (v1::JoinPurpose::Join, Some(member)) => Err(refused(format!(
                "node {node_id} is a member already, at {}; use an id that was never used",
                member.address
            ))),
            (v1::JoinPurpose::Join, None) => {
                self.check_new(node_id, address)?;
                self.look_at_member(node_id, address).await?;
                let _alone = self.changing.lock().await;
                log::info!("node {node_id} at {address} joins");
                self.consensus.add_learner(node_id, address).await.map_err(|error| self.not_changed(error))
            }
            (v1::JoinPurpose::Address, Some(_)) => {
                self.check_address(node_id, address)?;
                self.look_at_member(node_id, address).await?;
                let _alone = self.changing.lock().await;
                log::info!("node {node_id} is at {address} from now on");
                self.consensus.set_address(node_id, address).await.map_err(|error| self.not_changed(error))
            }
            (v1::JoinPurpose::Address, None) => {
                Err(Status::permission_denied(format!("node {node_id} was taken out of the cluster")))
            }
            (v1::JoinPurpose::Unspecified, _) => {
                Err(Status::invalid_argument("the message does not say what the node wants"))
            }
        }
    }

    fn check_new(&self, node_id: u64, address: &str) -> Result<(), Status> {
        let through = self.replica().node_ids_through();
        if node_id == 0 || node_id <= through {
            return Err(refused(format!(
                "node id {node_id} was used before or could have been: ids are never used again; the next free one is {}",
                through + 1
            )));
        }
        // Behind a greater id it could not come any more.
        let founding = self.options.peers.iter().map(|(peer, _)| *peer);
        let first = founding.filter(|peer| (through + 1..node_id).contains(peer)).min();
        match first.filter(|peer| self.membership().member(*peer).is_none()) {
            Some(peer) => Err(Status::unavailable(format!(
                "node {peer}, which founds the cluster with others, comes before node {node_id} and has not joined yet"
            ))),
            None => self.check_address(node_id, address),
        }
    }

    fn check_address(&self, node_id: u64, address: &str) -> Result<(), Status> {
        let well_formed = address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0));
        if !well_formed {
            return Err(Status::invalid_argument(format!("{address:?} is not HOST:PORT")));
        }
        let membership = self.membership();
        match membership.members.iter().find(|member| member.address == address && member.node_id != node_id)
        {
            Some(other) => Err(refused(format!("node {} is at {address} already", other.node_id))),
            None => Ok(()),
        }
    }

    /// Looks whether the node is where it is said to be, and speaks as we do. It may be `patience` late.
    async fn look_at(
        &self,
        node_id: u64,
        address: &str,
        patience: Duration,
    ) -> Result<v1::IntroduceResponse, Status> {
        let since = Instant::now();
        let mut found = self.transport.introduce(address).await;
        while found.is_err() && since.elapsed() < patience {
            sleep(LOOK_EVERY).await;
            found = self.transport.introduce(address).await;
        }
        let found = found.map_err(|status| {
            refused(format!("node {node_id} cannot be reached at {address}: {}", reason_of(&status)))
        })?;
        if found.node_id != node_id {
            return Err(refused(format!("node {} is at {address}, expected node {node_id}", found.node_id)));
        }
        if found.protocol_min > super::PROTOCOL || found.protocol_max < super::PROTOCOL_MIN {
            return Err(refused(format!(
                "node {node_id} speaks versions {} to {} of the protocol between nodes, this one {} to {}; update the older one",
                found.protocol_min,
                found.protocol_max,
                super::PROTOCOL_MIN,
                super::PROTOCOL
            )));
        }
        Ok(found)
    }

    async fn look_at_member(&self, node_id: u64, address: &str) -> Result<(), Status> {
        let found = self.look_at(node_id, address, Duration::ZERO).await?;
        if found.cluster_id != self.origin().cluster_id() {
            return Err(refused(format!(
                "node {node_id} at {address} belongs to cluster {}, expected {}",
                sender::hex(&found.cluster_id),
                sender::hex(&self.origin().cluster_id())
            )));
        }
        Ok(())
    }

    /// Waits until the membership is as it should be; false after too long.
    async fn wait_for(
        &self,
        time_max: Duration,
        is_so: impl Fn(&Membership) -> bool,
    ) -> Result<bool, Status> {
        let since = Instant::now();
        while !is_so(&self.membership()) {
            if since.elapsed() >= time_max {
                return Ok(false);
            }
            self.must_lead()?;
            sleep(LOOK_EVERY).await;
        }
        Ok(true)
    }

    /// The lead may have been lost meanwhile; then the next leader is asked.
    fn not_changed(&self, error: impl std::fmt::Display) -> Status {
        let reason = format!("the membership was not changed: {error}");
        self.refusal().map_or_else(|| Status::unavailable(reason), |refusal| refusal.to_status())
    }
}

fn unknown(node_id: u64) -> Status {
    Status::not_found(format!("node {node_id} is not a member; tapebook cluster status shows who is"))
}
