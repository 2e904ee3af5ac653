//! The files that a server's TLS is made of.

use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use tapebook_vfs::Vfs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::TlsError;

/// A chain, a key or a list of a development CA has some KiB; those of large ones a few MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The files that a server's TLS is made of, all PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, its intermediate ones behind it.
    pub certificate: PathBuf,
    /// The private key that belongs to it.
    pub key: PathBuf,
    /// The CAs whose certificates let clients in; `None`: no certificate does.
    pub ca: Option<PathBuf>,
    /// Lists of certificates that these CAs have revoked.
    pub revoked: Option<PathBuf>,
}

/// What the files hold at one moment.
pub(super) struct TlsContent {
    certificate: Vec<u8>,
    key: Vec<u8>,
    ca: Option<Vec<u8>>,
    revoked: Option<Vec<u8>>,
}

impl TlsFiles {
    pub(super) fn read(&self, vfs: &dyn Vfs) -> Result<TlsContent, TlsError> {
        let read = |path: &Path| {
            vfs.read_file(path, FILE_BYTES_MAX)
                .map_err(|source| TlsError::Read { source, path: path.to_owned() })
        };
        Ok(TlsContent {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            ca: self.ca.as_deref().map(read).transpose()?,
            revoked: self.revoked.as_deref().map(read).transpose()?,
        })
    }

    pub(super) fn chain(&self, content: &TlsContent) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        all(&self.certificate, &content.certificate, "certificate")
    }

    pub(super) fn private_key(&self, content: &TlsContent) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&content.key)
            .map_err(|_| TlsError::Content { path: self.key.clone(), expected: "private key" })
    }

    pub(super) fn authorities(&self, content: &TlsContent) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        match (&self.ca, &content.ca) {
            (Some(path), Some(bytes)) => all(path, bytes, "certificate"),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn revocations(
        &self,
        content: &TlsContent,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        match (&self.revoked, &content.revoked) {
            (Some(path), Some(bytes)) => all(path, bytes, "revocation list"),
            _ => Ok(Vec::new()),
        }
    }
}

impl TlsContent {
    /// Differs where a file does.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        for bytes in [Some(&self.certificate), Some(&self.key), self.ca.as_ref(), self.revoked.as_ref()] {
            let bytes = bytes.map_or(&[][..], Vec::as_slice);
            context.update(&(bytes.len() as u64).to_le_bytes());
            context.update(bytes);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        fingerprint
    }
}

/// Every object of a kind in a file, at least one.
fn all<T: PemObject>(path: &Path, bytes: &[u8], expected: &'static str) -> Result<Vec<T>, TlsError> {
    let fail = || TlsError::Content { path: path.to_owned(), expected };
    let objects = T::pem_slice_iter(bytes).collect::<Result<Vec<T>, _>>().map_err(|_| fail())?;
    if objects.is_empty() { Err(fail()) } else { Ok(objects) }
}
