//! The pieces that the row groups are checked in.
//!
//! Parquet has room for a checksum in each page's header, but the encoder does not write them, and they would leave page
//! headers and Bloom filters uncovered. So everything before the tail is cut into *grains* of one size, whatever stands in
//! them, and each grain has a checksum in the tail.

use crate::identity::{ChecksumKind, HistoryIdentity};

/// Bytes of a grain; the last one is shorter. A page begins and ends anywhere, so that reading one costs up to a grain
/// more at both ends; 4 bytes for each grain are 0.02 % of the file.
pub(crate) const GRAIN_BYTES: usize = 16 * 1024;

/// The checksum of one grain.
pub(crate) fn checksum(identity: HistoryIdentity, number: u64, bytes: &[u8]) -> u32 {
    let mut crc = identity.checksum(ChecksumKind::Grain, number);
    crc.update(bytes);
    crc.finish()
}
