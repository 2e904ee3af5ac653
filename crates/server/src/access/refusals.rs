//! What was turned away: counted always, told as often as somebody could want to read it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapebook_vfs::Vfs;

use super::audit::{AuditLog, Refused};

/// Refusals that are told at once, after a time of calm.
const TOLD_AT_ONCE: u32 = 100;
/// After that, one in this time.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Kinds of refusals, before a service is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum RefusalKind {
    /// As many connections as there may be.
    Connections,
    /// It said nothing, or too little, for too long.
    Slow,
    /// It speaks another protocol, or nonsense.
    Protocol,
    /// Its certificate is not good here.
    Certificate,
    /// It does not say who it is.
    Credential,
    /// Its token is not good, or no longer.
    Token,
    /// It may not do what it asks for.
    Right,
    /// A message or body that is too long.
    Size,
}

impl RefusalKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Connections,
        Self::Slow,
        Self::Protocol,
        Self::Certificate,
        Self::Credential,
        Self::Token,
        Self::Right,
        Self::Size,
    ];

    /// Its name in metrics and in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Slow => "slow",
            Self::Protocol => "protocol",
            Self::Certificate => "certificate",
            Self::Credential => "credential",
            Self::Token => "token",
            Self::Right => "right",
            Self::Size => "size",
        }
    }

    /// True where somebody was kept from something, false where somebody was only a nuisance.
    fn is_about_access(self) -> bool {
        matches!(self, Self::Certificate | Self::Credential | Self::Token | Self::Right)
    }
}

/// Counts refusals, and tells of them within bounds.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: [AtomicU64; RefusalKind::ALL.len()],
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    vfs: Arc<dyn Vfs>,
    audit: Arc<AuditLog>,
    allowance: Mutex<Allowance>,
}

/// A bucket that fills by one in [`TOLD_EVERY`].
#[derive(Debug)]
struct Allowance {
    left: u32,
    filled_at: Duration,
}

impl Refusals {
    /// Tells the audit log and the server's log.
    pub fn new(vfs: Arc<dyn Vfs>, audit: Arc<AuditLog>) -> Self {
        let allowance = Mutex::new(Allowance { left: TOLD_AT_ONCE, filled_at: vfs.clock().monotonic() });
        Self { counts: Default::default(), told: Some(Told { vfs, audit, allowance }) }
    }

    /// How many there were of a kind.
    pub fn count(&self, kind: RefusalKind) -> u64 {
        self.counts[kind as usize].load(Ordering::Relaxed)
    }

    /// Somebody of whom only the address is known was turned away.
    pub(crate) fn note(&self, kind: RefusalKind, address: SocketAddr, reason: &str) {
        let refused =
            Refused { kind: kind.name(), caller: None, credential: None, address: Some(address), reason };
        self.note_caller(kind, &refused);
    }

    pub(crate) fn note_caller(&self, kind: RefusalKind, refused: &Refused<'_>) {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        let Some(told) = &self.told else { return };
        if !told.allows() {
            if kind.is_about_access() {
                told.audit.leave_out();
            }
            return;
        }
        let from = refused.address.map_or("somebody".to_owned(), |address| address.to_string());
        log::warn!("refused {from}: {}", refused.reason);
        if kind.is_about_access() {
            told.audit.refused(refused);
        }
    }
}

impl Told {
    fn allows(&self) -> bool {
        let now = self.vfs.clock().monotonic();
        self.allowance.lock().unwrap_or_else(PoisonError::into_inner).take(now)
    }
}

impl Allowance {
    fn take(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(self.filled_at);
        let filled = u32::try_from(since.as_nanos() / TOLD_EVERY.as_nanos()).unwrap_or(TOLD_AT_ONCE);
        if filled > 0 {
            self.left = self.left.saturating_add(filled).min(TOLD_AT_ONCE);
            self.filled_at += TOLD_EVERY.saturating_mul(filled);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_count() {
        for (place, kind) in RefusalKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }

    #[test]
    fn a_flood_is_told_once_a_second() {
        let mut allowance = Allowance { left: TOLD_AT_ONCE, filled_at: Duration::ZERO };
        let taken = |allowance: &mut Allowance, at| (0..1_000).filter(|_| allowance.take(at)).count();
        assert_eq!(taken(&mut allowance, Duration::ZERO), 100);
        assert_eq!(taken(&mut allowance, Duration::from_millis(1_900)), 1);
        assert_eq!(taken(&mut allowance, Duration::from_millis(2_000)), 1);
        assert_eq!(taken(&mut allowance, Duration::from_secs(3_600)), 100);
    }
}
