//! A certificate authority for development and for installations that have no other.
//!
//! It writes what [`CertificateIdentity`](super::CertificateIdentity) reads. Keys are ECDSA on P-256, because every client knows it.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType,
    SerialNumber,
};
use ring::digest::{SHA256, digest};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use super::identity::{ROLE_URI, TABLE_URI};
use super::x509::{Certificate, RevocationList};
use crate::access::{Grant, NameError, Role, check_name};

/// How the name of an authority begins; a mark of its key follows.
const AUTHORITY_NAME: &str = "Tapebook CA ";
/// A certificate begins so long before it was made, for clocks that are behind.
const CLOCK_ALLOWANCE: Duration = Duration::hours(1);

/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A client cannot be a node.
    #[error("the role node is for certificates of nodes; a client has read, write or admin")]
    NodeRole,
    /// A node without a host would be trusted by nobody.
    #[error("a node needs the names or addresses under which clients reach it")]
    NoHost,
    /// The time is out of range.
    #[error("the days of a certificate are out of range")]
    Days,
    /// Its certificate is none of ours.
    #[error("its certificate was not made by `tapebook cert init`; issue with the program that made it")]
    Foreign,
    /// The revocation list that there is cannot be read.
    #[error("the revocation list cannot be read")]
    RevocationList,
    /// The library's answer: a host that is none, a key that is none.
    #[error(transparent)]
    Library(#[from] rcgen::Error),
}

/// Whom a certificate is for.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A server.
    Node {
        /// Its id; it is called `node-ID`.
        id: u64,
        /// Names and addresses under which clients reach it.
        hosts: Vec<String>,
    },
    /// A client.
    Client {
        /// What it is called.
        name: String,
        /// What it may do.
        grant: Grant,
    },
}

/// A certificate and its private key, in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority, good for so many days from now (seconds since the epoch).
    pub fn create(now: i64, days: u32) -> Result<(Self, Issued), AuthorityError> {
        let key = KeyPair::generate()?;
        // Two authorities of one name could not be trusted side by side: their lists would be taken for each other's.
        let digest = digest(&SHA256, key.public_key_raw());
        let mark: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let params = authority(&format!("{AUTHORITY_NAME}{mark}"), now, days)?;
        let issued = Issued { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() };
        Ok((Self { issuer: Issuer::new(params, key) }, issued))
    }

    /// The authority whose certificate and key these are.
    pub fn load(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let der =
            CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| AuthorityError::Foreign)?;
        let names = Certificate::read(&der).ok_or(AuthorityError::Foreign)?.common_names();
        let [name] = names[..] else { return Err(AuthorityError::Foreign) };
        if !name.starts_with(AUTHORITY_NAME) {
            return Err(AuthorityError::Foreign);
        }
        // Its name and its key are all that it takes to sign; its own time is none of that.
        Ok(Self { issuer: Issuer::new(authority(name, 0, 0)?, KeyPair::from_pem(key)?) })
    }

    /// A certificate for somebody, good for so many days from now (seconds since the epoch).
    pub fn issue(&self, subject: &Subject, now: i64, days: u32) -> Result<Issued, AuthorityError> {
        let mut params = match subject {
            Subject::Node { id, hosts } => node(*id, hosts, now, days)?,
            Subject::Client { name, grant } => client(name, grant, now, days)?,
        };
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// A list, in PEM, of what `before` has and of these serial numbers besides.
    pub fn revoke(
        &self,
        before: Option<&str>,
        serials: &[Vec<u8>],
        now: i64,
        days: u32,
    ) -> Result<String, AuthorityError> {
        let (number, mut revoked) = before.map_or(Ok((0, Vec::new())), read_list)?;
        for serial in serials {
            if !revoked.contains(serial) {
                revoked.push(serial.clone());
            }
        }
        let now = moment(now)?;
        let revoked = revoked.into_iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial),
            revocation_time: now,
            reason_code: Some(RevocationReason::Unspecified),
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: after(now, days)?,
            crl_number: SerialNumber::from_slice(&(number + 1).to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

fn authority(name: &str, now: i64, days: u32) -> Result<CertificateParams, AuthorityError> {
    let mut params = params(name, now, days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn node(id: u64, hosts: &[String], now: i64, days: u32) -> Result<CertificateParams, AuthorityError> {
    if hosts.is_empty() {
        return Err(AuthorityError::NoHost);
    }
    let mut params = params(&format!("node-{id}"), now, days)?;
    params.subject_alt_names = CertificateParams::new(hosts)?.subject_alt_names;
    params.subject_alt_names.push(uri(ROLE_URI, Role::Node.name())?);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn client(name: &str, grant: &Grant, now: i64, days: u32) -> Result<CertificateParams, AuthorityError> {
    check_name(name)?;
    if grant.role == Role::Node {
        return Err(AuthorityError::NodeRole);
    }
    let mut params = params(name, now, days)?;
    params.subject_alt_names.push(uri(ROLE_URI, grant.role.name())?);
    for table in grant.tables.iter().flatten() {
        params.subject_alt_names.push(uri(TABLE_URI, table)?);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn params(name: &str, now: i64, days: u32) -> Result<CertificateParams, AuthorityError> {
    let now = moment(now)?;
    let mut params = CertificateParams::default();
    params.not_before = now.checked_sub(CLOCK_ALLOWANCE).ok_or(AuthorityError::Days)?;
    params.not_after = after(now, days)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn uri(begin: &str, rest: &str) -> Result<SanType, AuthorityError> {
    Ok(SanType::URI(format!("{begin}{rest}").try_into()?))
}

fn moment(seconds: i64) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::Days)
}

fn after(now: OffsetDateTime, days: u32) -> Result<OffsetDateTime, AuthorityError> {
    now.checked_add(Duration::days(i64::from(days))).ok_or(AuthorityError::Days)
}

/// Number and serial numbers of a list in PEM.
fn read_list(pem: &str) -> Result<(u64, Vec<Vec<u8>>), AuthorityError> {
    let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| AuthorityError::RevocationList)?;
    let list = RevocationList::read(&der).ok_or(AuthorityError::RevocationList)?;
    Ok((list.number, list.serials.into_iter().map(<[u8]>::to_vec).collect()))
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::CertificateDer;

    use super::super::{CertificateIdentity, IdentityError};
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn identity(issued: &Issued) -> Result<CertificateIdentity, IdentityError> {
        CertificateIdentity::read(&CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_issued_says_who_its_owner_is() {
        let (authority, files) = Authority::create(NOW, 10).unwrap();
        let loaded = Authority::load(&files.certificate, &files.key).unwrap();
        for authority in [authority, loaded] {
            let grant = Grant::new(Role::Write, ["quotes".to_owned(), "trades".to_owned()]).unwrap();
            let subject = Subject::Client { name: "feed-1".to_owned(), grant: grant.clone() };
            let client = identity(&authority.issue(&subject, NOW, 3).unwrap()).unwrap();
            assert_eq!((&*client.name, &*client.grant), ("feed-1", &grant));
            assert_eq!(client.not_after, NOW + 3 * 86_400);
            let subject = Subject::Node { id: 7, hosts: vec!["localhost".to_owned(), "::1".to_owned()] };
            let node = identity(&authority.issue(&subject, NOW, 3).unwrap()).unwrap();
            assert_eq!((&*node.name, node.grant.role), ("node-7", Role::Node));
        }
        // The authority itself is nobody who may call: its name has spaces.
        assert!(matches!(identity(&files).unwrap_err(), IdentityError::Name(_)));
    }

    #[test]
    fn nobody_gets_a_certificate_that_would_not_do() {
        let (authority, _) = Authority::create(NOW, 10).unwrap();
        let client = |name: &str, role| Subject::Client {
            name: name.to_owned(),
            grant: Grant::new(role, []).unwrap(),
        };
        assert!(matches!(authority.issue(&client("a b", Role::Read), NOW, 1), Err(AuthorityError::Name(_))));
        assert!(matches!(authority.issue(&client("n", Role::Node), NOW, 1), Err(AuthorityError::NodeRole)));
        let node = Subject::Node { id: 1, hosts: Vec::new() };
        assert!(matches!(authority.issue(&node, NOW, 1), Err(AuthorityError::NoHost)));
    }

    #[test]
    fn a_list_keeps_what_was_revoked_before() {
        let (authority, _) = Authority::create(NOW, 10).unwrap();
        let first = authority.revoke(None, &[vec![1, 2]], NOW, 10).unwrap();
        let second = authority.revoke(Some(&first), &[vec![3], vec![1, 2]], NOW, 10).unwrap();
        assert_eq!(read_list(&second).unwrap(), (2, vec![vec![1, 2], vec![3]]));
        assert!(matches!(authority.revoke(Some("x"), &[], NOW, 1), Err(AuthorityError::RevocationList)));
    }
}
