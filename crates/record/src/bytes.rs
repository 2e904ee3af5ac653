//! Bytes aligned to 16, so that every row in them can be read in place.

use std::fmt;
use std::ops::{Deref, DerefMut};

use rkyv::util::AlignedVec;

/// The alignment of every batch in memory, in the log and on the wire.
pub const BATCH_ALIGN: usize = 16;

/// A growable buffer whose first byte lies on a multiple of [`BATCH_ALIGN`].
#[derive(Clone, Default)]
pub struct AlignedBytes {
    bytes: AlignedVec<BATCH_ALIGN>,
}

impl AlignedBytes {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: AlignedVec::with_capacity(capacity) }
    }

    /// A buffer of `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut bytes = AlignedVec::with_capacity(len);
        bytes.resize(len, 0);
        Self { bytes }
    }

    /// Appends a copy of `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Cuts or extends to `len` bytes; new ones are zero.
    pub fn resize(&mut self, len: usize) {
        self.bytes.resize(len, 0);
    }

    /// Extends with zeros to a multiple of `align`.
    pub fn pad_to(&mut self, align: usize) {
        let len = self.bytes.len().next_multiple_of(align);
        self.bytes.resize(len, 0);
    }

    /// Removes all bytes and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The number of bytes that fit without growing.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl From<&[u8]> for AlignedBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut aligned = Self::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        aligned
    }
}

impl fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBytes({} bytes)", self.len())
    }
}
