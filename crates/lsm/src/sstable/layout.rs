//! The numbers of the format, and little-endian loads at fixed places.

/// Begins and ends every file.
pub(super) const MAGIC: [u8; 8] = *b"TBKSST01";
/// Every block and every section begins at a multiple of this.
pub(super) const ALIGN: usize = 64;
/// Filters and id indexes carry one checksum for each page of so many bytes.
pub(super) const PAGE_BYTES: usize = 64 * 1024;

/// `len` rounded up to the next place where something can begin.
pub(super) fn aligned(len: u64) -> u64 {
    len.next_multiple_of(ALIGN as u64)
}

/// How many pages `len` bytes take.
pub(super) fn pages(len: usize) -> usize {
    len.div_ceil(PAGE_BYTES)
}

#[inline]
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let mut array = [0; 2];
    array.copy_from_slice(&bytes[at..at + 2]);
    u16::from_le_bytes(array)
}

#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}

#[inline]
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(array)
}

#[inline]
pub(super) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    u64_at(bytes, at) as i64
}

#[inline]
pub(super) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    let mut array = [0; 16];
    array.copy_from_slice(&bytes[at..at + 16]);
    u128::from_le_bytes(array)
}
