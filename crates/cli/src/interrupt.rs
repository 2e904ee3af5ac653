//! Ctrl-C and termination: a request to end, which the running operation answers when it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::error::CliError;

/// The exit status of a process that Ctrl-C ended the hard way.
const INTERRUPTED: i32 = 130;

/// Knows whether the user asked to end. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    requested: AtomicBool,
    changed: Notify,
}

impl Interrupt {
    /// Takes over Ctrl-C and termination, once in a process. A second Ctrl-C that finds the first one unanswered
    /// ends the process.
    pub(crate) fn install() -> Result<Self, CliError> {
        let interrupt = Self::default();
        let handled = interrupt.clone();
        ctrlc::set_handler(move || handled.request())
            .map_err(|error| CliError::failed(format!("cannot handle Ctrl-C: {error}")))?;
        Ok(interrupt)
    }

    fn request(&self) {
        if self.state.requested.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        self.state.changed.notify_waiters();
    }

    /// True once the user asked.
    pub(crate) fn is_requested(&self) -> bool {
        self.state.requested.load(Ordering::SeqCst)
    }

    /// Forgets an earlier request.
    pub(crate) fn clear(&self) {
        self.state.requested.store(false, Ordering::SeqCst);
    }

    /// Waits until the user asks.
    pub(crate) async fn requested(&self) {
        loop {
            let changed = self.state.changed.notified();
            if self.is_requested() {
                return;
            }
            changed.await;
        }
    }
}
