//! The kinds of calls that pass through a file system, as named by fault plans and traces.

use std::path::PathBuf;

/// A kind of call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Operation {
    /// Opening or creating a file.
    Open,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// `sync_data` of a file.
    Sync,
    /// `set_len` of a file.
    SetLen,
    /// `prepare_zeroed` of a file.
    Prepare,
    /// Mapping a file.
    Map,
    /// Asking for a length, for existence or for free space.
    Metadata,
    /// Creating a directory and its parents.
    CreateDir,
    /// Listing a directory.
    ReadDir,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Making a second name for a file.
    HardLink,
    /// Syncing a directory.
    SyncDir,
    /// Taking the lock of a directory.
    Lock,
}

/// A call that succeeded, as [`MemoryVfs`](crate::MemoryVfs) writes it down. Questions ([`Operation::Metadata`]) are
/// left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TracedOperation {
    /// What was called.
    pub operation: Operation,
    /// The file or directory; of a rename or hard link the *new* name.
    pub path: PathBuf,
    /// Position in the file, in bytes; 0 where the call has none.
    pub offset: u64,
    /// Bytes that were read, written, prepared, mapped or set as the length; 0 where the call has none.
    pub len: u64,
}
