//! What the fuzz targets share: right checksums for wrong bytes, and a reader that looks at everything.
//!
//! A checksum stops nearly every mutation at the door. So the first byte of an input says whether the rest is taken
//! as it is or *sealed* first ([`seal`]): given the checksums, and the few fields beside them, that a writer would
//! have given it. What lies behind the checksums is then reached as well.
//!
//! The byte maps are written out once more here, after `docs/format/` and not after the code that is fuzzed.

#![forbid(unsafe_code)]

pub mod manifest_file;
pub mod rows;
pub mod seal;

use tapebook_lsm::manifest::Identity;
use tapebook_lsm::sstable::TableIdentity;
use tapebook_wal::{LogIdentity, LogPosition};

/// Whose files the targets read.
pub const CLUSTER_ID: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;

/// The log that frames, footers and marks belong to.
pub const LOG: LogIdentity = LogIdentity { cluster_id: CLUSTER_ID, node_id: 7 };

/// The segment that frames and footers belong to.
pub const SEGMENT_ID: u64 = 2;

/// Where the first frame lies.
pub const FRAME_POSITION: LogPosition = LogPosition(69_632);

/// The table file.
pub const TABLE: TableIdentity = TableIdentity { cluster_id: CLUSTER_ID, file_id: 42 };

/// The number of the file of history.
pub const HISTORY_FILE_ID: u64 = 43;

/// The data directory.
pub const DIRECTORY: Identity = Identity { cluster_id: CLUSTER_ID, node_id: 7, epoch: 2, created_at: 1_000 };

/// The first byte of an input whose other bytes are taken as they are.
pub const AS_IT_IS: u8 = 0;

/// The first byte of an input whose other bytes are sealed.
pub const SEALED: u8 = 1;

/// Splits an input into the byte that says what to do and the rest.
pub fn split(input: &[u8]) -> (u8, &[u8]) {
    input.split_first().map_or((AS_IT_IS, input), |(mode, rest)| (*mode, rest))
}
