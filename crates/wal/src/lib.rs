//! The write-ahead log of one node: segments, frames, group commit, recovery, archive.
//!
//! The log is the replication log, the journal that subscribers follow and what an archive is made of. This crate
//! makes entries durable in order and reads them back; it knows nothing of records, tables or consensus. Payloads are
//! opaque bytes, aligned to 16. The byte maps are in `docs/format/log.md` and `archive.md`.
//!
//! # The life of an entry
//!
//! [`Wal::append`] *admits* a [`Proposal`]: it gets its index and its place, and is refused where there is no room.
//! It is *written* and *synced* with its group, and then *completed*: [`DurableSink::durable`] hears of it, in log
//! order. `completed ≤ synced ≤ written ≤ admitted` holds always. Nothing that was completed is ever lost or reordered;
//! nothing that was not completed is ever promised.
//!
//! # After a crash
//!
//! [`recover`] finds the first invalid frame and asks whether it was once durable. If something vouches for
//! it, the log does not open; otherwise it is a torn tail and is cut. [`Wal::start`] goes on from there.
//!
//! # When the disk fails
//!
//! A write or sync that fails is never tried again: the log is *poisoned*, all that waits fails with an unknown outcome,
//! and only a restart reads what the disk holds. A disk that is full is met while a segment is *prepared*, before
//! anything is written: appends are refused, and taken again when there is room.

#![forbid(unsafe_code)]

mod archive;
mod error;
mod format;
mod layout;
mod mark_file;
mod options;
#[cfg(test)]
mod page_example;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod planted;
mod proposal;
mod read;
mod recovery;
mod sink;
mod state;
mod writer;

pub use archive::{
    ARCHIVE_BLOCK_BYTES, ARCHIVE_FOOTER_BYTES, ARCHIVE_HEADER_BYTES, ArchiveEntries, ArchiveError,
    ArchiveFile, ArchiveFooter, ArchiveFormatError, ArchiveHeader, ArchiveWriter, ArchivedEntry,
    JournalPoint, archive_name, decode_archive_footer, decode_archive_header, list_archive,
};
pub use error::{AppendError, WalError};
pub use format::{
    EntryKind, FRAME_ALIGN, FRAME_HEADER_BYTES, Frame, FrameError, FrameMeta, GROUP_BYTES_MAX, HeaderError,
    LogId, LogIdentity, LogPosition, MARK_SLOT_BYTES, MEMBERSHIP_BYTES_MAX, Mark, Membership,
    PAYLOAD_BYTES_MAX, SEGMENT_BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SegmentFacts,
    SegmentFooter, SegmentHeader, SegmentIdentity, SegmentSummary, Vote, decode_frame, decode_mark,
    decode_segment_footer, decode_segment_header,
};
pub use layout::segment_path;
pub use options::WalOptions;
pub use proposal::Proposal;
pub use read::{
    FrameReport, FrameSummary, Frames, LogEntry, LogReader, Problem, ReadError, SegmentInspection,
    VerifyReport, inspect_segment, verify,
};
pub use recovery::{
    Corruption, Damage, Recovered, RecoveredEntry, RecoveryError, RecoveryOptions, TornTail, VisitResult,
    Vouch, recover,
};
pub use sink::{DurableEntry, DurableSink};
pub use state::LogState;
pub use writer::{ClosedSegment, CopyError, LogCopy, Wal, WalStats};
