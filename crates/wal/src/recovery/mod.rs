//! Recovery: what the log still says after a crash, and whether that is all it ever promised.
//!
//! The question at the first invalid frame, X, is whether X was once durable. If something vouches for it (a
//! later frame, the next segment's header, the mark) it is *corruption*, and nothing is changed. Otherwise nobody was
//! ever told about X: a *torn tail*, which is cut. Examining only reads; repairing writes, and only after
//! everything was examined.

mod error;
mod examine;
mod recovered;
mod repair;
mod segments;

pub use error::{Corruption, Damage, RecoveryError, Vouch};
pub(crate) use recovered::RecoveredTail;
pub use recovered::{Recovered, RecoveredEntry, RecoveryOptions, TornTail};
pub(crate) use segments::{SegmentFile, read_segment_headers};

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tapebook_vfs::Vfs;

use crate::format::LogIdentity;
use crate::layout::Listing;
use crate::mark_file::read_mark;

/// What a visitor of recovered entries may answer.
pub type VisitResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Reads the log in `dir`, shows its entries to `visit` in log order, and makes it ready to be written.
///
/// One pass: entries are shown while they are read, before the whole log is known to be sound. **Where this
/// returns an error, everything that the visitor did must be discarded**, and nothing in the directory was
/// changed unless the error is one of writing. Notes are shown too; entries below
/// [`RecoveryOptions::replay_from`] are not. Segments that lie wholly below it are not read but for
/// their headers ([`verify`](crate::verify) reads them). When it returns, all entries shown are durable.
///
/// A directory that is missing or empty is a new log.
pub fn recover(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    identity: LogIdentity,
    options: &RecoveryOptions,
    visit: &mut dyn FnMut(RecoveredEntry) -> VisitResult,
) -> Result<Recovered, RecoveryError> {
    let at_dir = |source| RecoveryError::io(dir, source);
    vfs.create_dir_all(dir).map_err(at_dir)?;
    let listing = Listing::read(&**vfs, dir).map_err(at_dir)?;
    let mark = read_mark(&**vfs, dir, identity).map_err(at_dir)?;
    let segments = read_segment_headers(&**vfs, dir, identity, &listing.segment_ids)?;
    let examined = examine::examine(dir, &segments, mark, options, visit)?;
    repair::repair(vfs, dir, identity, &listing, mark, segments, examined)
}
