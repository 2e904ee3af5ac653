//! Who belongs to the cluster, as an entry of the log and a section of the state file say it. The byte map is in
//! `docs/format/log.md`.

use tapebook_record::codec::{DecodeError, Decoder, Encoder};

const VERSION: u16 = 1;
/// Configurations that may be in force at once: two while one takes the place of the other.
const CONFIGURATIONS_MAX: u32 = 2;

/// The nodes of a cluster, by ascending id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Membership {
    /// Every node once.
    pub members: Vec<Member>,
}

/// A node of a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// Its id, which no other node ever had.
    pub node_id: u64,
    /// Bit 0: it votes in the configuration in force; bit 1: in the one that takes its place. No bit: a learner.
    pub votes: u8,
    /// Where the other nodes reach it, `HOST:PORT`; empty for a node that is alone.
    pub address: String,
}

impl Membership {
    /// A cluster of one.
    pub fn of_one(node_id: u64) -> Self {
        Self { members: vec![Member { node_id, votes: 1, address: String::new() }] }
    }

    /// True where nobody but this node votes: what is durable here is committed.
    pub fn is_ruled_by(&self, node_id: u64) -> bool {
        let mut voters = self.members.iter().filter(|member| member.votes != 0);
        voters.next().is_some_and(|first| first.node_id == node_id) && voters.next().is_none()
    }

    /// The member with this id.
    pub fn member(&self, node_id: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.node_id == node_id)
    }

    /// The greatest id; 0 where there is nobody.
    pub fn greatest_id(&self) -> u64 {
        self.members.last().map_or(0, |member| member.node_id)
    }

    /// The bytes of the entry.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u16(VERSION).u32(self.members.len() as u32);
        for member in &self.members {
            out.u64(member.node_id).u8(member.votes).text(&member.address);
        }
        out.into_bytes()
    }

    /// Reads an entry. Whatever the bytes are, it answers; what it takes is encoded to the same bytes again.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Decoder::new(bytes);
        if fields.u16()? != VERSION {
            return Err(DecodeError { offset: 0, reason: "version 1 of a membership" });
        }
        let count = fields.count(13)?;
        let mut members: Vec<Member> = Vec::with_capacity(count);
        for _ in 0..count {
            let offset = fields.offset();
            let node_id = fields.u64()?;
            if members.last().is_some_and(|before| before.node_id >= node_id) {
                return Err(DecodeError { offset, reason: "a node id greater than the one before" });
            }
            let offset = fields.offset();
            let votes = fields.u8()?;
            if votes >> CONFIGURATIONS_MAX != 0 {
                return Err(DecodeError { offset, reason: "votes in at most two configurations" });
            }
            members.push(Member { node_id, votes, address: fields.text()?.to_owned() });
        }
        fields.finish()?;
        Ok(Self { members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_only_voter_rules() {
        let mut membership = Membership::of_one(7);
        assert!(membership.is_ruled_by(7) && !membership.is_ruled_by(1));
        membership.members.push(Member { node_id: 8, votes: 0, address: "b:1".into() });
        assert!(membership.is_ruled_by(7), "a learner has no say");
        membership.members[1].votes = 2;
        assert!(!membership.is_ruled_by(7));
        assert!(!Membership::default().is_ruled_by(7));
    }

    #[test]
    fn a_database_that_is_alone_says_so_as_it_always_did() {
        let bytes = [1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(Membership::of_one(1).encode(), bytes);
        assert_eq!(Membership::decode(&Membership::of_one(1).encode()).unwrap(), Membership::of_one(1));
    }

    #[test]
    fn the_format_page_shows_these_bytes() {
        let page = include_str!("../../../docs/format/log.md");
        let member = |node_id, votes| Member { node_id, votes, address: format!("db-{node_id}:7700") };
        let membership = Membership { members: vec![member(1, 1), member(2, 3), member(4, 0)] };
        let mut shown = String::from("```text membership\n");
        for (row, bytes) in membership.encode().chunks(16).enumerate() {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            shown += &format!("{:04x}  {}\n", row * 16, digits.join(" "));
        }
        assert!(page.contains(&shown), "{shown}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_come_back_as_they_were(
            ids in prop::collection::btree_set(1_u64..20, 0..5),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            random in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let member = |node_id| Member { node_id, votes: (node_id % 4) as u8, address: format!("n{node_id}:7700") };
            let sound = Membership { members: ids.into_iter().map(member).collect() };
            let mut changed = sound.encode();
            prop_assert_eq!(&Membership::decode(&changed).unwrap(), &sound);
            for (at, byte) in changes {
                let at = at.index(changed.len());
                changed[at] = byte;
            }
            for bytes in [changed, random] {
                if let Ok(decoded) = Membership::decode(&bytes) {
                    prop_assert_eq!(decoded.encode(), bytes);
                }
            }
        }
    }
}
