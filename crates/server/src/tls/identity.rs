//! What a certificate says of its owner.
//!
//! The subject has one common name, the caller's. What the caller may do stands in the subject alternative names, as URIs:
//! `tapebook:role:ROLE` once, with the roles `read`, `write`, `admin` and `node`, and `tapebook:table:TABLE` for each
//! table where the role is for some tables only. A certificate of the same CA without a role is for something else and lets nobody in.

use std::sync::Arc;

use super::x509::{AlternativeName, Certificate};
use crate::access::{Grant, GrantError, NameError, Role, check_name};

/// Begins the URI of a role.
pub(super) const ROLE_URI: &str = "tapebook:role:";
/// Begins the URI of a table.
pub(super) const TABLE_URI: &str = "tapebook:table:";
const TABLES_MAX: usize = 1_000;

/// Who a certificate says its owner to be.
#[derive(Clone, Debug)]
pub struct CertificateIdentity {
    /// The common name.
    pub name: Arc<str>,
    /// What the role and the tables allow.
    pub grant: Arc<Grant>,
    /// The last second of its time, since the epoch.
    pub not_after: i64,
}

/// Why a certificate does not say who its owner is.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// It is no certificate.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// No common name, or several.
    #[error("the certificate has {found} common names, expected 1")]
    CommonName {
        /// How many.
        found: usize,
    },
    /// The common name is no name.
    #[error("the certificate's common name: {0}")]
    Name(#[from] NameError),
    /// No role, or several.
    #[error("the certificate of {name} names {found} roles (tapebook:role:…), expected 1")]
    Roles {
        /// Whose.
        name: String,
        /// How many.
        found: usize,
    },
    /// The role is none, or not one of tables.
    #[error("the certificate of {name}: {source}")]
    Grant {
        /// Whose.
        name: String,
        /// What is wrong.
        source: GrantError,
    },
}

impl CertificateIdentity {
    /// Reads a certificate in DER. That somebody trusted has signed it is not looked at here.
    pub fn read(der: &[u8]) -> Result<Self, IdentityError> {
        let certificate = Certificate::read(der).ok_or(IdentityError::Unreadable)?;
        let names = certificate.common_names();
        let [name] = names[..] else {
            return Err(IdentityError::CommonName { found: names.len() });
        };
        check_name(name)?;
        let uris = certificate.alternatives.iter().filter_map(|name| match name {
            AlternativeName::Uri(uri) => Some(*uri),
            _ => None,
        });
        let uris: Vec<&str> = uris.collect();
        Ok(Self {
            name: Arc::from(name),
            grant: Arc::new(grant_of(name, &uris)?),
            not_after: certificate.not_after,
        })
    }
}

fn grant_of(name: &str, uris: &[&str]) -> Result<Grant, IdentityError> {
    let fail = |source| IdentityError::Grant { name: name.to_owned(), source };
    let roles: Vec<&str> = uris.iter().filter_map(|uri| uri.strip_prefix(ROLE_URI)).collect();
    let [role] = roles[..] else {
        return Err(IdentityError::Roles { name: name.to_owned(), found: roles.len() });
    };
    let role: Role = role.parse().map_err(fail)?;
    let tables = uris.iter().filter_map(|uri| uri.strip_prefix(TABLE_URI)).map(str::to_owned);
    Grant::new(role, tables.take(TABLES_MAX)).map_err(fail)
}
