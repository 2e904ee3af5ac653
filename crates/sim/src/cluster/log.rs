//! The trace of a cluster, which several tasks write to.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::trace::Trace;

/// Lines with the simulated time. Clones are the same trace.
#[derive(Clone)]
pub(super) struct Log {
    trace: Arc<Mutex<Trace>>,
    began: Instant,
}

impl Log {
    pub fn new(shown: bool) -> Self {
        Self { trace: Arc::new(Mutex::new(Trace::new(shown))), began: Instant::now() }
    }

    fn with(&self, write: impl FnOnce(&mut Trace, f64)) {
        let now = self.began.elapsed().as_secs_f64();
        write(&mut self.trace.lock().unwrap_or_else(PoisonError::into_inner), now);
    }

    /// Something that a person wants to read.
    pub fn line(&self, line: fmt::Arguments<'_>) {
        self.with(|trace, now| trace.line(format_args!("{now:10.6} {line}")));
    }

    /// Something that only the hash needs.
    pub fn hidden(&self, line: fmt::Arguments<'_>) {
        self.with(|trace, now| trace.bytes(format!("{now:.6} {line}\n").as_bytes()));
    }

    pub fn hash(&self) -> u64 {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).hash()
    }
}
