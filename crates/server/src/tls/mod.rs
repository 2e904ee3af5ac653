//! TLS of every port: 1.3 only, with certificates that may change while the server runs.
//!
//! [`Tls`] holds what the files said when they were last good. [`Tls::reload`] reads them again: what is broken is refused, and what
//! was good stays. A connection that has begun goes on, but its certificate is judged anew by what the files say now.
//! Sessions are never resumed, because a resumed one would not be judged.
//!
//! *Boundary*: who a certificate lets in is read in [`CertificateIdentity`], written in [`Authority`], and decided in
//! [`access`](crate::access).

mod authority;
mod der;
mod files;
mod identity;
mod peer;
mod summary;
mod x509;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tapebook_vfs::Vfs;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

pub use authority::{Authority, AuthorityError, Issued, Subject};
pub use files::TlsFiles;
pub use identity::{CertificateIdentity, IdentityError};
pub use peer::PeerCertificate;
pub use summary::CertificateSummary;

use self::files::TlsContent;
use self::x509::Certificate;

/// Why the files are not good.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: cannot read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A file has not what it should.
    #[error("{}: no {expected} in PEM; `tapebook cert issue` makes one", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should have.
        expected: &'static str,
    },
    /// Certificate and key do not belong together, or the algorithm is not known.
    #[error("{} and {}: {source}", certificate.display(), key.display())]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The server's certificate is not good now.
    #[error("{}: the certificate is not good now: it {reason}", path.display())]
    NotNow {
        /// The certificate.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The CAs, or their lists of what they revoked.
    #[error("{}: {reason}", path.display())]
    Authorities {
        /// The file of the CAs.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What is spoken inside of TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Inside {
    Http1,
    Http2,
}

/// The TLS of one server.
#[derive(Debug)]
pub struct Tls {
    vfs: Arc<dyn Vfs>,
    files: TlsFiles,
    good: ArcSwap<Good>,
    /// What was read last, good or not; held while it is judged.
    seen: Mutex<[u8; 32]>,
}

/// What the files said when they were last good.
#[derive(Debug)]
struct Good {
    generation: u64,
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
    /// How this node calls another one; `None` where no CA is known that could vouch for it.
    calling: Option<Arc<ClientConfig>>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// When the server's own certificate ends, seconds since the epoch.
    not_after: i64,
}

impl Tls {
    /// Reads the files; every one must be good.
    pub fn load(vfs: Arc<dyn Vfs>, files: TlsFiles) -> Result<Self, TlsError> {
        let content = files.read(&*vfs)?;
        let good = judge(&files, &content, unix_time(&*vfs), 1)?;
        let seen = Mutex::new(content.fingerprint());
        Ok(Self { vfs, files, good: ArcSwap::from_pointee(good), seen })
    }

    /// Reads the files again, and says whether that changed anything. What is not good is refused once, until it
    /// changes again.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let content = self.files.read(&*self.vfs)?;
        let fingerprint = content.fingerprint();
        if *seen == fingerprint {
            return Ok(false);
        }
        *seen = fingerprint;
        let generation = self.good.load().generation + 1;
        self.good.store(Arc::new(judge(&self.files, &content, unix_time(&*self.vfs), generation)?));
        Ok(true)
    }

    /// When the server's own certificate ends, seconds since the epoch.
    pub fn not_after(&self) -> i64 {
        self.good.load().not_after
    }

    /// How the next connection is taken.
    pub(crate) fn config(&self, inside: Inside) -> Arc<ServerConfig> {
        let good = self.good.load();
        Arc::clone(match inside {
            Inside::Http1 => &good.http1,
            Inside::Http2 => &good.http2,
        })
    }

    /// How this node calls another one of the same CA, with its own certificate; `None` where no CA is known.
    pub(crate) fn calling(&self) -> Option<Arc<ClientConfig>> {
        self.good.load().calling.clone()
    }

    /// Who the other end is, by the chain that its handshake has proven.
    pub(crate) fn peer(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<PeerCertificate>, IdentityError> {
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        // Generation 0 is none: a certificate is judged again by the files of now, which may have changed
        // while the hands were shaken.
        PeerCertificate::new(chain, 0).map(Arc::new)
    }

    /// Says whether a certificate that let somebody in still would, and if not, what it is now.
    pub(crate) fn check(&self, certificate: &PeerCertificate) -> Result<(), String> {
        let now = unix_time(&*self.vfs);
        if i64::try_from(now.as_secs()).is_ok_and(|now| now > certificate.identity().not_after) {
            return Err("expired".to_owned());
        }
        let good = self.good.load();
        if certificate.is_good_for(good.generation) {
            return Ok(());
        }
        let Some(verifier) = &good.verifier else {
            return Err("of no use: the server takes none any more".to_owned());
        };
        let Some((first, intermediates)) = certificate.chain().split_first() else {
            return Err("missing".to_owned());
        };
        match verifier.verify_client_cert(first, intermediates, now) {
            Ok(_) => {
                certificate.found_good_for(good.generation);
                Ok(())
            }
            Err(error) => Err(reason_of(&error)),
        }
    }
}

/// What the error of a certificate means, in words for its owner.
pub(crate) fn reason_of(error: &rustls::Error) -> String {
    use rustls::CertificateError as Reason;
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            Reason::Expired | Reason::ExpiredContext { .. } => "expired".to_owned(),
            Reason::NotValidYet | Reason::NotValidYetContext { .. } => "not valid yet".to_owned(),
            Reason::Revoked => "revoked".to_owned(),
            Reason::UnknownIssuer => "of a CA that is not trusted here".to_owned(),
            Reason::InvalidPurpose | Reason::InvalidPurposeContext { .. } => "not one of a client".to_owned(),
            Reason::UnknownRevocationStatus => "of a CA whose revocation list is missing here".to_owned(),
            other => format!("not good ({other})"),
        },
        other => format!("not good ({other})"),
    }
}

/// Decides whether what was read may be used.
fn judge(files: &TlsFiles, content: &TlsContent, now: UnixTime, generation: u64) -> Result<Good, TlsError> {
    let chain = files.chain(content)?;
    let not_after = check_time(files, &chain, now)?;
    let verifier = verifier(files, content)?;
    let config = |protocol: &[u8]| {
        server_config(files, content, chain.clone(), verifier.as_ref(), protocol).map(Arc::new)
    };
    let calling = client_config(files, content, chain.clone())?;
    Ok(Good { generation, http1: config(b"http/1.1")?, http2: config(b"h2")?, calling, verifier, not_after })
}

fn check_time(files: &TlsFiles, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<i64, TlsError> {
    let path = &files.certificate;
    let Some(certificate) = chain.first().and_then(|certificate| Certificate::read(certificate)) else {
        return Err(TlsError::Content { path: path.clone(), expected: "certificate that can be read" });
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let refuse = |reason| Err(TlsError::NotNow { path: path.clone(), reason });
    if now > certificate.not_after {
        return refuse("has expired");
    }
    if now < certificate.not_before {
        return refuse("begins later");
    }
    Ok(certificate.not_after)
}

fn verifier(files: &TlsFiles, content: &TlsContent) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let Some(path) = &files.ca else { return Ok(None) };
    let refuse = |reason: String| TlsError::Authorities { path: path.clone(), reason };
    let roots = roots(files, content, path)?;
    let lists = files.revocations(content)?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .with_crls(lists)
        // A token says who it is later.
        .allow_unauthenticated();
    if files.revoked.is_some() {
        // A CA need not say anything about its own intermediate ones.
        builder = builder.only_check_end_entity_revocation();
    }
    builder.build().map(Some).map_err(|error| refuse(error.to_string()))
}

fn server_config(
    files: &TlsFiles,
    content: &TlsContent,
    chain: Vec<CertificateDer<'static>>,
    verifier: Option<&Arc<dyn ClientCertVerifier>>,
    protocol: &[u8],
) -> Result<ServerConfig, TlsError> {
    let fail =
        |source| TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source };
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]).map_err(fail)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, files.private_key(content)?).map_err(fail)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client_config(
    files: &TlsFiles,
    content: &TlsContent,
    chain: Vec<CertificateDer<'static>>,
) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let Some(path) = &files.ca else { return Ok(None) };
    let roots = roots(files, content, path)?;
    let fail =
        |source| TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(fail)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, files.private_key(content)?)
        .map_err(fail)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Some(Arc::new(config)))
}

fn roots(files: &TlsFiles, content: &TlsContent, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in files.authorities(content)? {
        let added = roots.add(authority);
        added.map_err(|error| TlsError::Authorities { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unix_time(vfs: &dyn Vfs) -> UnixTime {
    let nanos = u64::try_from(vfs.clock().unix_nanos()).unwrap_or(0);
    UnixTime::since_unix_epoch(std::time::Duration::from_nanos(nanos))
}
