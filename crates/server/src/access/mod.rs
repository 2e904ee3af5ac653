//! Who comes, and what they may do.
//!
//! A [`Caller`] is known by a client certificate, whose name says its role, or by a token. It is put into the extensions of
//! every request before a service sees it; every service asks [`Access`] before it does anything, and again while a stream
//! goes on, so that a revoked token or certificate ends what it began.
//!
//! *Invariant*: nothing here prints, logs or stores a secret. A token is kept as its hash; a refusal says which kind of
//! credential was not good, never what it was.

mod audit;
mod audit_file;
mod authenticate;
mod caller;
mod grant;
mod name;
mod refusals;
mod token;
mod token_file;
mod token_store;

use std::sync::Arc;

pub use audit::{AuditError, AuditLog};
pub use audit_file::AuditOptions;
pub use authenticate::{Peer, Unauthenticated};
pub use caller::{Caller, Credential};
pub use grant::{Grant, GrantError, Right, Role};
pub use name::{NameError, check_name};
pub use refusals::{RefusalKind, Refusals};
pub use token::{Token, TokenText};
pub use token_file::{TOKENS_NAME, TokenFileError};
pub use token_store::{TokenError, TokenRefusal, TokenStore};

use crate::access::audit::Refused;
use crate::tls::Tls;

/// Decides.
#[derive(Debug, Default)]
pub struct Access {
    /// True where nobody has to say who they are: everyone may do everything.
    open: bool,
    tokens: Option<Arc<TokenStore>>,
    tls: Option<Arc<Tls>>,
    refusals: Arc<Refusals>,
}

impl Access {
    /// Asks nobody who they are. For loopback, and where the operator insists.
    pub fn open() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// Asks everybody who they are: by one of these tokens, or by a certificate that `tls` finds good.
    pub fn required(tokens: Arc<TokenStore>, tls: Option<Arc<Tls>>) -> Self {
        Self { open: false, tokens: Some(tokens), tls, ..Self::default() }
    }

    /// Asks everybody for a certificate that `tls` finds good. For a node that has no data directory yet, hence no tokens.
    pub fn certificates(tls: Option<Arc<Tls>>) -> Self {
        Self { open: false, tls, ..Self::default() }
    }

    /// The same, telling of what it refuses.
    pub fn telling(self, refusals: Arc<Refusals>) -> Self {
        Self { refusals, ..self }
    }

    /// What was refused, here and before anybody was asked.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Says whether a caller may do something, with a table where it is about one; in a long stream again at least every
    /// second. A refusal is counted and stands in the audit log.
    pub fn authorize(&self, caller: &Caller, right: Right, table: Option<&str>) -> Result<(), Denied> {
        let reason = match self.stands(caller) {
            Ok(()) if self.open || caller.grant.allows(right, table) => return Ok(()),
            Ok(()) => None,
            Err(reason) => Some(reason),
        };
        let denied =
            Denied { caller: caller.name.to_string(), right, table: table.map(str::to_owned), reason };
        self.refusals.note_caller(
            RefusalKind::Right,
            &Refused {
                kind: RefusalKind::Right.name(),
                caller: Some(&caller.name),
                credential: Some(caller.credential.kind()),
                address: caller.address,
                reason: &denied.to_string(),
            },
        );
        Err(denied)
    }

    /// Says the same without a word to anybody: for choosing what to show, not for refusing.
    pub fn allows(&self, caller: &Caller, right: Right, table: Option<&str>) -> bool {
        self.stands(caller).is_ok() && (self.open || caller.grant.allows(right, table))
    }

    /// Says whether the credential that let a caller in still would.
    fn stands(&self, caller: &Caller) -> Result<(), String> {
        match &caller.credential {
            Credential::None => Ok(()),
            Credential::Token(id) => match &self.tokens {
                Some(tokens) => tokens.check(*id).map_err(|refusal| refusal.to_string()),
                None => Ok(()),
            },
            Credential::Certificate(certificate) => match &self.tls {
                Some(tls) => tls.check(certificate).map_err(|reason| format!("the certificate is {reason}")),
                None => Ok(()),
            },
        }
    }
}

/// A caller may not do that.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{caller} may not {right}{}{}", .table.as_ref().map(|table| format!(" table {table}")).unwrap_or_default(),
    .reason.as_ref().map(|reason| format!(" any more: {reason}")).unwrap_or_default())]
pub struct Denied {
    /// Who.
    pub caller: String,
    /// What.
    pub right: Right,
    /// With which table.
    pub table: Option<String>,
    /// Why the credential is good no longer, where it is not the role that lacks the right.
    pub reason: Option<String>,
}
