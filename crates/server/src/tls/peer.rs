//! The certificate with which a connection began.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{CertificateIdentity, IdentityError};

/// The certificate with which a connection began, found good then. It is looked at again when the server's own files
/// have changed, and when its time is over.
#[derive(Debug)]
pub struct PeerCertificate {
    chain: Vec<CertificateDer<'static>>,
    identity: CertificateIdentity,
    /// The state of the server's files that has found it good.
    good_for: AtomicU64,
}

impl PeerCertificate {
    /// Reads who the owner of a verified chain is.
    pub(super) fn new(chain: Vec<CertificateDer<'static>>, generation: u64) -> Result<Self, IdentityError> {
        let first = chain.first().ok_or(IdentityError::Unreadable)?;
        let identity = CertificateIdentity::read(first)?;
        Ok(Self { chain, identity, good_for: AtomicU64::new(generation) })
    }

    /// Who its owner is.
    pub fn identity(&self) -> &CertificateIdentity {
        &self.identity
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn is_good_for(&self, generation: u64) -> bool {
        self.good_for.load(Ordering::Relaxed) == generation
    }

    pub(super) fn found_good_for(&self, generation: u64) {
        self.good_for.store(generation, Ordering::Relaxed);
    }
}
