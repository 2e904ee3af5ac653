//! The trait for an open file, and a memory map of one.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::sync::Arc;

/// An open file. Every call names its position, so that threads share one handle.
pub trait File: Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Fills `buf` from `offset`, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(offset + done as u64, &mut buf[done..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }

    /// Writes all of `slices`, one after another, from `offset` on. On an error any part may be written.
    fn write_all_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()>;

    /// Makes everything written so far durable, with what is needed to read it back (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// True where the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends the file; new bytes are zero.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Prepares the first `len` bytes for writes that allocate nothing: reserves the space, writes zeros
    /// over all of it and syncs. Running out of space shows here, before anything depends on the file.
    fn prepare_zeroed(&self, len: u64) -> io::Result<()>;

    /// Maps the first `len` bytes for reading. The bytes must not change or be cut off while the map lives.
    fn map(&self, len: u64) -> io::Result<Mapping>;
}

/// Read-only bytes of a file, in place; aligned to at least 16. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Mapping {
    bytes: Arc<dyn MappedBytes>,
}

/// What can stand behind a [`Mapping`].
pub(crate) trait MappedBytes: Debug + Send + Sync {
    fn as_bytes(&self) -> &[u8];
}

impl Mapping {
    pub(crate) fn new(bytes: Arc<dyn MappedBytes>) -> Self {
        Self { bytes }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.as_bytes()
    }
}
