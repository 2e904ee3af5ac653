//! Which files a database consists of: its identity, the manifest with its version edits, and the state file.
//!
//! * [`Identity`] says whose directory it is. Every structure here repeats or is seeded with it.
//! * A [`Version`] is one immutable set of files and partitions with its counters. A [`VersionEdit`] leads from
//!   one to the next; [`Version::apply`] is pure and checks the invariants.
//! * A [`Manifest`] keeps the edits in a log on disk: `CURRENT` names the log, [`Manifest::commit`] appends to it.
//! * A [`StateFile`] carries what is not a row, as sections whose content this crate does not know.
//! * [`layout`] knows every name, says which files a version uses and which are left over from a crash.
//!
//! *Invariant*: when a commit returns, the edit is durable; every file that an edit names was durable before.
//!
//! *Boundary*: nothing here opens tables or history files, deletes a file, or decides what to flush or compact.

mod current;
mod durable;
mod edit;
mod edit_codec;
mod error;
mod files;
mod frame;
mod identity;
pub mod layout;
mod log;
mod position;
mod replay;
mod state;
mod state_codec;
mod state_file;
mod version;
mod version_error;

#[cfg(test)]
mod tests;

pub use current::{CURRENT_BYTES, Current, decode_current};
pub use edit::VersionEdit;
pub use edit_codec::{decode_edit, encode_edit};
pub use error::{FormatError, ManifestError, StorageError};
pub use files::{HistoryFile, Partition, StateRef, TableFile};
pub use frame::{MANIFEST_BLOCK_BYTES, MANIFEST_BYTES_MAX, ManifestHeader, decode_manifest_header};
pub use identity::{IDENTITY_BYTES, Identity, decode_identity};
pub use log::{Manifest, ManifestOptions};
pub use position::{LogId, LogRange, SeqRange};
pub use replay::{Replayed, TornTail, replay_manifest};
pub use state::{STATE_BYTES_MAX, STATE_SECTION_BYTES_MAX, SectionTag, StateHeader, StateSection};
pub use state_codec::{decode_state, encode_state};
pub use state_file::StateFile;
pub use version::{LEVELS, PARTITION_AS_FLUSHED, Version};
pub use version_error::VersionError;
