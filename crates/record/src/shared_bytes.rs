//! A part of a buffer that several owners read.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::{AlignedBytes, BATCH_ALIGN};

/// Bytes that nobody changes any more, alone in their buffer or beside others: what is read in one go, from
/// the log or a connection, is shared by everything found in it. Cloning copies no bytes.
///
/// *Invariant*: the first byte lies on a multiple of [`BATCH_ALIGN`].
#[derive(Clone, Default)]
pub struct SharedBytes {
    buffer: Arc<AlignedBytes>,
    start: u32,
    len: u32,
}

impl SharedBytes {
    /// A part of `buffer`, which stays in memory as long as any of its parts.
    ///
    /// # Panics
    ///
    /// Where the part does not begin on a multiple of [`BATCH_ALIGN`], ends behind the buffer, or where the buffer has
    /// 4 GiB or more.
    pub fn part(buffer: &Arc<AlignedBytes>, part: Range<usize>) -> Self {
        assert!(part.start.is_multiple_of(BATCH_ALIGN), "a part at byte {} is not aligned", part.start);
        assert!(part.start <= part.end && part.end <= buffer.len(), "{part:?} of {} bytes", buffer.len());
        let bound = |at: usize| u32::try_from(at).expect("a shared buffer is smaller than 4 GiB");
        Self { start: bound(part.start), len: bound(part.len()), buffer: Arc::clone(buffer) }
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.buffer[self.start as usize..][..self.len as usize]
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<AlignedBytes> for SharedBytes {
    fn from(bytes: AlignedBytes) -> Self {
        let len = bytes.len();
        Self::part(&Arc::new(bytes), 0..len)
    }
}

impl From<&[u8]> for SharedBytes {
    fn from(bytes: &[u8]) -> Self {
        AlignedBytes::from(bytes).into()
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytes({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_keeps_its_buffer() {
        let part = {
            let buffer = Arc::new(AlignedBytes::from(&[7_u8; 64][..]));
            SharedBytes::part(&buffer, 16..20)
        };
        assert_eq!(&*part, [7; 4]);
        assert_eq!(&*part.clone(), &*part);
    }

    #[test]
    #[should_panic(expected = "not aligned")]
    fn a_part_that_is_not_aligned_is_a_mistake() {
        SharedBytes::part(&Arc::new(AlignedBytes::zeroed(64)), 8..24);
    }

    #[test]
    #[should_panic(expected = "of 64 bytes")]
    fn a_part_behind_the_end_is_a_mistake() {
        SharedBytes::part(&Arc::new(AlignedBytes::zeroed(64)), 48..65);
    }
}
