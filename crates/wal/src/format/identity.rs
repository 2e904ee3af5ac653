//! Whose log this is, and where in it something lies.

use std::fmt;

use tapebook_record::Crc32c;

/// The node that a log belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogIdentity {
    /// Minted once, when the cluster (or the single database) is created.
    pub cluster_id: u128,
    /// The node's id in its cluster; never used again after the node has left.
    pub node_id: u64,
}

impl LogIdentity {
    /// The identity of one of this log's segments.
    pub fn segment(self, segment_id: u64) -> SegmentIdentity {
        SegmentIdentity { log: self, segment_id }
    }

    /// A checksum that has read this identity.
    pub(crate) fn seed(self) -> Crc32c {
        let mut crc = Crc32c::seeded(&self.cluster_id.to_le_bytes());
        crc.update(&self.node_id.to_le_bytes());
        crc
    }
}

impl fmt::Display for LogIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {:032x} node {}", self.cluster_id, self.node_id)
    }
}

/// What the checksums of a segment are seeded with: a frame of another segment is invalid in this one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SegmentIdentity {
    /// The log.
    pub log: LogIdentity,
    /// The segment's number; never used again, also when its file is recycled.
    pub segment_id: u64,
}

impl SegmentIdentity {
    /// A checksum that has read this identity.
    pub(crate) fn seed(self) -> Crc32c {
        let mut crc = self.log.seed();
        crc.update(&self.segment_id.to_le_bytes());
        crc
    }
}

/// A byte of the log: the base position of its segment plus the offset in the segment's file.
///
/// Positions grow strictly over the whole life of a log and are never used for anything else again, with one
/// exception: the bytes of a torn tail, which nobody was told of, are written anew.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogPosition(pub u64);

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
