//! Fault schedules of one node: seeded, on one thread, over a simulated disk, checked against a model.
//!
//! One seed is one schedule. It draws settings, a few *lives* of a process over one data directory, what each life does
//! (appends, flushes, compaction, retractions, checkpoints, backups, reads), a fault for each, and how each ends. The
//! code is the real one; the disk is `tapebook_vfs::MemoryVfs`, which at a power cut keeps any subset of what was not
//! synced. Between lives copies of the directory are damaged at rest.
//!
//! What must hold (`FAULTS` rows in `docs/operating/reliability.md`):
//!
//! * **O1** no acknowledged entry is lost. Where the disk itself lost what it had reported as durable, the database must
//!   refuse and name the place, as far as anything on the disk proves the loss; where the disk was honest, refusing is
//!   as wrong as losing.
//! * **O3** nothing is there that nobody wrote, nothing twice, everything in order, sequences without gaps, batches whole.
//! * **O5** nothing goes back: sequence, last applied entry, epoch, retractions.
//!
//! Where a schedule does not keep everything, rows may go that its policies drop, and none of them comes back.
//!
//! Equal seeds give equal runs, down to a hash over every call to the disk; [`check_seed`] gives that hash.
//!
//! [`check_cluster`] does the same with three nodes.

#![forbid(unsafe_code)]

mod cluster;
mod compare;
mod damage;
mod dropped;
mod faults;
mod held;
mod model;
mod operations;
mod planted;
mod random;
mod rows;
mod schedule;
mod structure;
mod totals;
mod trace;
mod vouched;
mod watched;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub use cluster::{ClusterOutcome, check_cluster};
pub use faults::FaultKind;
pub use planted::PlantedBug;
pub use schedule::Outcome;
pub use totals::{Group, Totals};

/// A promise that was broken, or a panic of the database, which is one as well.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("seed {seed}: {message}")]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// What is wrong, and where it was noticed.
    pub message: String,
}

thread_local! {
    /// Where the last panic of this thread was, while a schedule runs in it.
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
    static RUNNING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs the schedule of one seed.
pub fn check_seed(seed: u64) -> Result<Outcome, Violation> {
    check(seed, None, false)
}

/// Runs the schedule of one seed and prints what happens, line by line.
pub fn show_seed(seed: u64, bug: Option<PlantedBug>) -> Result<Outcome, Violation> {
    check(seed, bug, true)
}

/// Runs the schedule of one seed over a database with a planted bug.
pub fn check_planted(seed: u64, bug: PlantedBug) -> Result<Outcome, Violation> {
    check(seed, Some(bug), false)
}

fn check(seed: u64, bug: Option<PlantedBug>, shown: bool) -> Result<Outcome, Violation> {
    silence_panics();
    RUNNING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| schedule::run(seed, bug, shown)));
    RUNNING.set(false);
    outcome.map_err(|panic| {
        let place = PANICKED_AT.take().unwrap_or_default();
        Violation { seed, message: format!("{} ({place})", message_of(&*panic)) }
    })
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Panics are how schedules end where something is wrong, and some are injected: their place is kept, not printed.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !RUNNING.get() {
                return before(info);
            }
            let place = info.location().map(ToString::to_string);
            PANICKED_AT.set(place);
        }));
    });
}
