//! How far a server is: it serves, it ends, it has ended.

use tokio::sync::watch;

/// How far a server is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// It takes calls.
    Serving,
    /// It takes no new ones and finishes those that there are. Streams without an end are ended, each with its reason.
    Closing,
    /// What still goes on is cut off.
    Ended,
}

/// How far a server is, for everybody who wants to wait for it.
#[derive(Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { phase: watch::Sender::new(Phase::Serving) }
    }
}

impl Lifecycle {
    /// How far it is now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// True while it takes calls.
    pub fn is_serving(&self) -> bool {
        self.phase() == Phase::Serving
    }

    /// Waits until the server ends. A stream that would go on for ever ends when this does, and tells its client `CLOSING`.
    pub async fn closing(&self) {
        self.reached(Phase::Closing).await;
    }

    /// Waits until what still goes on is cut off.
    pub(crate) async fn ended(&self) {
        self.reached(Phase::Ended).await;
    }

    /// Goes on to a later phase; never back.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    async fn reached(&self, phase: Phase) {
        // The sender is ours, so it is there.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }
}
