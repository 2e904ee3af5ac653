//! Exactly once: which batches of which producer were applied, and who has not been heard of for long.
//!
//! A producer numbers its batches. `decide` says of each one whether it is the next, a duplicate or refused, at apply and from
//! earlier entries alone. A producer that is idle *expires*, by an entry of the log: what is known of it shrinks to the numbers
//! that say what must never be taken as new. It goes on with a greater epoch.
//!
//! What its feed numbers mean is known of a producer, too, and may be declared before it writes.
//!
//! *Invariant*: a producer that was known once is known for ever, and none of its batches is applied twice.

mod api;
mod decide;
mod entry;
mod idle;
mod refusal;
mod section;
mod state;

pub use entry::{EXPIRIES_MAX, Expiry, ProducerExpiry};
pub use refusal::ProducerRefusal;
pub use state::{ProducerState, RECEIPTS_KEPT};

pub(crate) use decide::{Decision, Producers};
pub(crate) use idle::IdleProducers;
pub(crate) use section::{PRODUCERS_VERSION, decode_producers, encode_producers};
