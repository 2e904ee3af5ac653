//! From a connection and the headers of a call to its caller.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::{Access, Caller, Credential, RefusalKind, TokenRefusal};
use crate::access::audit::Refused;
use crate::tls::{IdentityError, PeerCertificate};

/// Longer headers are refused unread; a token has 85 characters.
const HEADER_BYTES_MAX: usize = 1_024;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// What its certificate says, where it showed one.
    pub certificate: Option<Result<Arc<PeerCertificate>, IdentityError>>,
}

/// Why it is not known who makes a call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unauthenticated {
    /// There is no certificate and no token.
    #[error("a client certificate or a token (`authorization: Bearer TOKEN`) is needed")]
    Missing,
    /// The header says something else.
    #[error("the header `authorization` is neither `Bearer TOKEN` nor `Basic` with a token as its password")]
    Header,
    /// The token is not good.
    #[error("{0}; `tapebook token create` makes one")]
    Token(#[from] TokenRefusal),
    /// The certificate is not one of a caller.
    #[error("{0}; `tapebook cert issue` makes one with a role")]
    Identity(#[from] IdentityError),
    /// The certificate was good when the connection began.
    #[error("the certificate is {reason}; connect with another one")]
    Certificate {
        /// What it is now.
        reason: String,
    },
}

impl Unauthenticated {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::Missing => RefusalKind::Credential,
            Self::Header | Self::Token(_) => RefusalKind::Token,
            Self::Identity(_) | Self::Certificate { .. } => RefusalKind::Certificate,
        }
    }
}

impl Access {
    /// Who makes a call. A token counts for more than a certificate, so that one connection may serve several callers.
    pub fn authenticate(
        &self,
        peer: &Peer,
        authorization: Option<&HeaderValue>,
    ) -> Result<Caller, Unauthenticated> {
        if self.open {
            return Ok(Caller::anonymous(Some(peer.address)));
        }
        let known = match (authorization, &peer.certificate) {
            (Some(header), _) => self.by_token(peer, header),
            (None, Some(Ok(certificate))) => self.by_certificate(peer, certificate),
            (None, Some(Err(error))) => Err(error.clone().into()),
            (None, None) => Err(Unauthenticated::Missing),
        };
        if let Err(error) = &known {
            self.note(peer, error);
        }
        known
    }

    fn by_token(&self, peer: &Peer, header: &HeaderValue) -> Result<Caller, Unauthenticated> {
        let text = token_of(header).ok_or(Unauthenticated::Header)?;
        let token = match &self.tokens {
            Some(tokens) => tokens.find(&text)?,
            None => return Err(TokenRefusal::Unknown.into()),
        };
        let (credential, address) = (Credential::Token(token.id), Some(peer.address));
        Ok(Caller { name: token.name, credential, grant: token.grant, address })
    }

    fn by_certificate(
        &self,
        peer: &Peer,
        certificate: &Arc<PeerCertificate>,
    ) -> Result<Caller, Unauthenticated> {
        if let Some(tls) = &self.tls {
            tls.check(certificate).map_err(|reason| Unauthenticated::Certificate { reason })?;
        }
        let identity = certificate.identity();
        Ok(Caller {
            name: Arc::clone(&identity.name),
            credential: Credential::Certificate(Arc::clone(certificate)),
            grant: Arc::clone(&identity.grant),
            address: Some(peer.address),
        })
    }

    fn note(&self, peer: &Peer, error: &Unauthenticated) {
        let certificate = peer.certificate.as_ref().and_then(|certificate| certificate.as_ref().ok());
        let kind = error.kind();
        self.refusals.note_caller(
            kind,
            &Refused {
                kind: kind.name(),
                caller: certificate.map(|certificate| &*certificate.identity().name),
                credential: certificate.map(|_| "certificate"),
                address: Some(peer.address),
                reason: &error.to_string(),
            },
        );
    }
}

/// The token in a header: `Bearer TOKEN`, or `Basic` with the token as the password, as clients of Flight SQL and browsers
/// send it. The name of the user does not matter: the token knows whose it is.
fn token_of(header: &HeaderValue) -> Option<String> {
    let text = header.to_str().ok().filter(|text| text.len() <= HEADER_BYTES_MAX)?;
    let (scheme, value) = text.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        return decoded.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tapebook_vfs::{MemoryVfs, Vfs};

    use super::super::{Grant, Right, Role, TokenStore};
    use super::*;

    fn peer() -> Peer {
        Peer { address: "192.0.2.1:9".parse().unwrap(), certificate: None }
    }

    fn header(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    fn access_and_token() -> (Access, Arc<TokenStore>, String) {
        let vfs = MemoryVfs::new(3);
        vfs.create_dir_all(Path::new("/db")).unwrap();
        let tokens = Arc::new(TokenStore::open(Arc::new(vfs), "/db").unwrap());
        let text = tokens.create("board", Grant::new(Role::Read, []).unwrap(), None).unwrap();
        (Access::required(Arc::clone(&tokens), None), tokens, text.reveal().to_owned())
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_password() {
        let (access, _, token) = access_and_token();
        let basic = STANDARD.encode(format!("anybody:{token}"));
        for text in [format!("Bearer {token}"), format!("bearer  {token}"), format!("Basic {basic}")] {
            let caller = access.authenticate(&peer(), Some(&header(&text))).unwrap();
            assert_eq!((&*caller.name, caller.grant.role), ("board", Role::Read));
        }
    }

    #[test]
    fn anything_else_is_refused_and_counted_without_its_text() {
        let (access, _, token) = access_and_token();
        let wrong = token.replace(|c: char| c.is_ascii_digit(), "0");
        for (text, kind) in [
            (None, RefusalKind::Credential),
            (Some(token.clone()), RefusalKind::Token),
            (Some(format!("Digest {token}")), RefusalKind::Token),
            (Some(format!("Bearer {wrong}")), RefusalKind::Token),
            (Some("Basic !!".to_owned()), RefusalKind::Token),
            (Some(format!("Bearer {}", "x".repeat(5_000))), RefusalKind::Token),
        ] {
            let before = access.refusals().count(kind);
            let header = text.as_deref().map(header);
            let error = access.authenticate(&peer(), header.as_ref()).unwrap_err();
            assert!(!error.to_string().contains(&token[4..20]), "{error}");
            assert_eq!(access.refusals().count(kind), before + 1, "{error}");
        }
    }

    #[test]
    fn a_revoked_token_ends_what_it_began() {
        let (access, tokens, token) = access_and_token();
        let caller = access.authenticate(&peer(), Some(&header(&format!("Bearer {token}")))).unwrap();
        assert_eq!(access.authorize(&caller, Right::Read, Some("trades")), Ok(()));
        let denied = access.authorize(&caller, Right::Write, Some("trades")).unwrap_err();
        assert_eq!(denied.to_string(), "board may not write table trades");
        tokens.revoke("board").unwrap();
        let denied = access.authorize(&caller, Right::Read, Some("trades")).unwrap_err();
        assert_eq!(
            denied.to_string(),
            "board may not read table trades any more: the token is unknown or was revoked"
        );
        assert_eq!(access.refusals().count(RefusalKind::Right), 2);
    }
}
