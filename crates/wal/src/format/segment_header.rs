//! The header of a segment: whose it is, where it lies, and what the segments before it said.

use super::{
    FORMAT_VERSION, LogIdentity, LogPosition, SEGMENT_BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
    SegmentIdentity, array_at, u32_at, u64_at,
};
use tapebook_record::Crc32c;

/// The longest membership: the header of every later segment restates it.
pub const MEMBERSHIP_BYTES_MAX: usize = 2048;

const MAGIC: &[u8; 8] = b"TBKWAL01";
const MEMBERSHIP_OFFSET: usize = 240;

/// Names an entry: who proposed it, and its place.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct LogId {
    /// The term.
    pub term: u64,
    /// The leader of the term.
    pub leader_node: u64,
    /// The log index; 0 stands before the first entry.
    pub index: u64,
}

/// What this node votes for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Vote {
    /// The term.
    pub term: u64,
    /// The node that gets the vote.
    pub node: u64,
    /// True once a quorum has given its votes to that node.
    pub committed: bool,
}

/// A membership as the consensus layer wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Membership {
    /// The entry that it came from.
    pub log_id: LogId,
    /// Its bytes, opaque here.
    pub bytes: Vec<u8>,
}

/// What the owner of the log adds to the header of a new segment: a statement about the entries applied so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SegmentFacts {
    /// The last sequence number.
    pub last_seq: u64,
    /// The last entry that `last_seq` and the hash include.
    pub at_index: u64,
    /// The rolling hash up to there.
    pub rolling_hash: [u8; 16],
}

/// The header of a segment. It is durable before the segment's name is, so behind the name there is always a whole
/// one, and it proves that all frames of the segment before were durable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SegmentHeader {
    /// Whose segment it is, and its number.
    pub identity: SegmentIdentity,
    /// The length of the file.
    pub segment_bytes: u64,
    /// The position of the file's first byte.
    pub base: LogPosition,
    /// The position behind the last frame of the segment before; equal to `base` in the first one.
    pub previous_end: LogPosition,
    /// When the segment was begun, nanoseconds since the epoch.
    pub created_at: i64,
    /// The checksum of the last frame before this segment; 0 in the first one.
    pub chain: u32,
    /// The last entry before this segment.
    pub last_log_id: LogId,
    /// The newest `proposed_at` of an entry before this segment.
    pub last_proposed_at: i64,
    /// The newest commit mark; 0 where there was none.
    pub commit_index: u64,
    /// The newest vote.
    pub vote: Option<Vote>,
    /// The newest purge note.
    pub purge: Option<LogId>,
    /// The newest membership.
    pub membership: Option<Membership>,
    /// What the owner added.
    pub facts: SegmentFacts,
}

impl SegmentHeader {
    /// The position behind the last byte that a frame may use.
    pub fn frames_end(&self) -> LogPosition {
        LogPosition(self.base.0 + self.segment_bytes - SEGMENT_BLOCK_BYTES as u64)
    }

    /// The position of the first frame.
    pub fn frames_start(&self) -> LogPosition {
        LogPosition(self.base.0 + SEGMENT_BLOCK_BYTES as u64)
    }

    /// The base position of the segment after this one.
    pub fn next_base(&self) -> LogPosition {
        LogPosition(self.base.0 + self.segment_bytes)
    }
}

/// Why bytes are not the header of a segment.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Too few bytes.
    #[error("{found} bytes, expected {expected}")]
    TooShort {
        /// The bytes of a header.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// Not the header of a segment.
    #[error("no segment header: it begins with {found:02x?}")]
    Magic {
        /// The first bytes.
        found: [u8; 8],
    },
    /// The checksum does not match.
    #[error("checksum {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Computed from the bytes.
        expected: u32,
        /// What the header says.
        found: u32,
    },
    /// A whole header of a version that this program does not know.
    #[error("segment format {found}, this program reads up to {supported}")]
    Newer {
        /// What the header says.
        found: u32,
        /// The newest that this program reads.
        supported: u32,
    },
    /// A field that no writer produces, under a checksum that is right.
    #[error("{field} is {found}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What the header says.
        found: u64,
    },
}

const VOTE: u32 = 1;
const VOTE_COMMITTED: u32 = 2;
const PURGE: u32 = 4;
const MEMBERSHIP: u32 = 8;

/// Writes the 24 bytes of a log id; the caller has made room.
pub(crate) fn put_log_id(bytes: &mut [u8], offset: usize, log_id: &LogId) {
    bytes[offset..offset + 8].copy_from_slice(&log_id.term.to_le_bytes());
    bytes[offset + 8..offset + 16].copy_from_slice(&log_id.leader_node.to_le_bytes());
    bytes[offset + 16..offset + 24].copy_from_slice(&log_id.index.to_le_bytes());
}

/// Reads what [`put_log_id`] wrote; the caller has checked the length.
pub(crate) fn log_id_at(bytes: &[u8], offset: usize) -> LogId {
    LogId {
        term: u64_at(bytes, offset),
        leader_node: u64_at(bytes, offset + 8),
        index: u64_at(bytes, offset + 16),
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::seeded(&bytes[..8]);
    crc.update(&bytes[12..SEGMENT_BLOCK_BYTES]);
    crc.finish()
}

pub(crate) fn encode_segment_header(header: &SegmentHeader) -> Vec<u8> {
    let mut bytes = vec![0; SEGMENT_BLOCK_BYTES];
    let mut put = |offset: usize, field: &[u8]| bytes[offset..offset + field.len()].copy_from_slice(field);
    put(0, MAGIC);
    put(12, &FORMAT_VERSION.to_le_bytes());
    put(16, &header.identity.log.cluster_id.to_le_bytes());
    put(32, &header.identity.log.node_id.to_le_bytes());
    put(40, &header.identity.segment_id.to_le_bytes());
    put(48, &header.segment_bytes.to_le_bytes());
    put(56, &header.base.0.to_le_bytes());
    put(64, &header.previous_end.0.to_le_bytes());
    put(72, &header.created_at.to_le_bytes());
    put(80, &header.chain.to_le_bytes());
    put(112, &header.last_proposed_at.to_le_bytes());
    put(120, &header.commit_index.to_le_bytes());
    put(192, &header.facts.last_seq.to_le_bytes());
    put(200, &header.facts.at_index.to_le_bytes());
    put(208, &header.facts.rolling_hash);
    let mut flags = 0;
    if let Some(vote) = &header.vote {
        flags |= VOTE | if vote.committed { VOTE_COMMITTED } else { 0 };
        put(128, &vote.term.to_le_bytes());
        put(136, &vote.node.to_le_bytes());
    }
    if let Some(membership) = &header.membership {
        assert!(membership.bytes.len() <= MEMBERSHIP_BYTES_MAX, "the writer refuses longer memberships");
        flags |= MEMBERSHIP;
        put(224, &(membership.bytes.len() as u32).to_le_bytes());
        put(MEMBERSHIP_OFFSET, &membership.bytes);
    }
    flags |= if header.purge.is_some() { PURGE } else { 0 };
    put(84, &flags.to_le_bytes());
    put_log_id(&mut bytes, 88, &header.last_log_id);
    put_log_id(&mut bytes, 144, &header.purge.unwrap_or_default());
    put_log_id(&mut bytes, 168, &header.membership.as_ref().map_or_else(LogId::default, |m| m.log_id));
    let crc = checksum(&bytes);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Decodes the first [`SEGMENT_BLOCK_BYTES`] of a segment.
///
/// Its checksum is not seeded, so that a segment of another log is told apart from a damaged one.
pub fn decode_segment_header(bytes: &[u8]) -> Result<SegmentHeader, HeaderError> {
    let Some(bytes) = bytes.get(..SEGMENT_BLOCK_BYTES) else {
        return Err(HeaderError::TooShort { expected: SEGMENT_BLOCK_BYTES, found: bytes.len() });
    };
    if bytes[..8] != *MAGIC {
        return Err(HeaderError::Magic { found: array_at(bytes, 0) });
    }
    let (found, expected) = (u32_at(bytes, 8), checksum(bytes));
    if found != expected {
        return Err(HeaderError::Checksum { expected, found });
    }
    let version = u32_at(bytes, 12);
    if version != FORMAT_VERSION {
        return Err(HeaderError::Newer { found: version, supported: FORMAT_VERSION });
    }
    let segment_bytes = u64_at(bytes, 48);
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment_bytes)
        || !segment_bytes.is_multiple_of(4096)
    {
        return Err(HeaderError::Field { field: "segment_bytes", found: segment_bytes });
    }
    let base = u64_at(bytes, 56);
    if !base.is_multiple_of(4096) || base.checked_add(segment_bytes).is_none() {
        return Err(HeaderError::Field { field: "base_position", found: base });
    }
    let flags = u32_at(bytes, 84);
    let membership_bytes = u32_at(bytes, 224) as usize;
    if membership_bytes > MEMBERSHIP_BYTES_MAX {
        return Err(HeaderError::Field { field: "membership_bytes", found: membership_bytes as u64 });
    }
    let log =
        LogIdentity { cluster_id: u128::from_le_bytes(array_at(bytes, 16)), node_id: u64_at(bytes, 32) };
    Ok(SegmentHeader {
        identity: log.segment(u64_at(bytes, 40)),
        segment_bytes,
        base: LogPosition(base),
        previous_end: LogPosition(u64_at(bytes, 64)),
        created_at: i64::from_le_bytes(array_at(bytes, 72)),
        chain: u32_at(bytes, 80),
        last_log_id: log_id_at(bytes, 88),
        last_proposed_at: i64::from_le_bytes(array_at(bytes, 112)),
        commit_index: u64_at(bytes, 120),
        vote: (flags & VOTE != 0).then(|| Vote {
            term: u64_at(bytes, 128),
            node: u64_at(bytes, 136),
            committed: flags & VOTE_COMMITTED != 0,
        }),
        purge: (flags & PURGE != 0).then(|| log_id_at(bytes, 144)),
        membership: (flags & MEMBERSHIP != 0).then(|| Membership {
            log_id: log_id_at(bytes, 168),
            bytes: bytes[MEMBERSHIP_OFFSET..MEMBERSHIP_OFFSET + membership_bytes].to_vec(),
        }),
        facts: SegmentFacts {
            last_seq: u64_at(bytes, 192),
            at_index: u64_at(bytes, 200),
            rolling_hash: array_at(bytes, 208),
        },
    })
}
