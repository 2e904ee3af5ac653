//! Reading the log: frame by frame, entry by entry, and whatever is left of a damaged one.

mod inspect;
mod reader;
mod scanner;
mod verify;

pub use inspect::{FrameReport, FrameSummary, Frames, SegmentInspection, inspect_segment};
pub use reader::{LogEntry, LogReader, ReadError};
pub(crate) use scanner::{SegmentScanner, Step, read_header_block};
pub use verify::{Problem, VerifyReport, verify};
