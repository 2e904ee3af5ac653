//! How a client connects.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::address::{Address, AddressError, parse_url};

/// How a client connects. Two clients with the same options share nothing.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Servers, in the order in which they are tried.
    pub addresses: Vec<Address>,
    /// Certificates, where the servers are asked for theirs.
    pub tls: Option<Tls>,
    /// An access token.
    pub token: Option<String>,
    /// One attempt to reach one server, TLS included, takes no longer. Default 3 s.
    pub connect_time_max: Duration,
    /// Calls that reach no server, or are told to come later, are tried again for so long. Default 10 s.
    pub retry_for: Duration,
}

impl ClientOptions {
    /// One server, without TLS.
    pub fn new(address: Address) -> Self {
        Self {
            addresses: vec![address],
            tls: None,
            token: None,
            connect_time_max: Duration::from_secs(3),
            retry_for: Duration::from_secs(10),
        }
    }

    /// The servers of a URL: `grpc://HOST:PORT[,HOST:PORT…]`, or `grpcs://…` with TLS. With TLS the certificates must be given,
    /// see [`ClientOptions::tls`].
    pub fn from_url(url: &str) -> Result<Self, AddressError> {
        let (tls, addresses) = parse_url(url)?;
        let tls = tls.then(Tls::default);
        Ok(Self { addresses, tls, ..Self::new(Address { host: String::new(), port: 0 }) })
    }

    /// With these certificates.
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// With an access token.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self }
    }
}

/// Certificates and keys in PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// The certificates of the authorities that servers may be vouched for by. None: no server is trusted.
    pub ca: Vec<u8>,
    /// The client's own certificate, and what leads from it to an authority.
    pub certificate: Option<Vec<u8>>,
    /// The key of that certificate.
    pub key: Option<Vec<u8>>,
}

/// Certificates or keys that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct TlsError {
    what: String,
    reason: String,
}

impl TlsError {
    fn new(what: impl ToString, reason: impl ToString) -> Self {
        Self { what: what.to_string(), reason: reason.to_string() }
    }
}

impl Tls {
    /// Reads the files; certificate and key belong together.
    #[allow(clippy::disallowed_methods, reason = "the user's own files")]
    pub fn from_files(ca: &Path, own: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| TlsError::new(path.display(), format!("cannot read: {error}")))
        };
        let (certificate, key) = match own {
            Some((certificate, key)) => (Some(read(certificate)?), Some(read(key)?)),
            None => (None, None),
        };
        Ok(Self { ca: read(ca)?, certificate, key })
    }

    /// What a connection is made with: TLS 1.3 and HTTP/2.
    pub(crate) fn to_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("CA certificate", &self.ca)? {
            roots.add(certificate).map_err(|error| TlsError::new("CA certificate", error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TlsError::new("TLS", error))?
            .with_root_certificates(roots);
        let mut config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates("client certificate", certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key);
                let key = key.map_err(|error| TlsError::new("client key", format!("{error:?}")))?;
                let config = config.with_client_auth_cert(chain, key);
                config.map_err(|error| TlsError::new("client certificate and key", error))?
            }
            (None, None) => config.with_no_client_auth(),
            _ => return Err(TlsError::new("client certificate and key", "one is given without the other")),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The certificates of a PEM text, at least one.
fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| TlsError::new(what, format!("{error:?}")))?;
    if found.is_empty() { Err(TlsError::new(what, "there is none in the PEM text")) } else { Ok(found) }
}

impl std::fmt::Debug for Tls {
    /// Never shows the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("ca_bytes", &self.ca.len())
            .field("own", &self.certificate.is_some())
            .finish_non_exhaustive()
    }
}
