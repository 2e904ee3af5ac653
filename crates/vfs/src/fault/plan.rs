//! Which calls fail, and how.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::Operation;

/// What happens instead of a call, or to it.
///
/// A fault that has no meaning for a call (a short sync, a skipped read) fails it with `ErrorKind::Other`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is done; the call fails with this kind, for example `StorageFull`.
    Error(io::ErrorKind),
    /// Nothing is done; the call fails with this number of the operating system, for example 5 (`EIO`).
    OsError(i32),
    /// A write stores so many of its bytes, then fails; a read, map or other call just fails.
    ShortWrite {
        /// Bytes that are written before the failure.
        bytes: usize,
        /// How the call fails.
        error: io::ErrorKind,
    },
    /// Nothing is done, and the call reports success: a disk that lies about a write, a sync, a rename.
    Skip,
    /// A write goes to this offset instead of its own, a read comes from there.
    Misplace {
        /// The wrong position in the file.
        offset: u64,
    },
    /// The call succeeds after this time, which passes on the clock of the file system.
    Delay(Duration),
    /// A read or a map succeeds with one byte changed. A read of nothing is not changed.
    CorruptRead {
        /// Position among the bytes read; wraps around their number.
        index: usize,
        /// Bits to invert.
        mask: u8,
    },
}

impl Fault {
    /// The error of a call that cannot be half done.
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Error(kind) | Self::ShortWrite { error: kind, .. } => {
                io::Error::new(kind, "injected fault")
            }
            Self::OsError(code) => io::Error::from_raw_os_error(code),
            _ => io::Error::other("injected fault"),
        }
    }
}

/// One kind of fault and the calls that it hits.
#[derive(Clone, Debug)]
pub struct FaultRule {
    fault: Fault,
    operation: Option<Operation>,
    path_part: Option<String>,
    nth: u64,
    for_ever: bool,
    matching_calls: u64,
}

impl FaultRule {
    /// Hits the first call of any kind, once.
    pub fn new(fault: Fault) -> Self {
        Self { fault, operation: None, path_part: None, nth: 1, for_ever: false, matching_calls: 0 }
    }

    /// Only calls of this kind count.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only calls about a path that contains `part` count. A rename or hard link is about its new name.
    #[must_use]
    pub fn path_contains(mut self, part: impl Into<String>) -> Self {
        self.path_part = Some(part.into());
        self
    }

    /// Hits the `nth` of the calls that count, from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// Hits every later one as well.
    #[must_use]
    pub fn for_ever(mut self) -> Self {
        self.for_ever = true;
        self
    }

    fn hits(&mut self, operation: Operation, path: &Path) -> bool {
        let counts = self.operation.is_none_or(|wanted| wanted == operation)
            && self.path_part.as_deref().is_none_or(|part| path.to_string_lossy().contains(part));
        self.matching_calls += u64::from(counts);
        counts && (self.matching_calls == self.nth || (self.for_ever && self.matching_calls > self.nth))
    }
}

/// Rules, of which the first that hits a call decides it. Every rule counts every call.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    rules: Vec<FaultRule>,
}

impl FaultPlan {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a rule behind the others.
    #[must_use]
    pub fn with(mut self, rule: FaultRule) -> Self {
        self.rules.push(rule);
        self
    }

    fn arrive(&mut self, operation: Operation, path: &Path) -> Option<Fault> {
        let mut chosen = None;
        for rule in &mut self.rules {
            if rule.hits(operation, path) && chosen.is_none() {
                chosen = Some(rule.fault);
            }
        }
        chosen
    }
}

impl From<FaultRule> for FaultPlan {
    fn from(rule: FaultRule) -> Self {
        Self::none().with(rule)
    }
}

/// A plan at work.
#[derive(Debug)]
pub(super) struct Counters {
    plan: FaultPlan,
    calls: BTreeMap<Operation, u64>,
    faults: u64,
}

impl Counters {
    pub(super) fn new(plan: FaultPlan) -> Self {
        Self { plan, calls: BTreeMap::new(), faults: 0 }
    }

    pub(super) fn set_plan(&mut self, plan: FaultPlan) {
        self.plan = plan;
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.values().sum()
    }

    pub(super) fn calls_of(&self, operation: Operation) -> u64 {
        self.calls.get(&operation).copied().unwrap_or(0)
    }

    pub(super) fn faults(&self) -> u64 {
        self.faults
    }

    pub(super) fn arrive(&mut self, operation: Operation, path: &Path) -> Option<Fault> {
        *self.calls.entry(operation).or_default() += 1;
        let fault = self.plan.arrive(operation, path);
        self.faults += u64::from(fault.is_some());
        fault
    }
}
