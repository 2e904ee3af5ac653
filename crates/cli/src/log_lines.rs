//! The log of the server: one line for each thing worth knowing, on standard error.
//!
//! The facade is `log` and what is behind it is here: operators want lines, numbers are in the metrics, and who did what is in the audit
//! log. Nothing that more machinery would bring is used.

use std::io::Write;

use log::{LevelFilter, Log, Metadata, Record};

use crate::clock::unix_nanos;
use crate::text::{one_line, rfc3339};

static LINES: Lines = Lines;

/// Our own crates; what libraries have to say is for their authors.
const OURS: &str = "tapebook";

struct Lines;

/// Begins to log, once in a process.
pub(crate) fn begin(level: LevelFilter) {
    // Where somebody else has begun, that is where lines go.
    if log::set_logger(&LINES).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(OURS)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (time, level) = (rfc3339(unix_nanos()), record.level());
        let line = format!("{time} {level:<5} {}\n", one_line(&record.args().to_string()));
        // One write, so that lines do not mix. Where nobody reads them any more the server goes on.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}
