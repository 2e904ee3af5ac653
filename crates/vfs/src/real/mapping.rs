//! Memory maps of files: the one place of this crate with unsafe code.

#![allow(unsafe_code, reason = "a map is only as safe as the file behind it is constant")]

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

use crate::Mapping;
use crate::file::MappedBytes;
use crate::memory::AlignedBytes;

/// Maps the first `len` bytes, shared and read-only; `InvalidInput` where the file is shorter.
pub(super) fn map_file(file: &File, len: u64) -> io::Result<Mapping> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let len_in_memory = usize::try_from(len).map_err(|_| invalid())?;
    if len > file.metadata()?.len() {
        return Err(invalid());
    }
    if len == 0 {
        return Ok(Mapping::new(Arc::new(AlignedBytes::read(0, |_| 0))));
    }
    // SAFETY: the bytes behind the map must not change or be cut off while it lives. `File::map` puts that on its
    // caller: only files that were completely written and synced before are mapped, nobody writes to or truncates
    // them afterwards (they are replaced as a whole and removed by name, which leaves a mapped file in place), and
    // the directory lock keeps other processes of this database out. The length was checked above, so no page lies
    // behind the end of the file.
    let map = unsafe { MmapOptions::new().len(len_in_memory).map(file) }?;
    Ok(Mapping::new(Arc::new(map)))
}

impl MappedBytes for Mmap {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}
