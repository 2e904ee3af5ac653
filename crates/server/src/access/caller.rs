//! Who makes a call.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Grant;
use crate::tls::PeerCertificate;

/// Who makes a call. Cheap to clone; in the extensions of every request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What they are called in the audit log and in `sys.subscribers`.
    pub name: Arc<str>,
    /// How they are known.
    pub credential: Credential,
    /// What they may do.
    pub grant: Arc<Grant>,
    /// Where they come from, where that is known.
    pub address: Option<SocketAddr>,
}

/// How a caller is known.
#[derive(Clone, Debug)]
pub enum Credential {
    /// By a certificate that the server's CA has issued.
    Certificate(Arc<PeerCertificate>),
    /// By the access token with this id.
    Token(u64),
    /// Not at all: the server asks nobody.
    None,
}

impl Caller {
    /// Somebody whom a server that asks nobody lets do everything.
    pub fn anonymous(address: Option<SocketAddr>) -> Self {
        Self {
            name: Arc::from("anonymous"),
            credential: Credential::None,
            grant: Arc::new(Grant::everything()),
            address,
        }
    }
}

impl Credential {
    /// Its kind, for the audit log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::Token(_) => "token",
            Self::None => "none",
        }
    }
}
