//! Bugs that the fault schedules switch on to prove that they would find them.
//!
//! This module exists only where debug assertions are compiled in, so no release build has it. A switch belongs to one thread
//! and is off until somebody sets it; nothing in the database does.

use std::cell::Cell;

/// A bug of the recovery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecoveryBug {
    /// A later frame that vouches for what is broken is not heard.
    CutDespiteVouch,
    /// A torn tail is taken for damage.
    RefuseTornTail,
}

thread_local! {
    static PLANTED: Cell<Option<RecoveryBug>> = const { Cell::new(None) };
}

/// Plants a bug in this thread, or takes it out.
pub fn set(bug: Option<RecoveryBug>) {
    PLANTED.set(bug);
}

pub(crate) fn is(bug: RecoveryBug) -> bool {
    PLANTED.get() == Some(bug)
}
