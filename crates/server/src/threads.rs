//! Threads that end with whoever owns them, whatever becomes of him.

use tokio::runtime::Runtime;

/// A runtime that may be dropped anywhere.
#[derive(Debug)]
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self(Some(runtime))
    }

    /// Ends the threads; tasks are cut off where they next yield.
    pub(crate) fn end(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting would block.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end();
    }
}
