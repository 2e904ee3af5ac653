//! The archive: entries of the log that are kept, compressed, after their segments are used again.
//!
//! A file holds a range of committed entries without gaps, from one point of the journal to a later one, and never
//! changes. It is seekable: entries lie in blocks that are compressed each by itself, and a directory at the end says
//! which block holds which entries and sequence numbers. The byte map is in `docs/format/archive.md`.
//!
//! *Boundary*: what is in a batch, which entries count, and how long a file is kept is the owner's business.

mod error;
mod file;
mod folder;
mod format;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{ArchiveError, ArchiveFormatError};
pub use file::{ArchiveEntries, ArchiveFile, ArchivedEntry};
pub use folder::{archive_name, list_archive};
pub use format::{
    ARCHIVE_BLOCK_BYTES, ARCHIVE_FOOTER_BYTES, ARCHIVE_HEADER_BYTES, ArchiveFooter, ArchiveHeader,
    JournalPoint, decode_archive_footer, decode_archive_header,
};
pub use writer::ArchiveWriter;
