//! A Bloom filter whose every question touches one cache line.
//!
//! After Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters" (2007): the filter is an array of
//! small filters of 512 bits; a key belongs to one of them and sets all its bits there. At 10 bits and 6 probes for
//! each key about 1 % of the foreign keys pass, against 0.84 % for a filter whose bits lie anywhere.

/// The bytes of one small filter: a cache line.
pub(super) const LINE_BYTES: usize = 64;
/// Each probe takes nine bits of a 64-bit word.
pub(super) const PROBES_MAX: u32 = 7;
const PROBE_BITS: u32 = 9;

/// The number of probes that suits so many bits for each key.
pub(super) fn probes(bits_per_key: u32) -> u32 {
    (bits_per_key * 6 / 10).clamp(1, PROBES_MAX)
}

/// The number of small filters for so many different keys.
pub(super) fn lines(keys: usize, bits_per_key: u32) -> usize {
    (keys * bits_per_key as usize).div_ceil(LINE_BYTES * 8).max(1)
}

/// Which of `lines` small filters the key belongs to.
#[inline]
pub(super) fn line(hash: u64, lines: usize) -> usize {
    ((u128::from(hash) * lines as u128) >> 64) as usize
}

/// The choice of the line used up the hash's upper bits; two rounds of multiplication spread the rest over all probes.
#[inline]
fn probe_bits(hash: u64) -> u64 {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Adds a key to its small filter.
pub(super) fn insert(line: &mut [u8], hash: u64, probes: u32) {
    let mut bits = probe_bits(hash);
    for _ in 0..probes {
        let bit = (bits & 511) as usize;
        line[bit / 8] |= 1 << (bit % 8);
        bits >>= PROBE_BITS;
    }
}

/// False where the key was never added.
#[inline]
pub(super) fn contains(line: &[u8; LINE_BYTES], hash: u64, probes: u32) -> bool {
    let mut bits = probe_bits(hash);
    let mut all = 1;
    for _ in 0..probes {
        let bit = (bits & 511) as usize;
        all &= line[bit / 8] >> (bit % 8);
        bits >>= PROBE_BITS;
    }
    all & 1 == 1
}
