//! Between the messages of consensus and those on the wire. The bytes of a batch are shared one way and copied once, to where the log
//! reads them, the other.

use bytes::Bytes;
use tapebook::replica::{EntryError, EntryOrigin, JournalEntry};
use tapebook::{Member, Membership, Schemas, SharedBytes};
use tapebook_proto::v1;
use tapebook_proto::v1::append_entries_response::Outcome;
use tapebook_replication::{
    AppendAnswer, AppendRequest, EntryKind, LogId, Role, TransferRequest, Vote, VoteAnswer, VoteRequest,
};

/// No log gets so long, and nothing overflows that is counted on from here.
const INDEX_MAX: u64 = 1 << 62;

/// A message that says too little, or an entry that is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// Something is missing.
    #[error("the message lacks its {0}")]
    Missing(&'static str),
    /// An index that no log reaches.
    #[error("index {0} is beyond every log")]
    Index(u64),
    /// A kind of entry that this version does not know.
    #[error("entry {index} is of kind {kind}, which this version does not know; the sender is newer")]
    Kind { index: u64, kind: u32 },
    /// The bytes of an entry are not sound.
    #[error("entry {index}: {source}")]
    Entry { index: u64, source: EntryError },
}

pub(super) fn vote_to_wire(vote: Vote) -> v1::NodeVote {
    v1::NodeVote { term: vote.term, node_id: vote.node, committed: vote.committed }
}

pub(super) fn vote_of(vote: Option<v1::NodeVote>) -> Result<Vote, WireError> {
    let v1::NodeVote { term, node_id, committed } = vote.ok_or(WireError::Missing("vote"))?;
    Ok(Vote { term, node: node_id, committed })
}

pub(super) fn id_to_wire(id: LogId) -> v1::EntryId {
    v1::EntryId { term: id.term, leader_id: id.leader_node, index: id.index }
}

/// Where it is left out it is the one before the first.
pub(super) fn id_of(id: Option<v1::EntryId>) -> Result<LogId, WireError> {
    let v1::EntryId { term, leader_id, index } = id.unwrap_or_default();
    if index >= INDEX_MAX {
        return Err(WireError::Index(index));
    }
    Ok(LogId { term, leader_node: leader_id, index })
}

pub(super) fn append_to_wire(
    sender: v1::Sender,
    quorum_age_millis: Option<u64>,
    request: AppendRequest,
) -> v1::AppendEntriesRequest {
    let entries = request.entries.into_iter().map(|(id, entry)| v1::Entry {
        term: id.term,
        leader_id: id.leader_node,
        kind: entry.kind() as u32,
        flags: entry.flags().into(),
        proposed_at: entry.proposed_at().unwrap_or(0),
        payload: Bytes::from_owner(entry.payload().clone()),
    });
    v1::AppendEntriesRequest {
        sender: Some(sender),
        vote: Some(vote_to_wire(request.vote)),
        previous: Some(id_to_wire(request.previous)),
        committed: Some(id_to_wire(request.committed)),
        entries: entries.collect(),
        quorum_age_millis,
    }
}

/// Every value of every batch is checked: it comes from another machine.
pub(super) fn append_of(
    request: v1::AppendEntriesRequest,
    schemas: &Schemas,
) -> Result<AppendRequest, WireError> {
    let previous = id_of(request.previous)?;
    let entries = request.entries.into_iter().zip(previous.index + 1..);
    let entries = entries.map(|(entry, index)| {
        let log_id = LogId { term: entry.term, leader_node: entry.leader_id, index };
        Ok((log_id, entry_of(&entry, index, schemas)?))
    });
    Ok(AppendRequest {
        vote: vote_of(request.vote)?,
        previous,
        committed: id_of(request.committed)?,
        entries: entries.collect::<Result<_, WireError>>()?,
    })
}

fn entry_of(entry: &v1::Entry, index: u64, schemas: &Schemas) -> Result<JournalEntry, WireError> {
    let unknown = || WireError::Kind { index, kind: entry.kind };
    let kind = u8::try_from(entry.kind).ok().and_then(EntryKind::from_number).ok_or_else(unknown)?;
    let flags = u16::try_from(entry.flags).map_err(|_| unknown())?;
    let payload = SharedBytes::from(&*entry.payload);
    JournalEntry::decode(kind, flags, entry.proposed_at, payload, EntryOrigin::Wire(schemas))
        .map_err(|source| WireError::Entry { index, source })
}

pub(super) fn answer_to_wire(answer: AppendAnswer) -> v1::AppendEntriesResponse {
    let outcome = match answer {
        AppendAnswer::Appended(through) => Outcome::Appended(id_to_wire(through)),
        AppendAnswer::Conflict(at) => Outcome::Conflict(id_to_wire(at)),
        AppendAnswer::HigherVote(vote) => Outcome::HigherVote(vote_to_wire(vote)),
    };
    v1::AppendEntriesResponse { outcome: Some(outcome) }
}

pub(super) fn answer_of(answer: v1::AppendEntriesResponse) -> Result<AppendAnswer, WireError> {
    Ok(match answer.outcome.ok_or(WireError::Missing("outcome"))? {
        Outcome::Appended(through) => AppendAnswer::Appended(id_of(Some(through))?),
        Outcome::Conflict(at) => AppendAnswer::Conflict(id_of(Some(at))?),
        Outcome::HigherVote(vote) => AppendAnswer::HigherVote(vote_of(Some(vote))?),
    })
}

pub(super) fn vote_request_to_wire(sender: v1::Sender, request: VoteRequest) -> v1::VoteRequest {
    v1::VoteRequest {
        sender: Some(sender),
        vote: Some(vote_to_wire(request.vote)),
        last: Some(id_to_wire(request.last)),
        transfer: request.transfer,
    }
}

pub(super) fn vote_request_of(request: v1::VoteRequest) -> Result<VoteRequest, WireError> {
    let v1::VoteRequest { vote, last, transfer, .. } = request;
    Ok(VoteRequest { vote: vote_of(vote)?, last: id_of(last)?, transfer })
}

pub(super) fn vote_answer_to_wire(answer: VoteAnswer) -> v1::VoteResponse {
    v1::VoteResponse {
        vote: Some(vote_to_wire(answer.vote)),
        granted: answer.granted,
        last: Some(id_to_wire(answer.last)),
    }
}

pub(super) fn vote_answer_of(answer: v1::VoteResponse) -> Result<VoteAnswer, WireError> {
    let v1::VoteResponse { vote, granted, last } = answer;
    Ok(VoteAnswer { vote: vote_of(vote)?, granted, last: id_of(last)? })
}

pub(super) fn transfer_to_wire(sender: v1::Sender, request: TransferRequest) -> v1::TakeLeadRequest {
    v1::TakeLeadRequest {
        sender: Some(sender),
        vote: Some(vote_to_wire(request.from)),
        to: request.to,
        last: Some(id_to_wire(request.last)),
    }
}

pub(super) fn transfer_of(request: v1::TakeLeadRequest) -> Result<TransferRequest, WireError> {
    Ok(TransferRequest { from: vote_of(request.vote)?, to: request.to, last: id_of(request.last)? })
}

pub(super) fn members_to_wire(membership: &Membership) -> Vec<v1::Member> {
    let member = |member: &Member| v1::Member {
        node_id: member.node_id,
        address: member.address.clone(),
        votes: member.votes != 0,
    };
    membership.members.iter().map(member).collect()
}

pub(super) fn role_to_wire(role: Role) -> v1::NodeRole {
    match role {
        Role::Leader => v1::NodeRole::Leader,
        Role::Follower => v1::NodeRole::Follower,
        Role::Candidate => v1::NodeRole::Candidate,
        Role::Learner => v1::NodeRole::Learner,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use tapebook::{Batch, Trade};

    use super::*;

    fn request(batches: u64) -> v1::AppendEntriesRequest {
        let id = |index| LogId { term: 3, leader_node: 2, index };
        let entry = |index| {
            let mut batch = Batch::new();
            batch
                .push(Trade { symbol: "A", ts: index as i64, price: Some(1.5), ..Trade::default() })
                .unwrap();
            let payload = batch.encode().bytes().clone();
            let schemas = Schemas::standard();
            JournalEntry::decode(EntryKind::Batch, 0, 77, payload, EntryOrigin::Wire(&schemas)).unwrap()
        };
        let entries = (5..5 + batches).map(|index| (id(index), entry(index)));
        let membership = Membership { members: vec![Member { node_id: 2, votes: 1, address: "b:1".into() }] };
        let last = (id(5 + batches), JournalEntry::membership(&membership));
        let request = AppendRequest {
            vote: Vote { term: 3, node: 2, committed: true },
            previous: id(4),
            entries: entries.chain([last]).collect(),
            committed: id(3),
        };
        append_to_wire(v1::Sender::default(), Some(12), request)
    }

    #[test]
    fn what_is_sent_arrives() {
        let bytes = request(3).encode_to_vec();
        let arrived = v1::AppendEntriesRequest::decode(&*bytes).unwrap();
        assert_eq!(arrived.quorum_age_millis, Some(12));
        let arrived = append_of(arrived, &Schemas::standard()).unwrap();
        assert_eq!((arrived.previous.index, arrived.last().index, arrived.committed.index), (4, 8, 3));
        assert_eq!(arrived.vote, Vote { term: 3, node: 2, committed: true });
        assert_eq!(arrived.entries[0].1.proposed_at(), Some(77));
        assert_eq!(arrived.entries[3].1.kind(), EntryKind::Membership);
    }

    proptest! {
        /// They come from another machine: whatever the bytes are, they are refused or a request without a gap.
        #[test]
        fn any_bytes_are_refused_or_entries_in_order(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
            random in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let whole = request(2).encode_to_vec();
            let mut changed = whole.clone();
            for (at, byte) in changes {
                let at = at.index(changed.len());
                changed[at] = byte;
            }
            for bytes in [&changed[..], &whole[..cut.index(whole.len())], &random] {
                let Ok(decoded) = v1::AppendEntriesRequest::decode(bytes) else { continue };
                let Ok(request) = append_of(decoded, &Schemas::standard()) else { continue };
                let indexes = request.entries.iter().map(|(id, _)| id.index);
                prop_assert!(indexes.eq((1..=request.entries.len() as u64).map(|n| request.previous.index + n)));
            }
        }
    }
}
