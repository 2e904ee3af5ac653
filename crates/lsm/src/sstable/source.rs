//! Where a table's bytes come from.

use std::ops::Deref;

use tapebook_record::AlignedBytes;
use tapebook_vfs::Mapping;

/// The bytes of a whole file, aligned to 16.
#[derive(Debug)]
pub(super) enum Source {
    Map(Mapping),
    Memory(AlignedBytes),
}

impl Deref for Source {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }
}
