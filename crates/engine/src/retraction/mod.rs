//! Retractions as the engine makes them: entries of the log, decided when they are applied, kept in the state file.
//!
//! [`Db::retract`](crate::Db::retract) proposes a [`RetractionEntry`]. Like everything that changes the system state it is
//! decided at apply, in log order, from earlier entries alone: `decide` says whether it holds, so that a replay comes to the
//! same answer. What it means for a read is the business of [`tapebook_lsm::retraction`].
//!
//! *Invariant*: of one table and one range at most one retraction stands, so that the range names it.

mod api;
mod decide;
mod entry;
mod error;
mod section;

pub use api::{RetractionName, RetractionReceipt};
pub use entry::{REASON_BYTES_MAX, RetractionEntry, check_reason};
pub use error::{ReasonError, RetractError};

pub(crate) use api::Proposed;
pub(crate) use decide::apply;
pub(crate) use section::{decode_retractions, encode_retractions};
