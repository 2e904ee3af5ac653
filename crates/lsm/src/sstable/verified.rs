//! Which parts of a file had their checksum verified.

use std::sync::atomic::{AtomicU64, Ordering};

/// One bit for each part. Two threads may verify the same part at once; both find the same.
#[derive(Debug)]
pub(super) struct Verified {
    words: Box<[AtomicU64]>,
}

impl Verified {
    pub(super) fn new(parts: usize) -> Self {
        Self { words: (0..parts.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    // Relaxed is enough: the bit publishes nothing, the bytes it speaks of never change.
    #[inline]
    pub(super) fn contains(&self, part: usize) -> bool {
        self.words[part / 64].load(Ordering::Relaxed) & (1 << (part % 64)) != 0
    }

    pub(super) fn insert(&self, part: usize) {
        self.words[part / 64].fetch_or(1 << (part % 64), Ordering::Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
    }
}
