//! A certificate for people to look at.

use std::net::IpAddr;

use super::CertificateIdentity;
use super::x509::{AlternativeName, Certificate};
use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// A certificate for people to look at. Nothing of it is proven.
#[derive(Clone, Debug)]
pub struct CertificateSummary {
    /// The common name.
    pub name: String,
    /// What it lets its owner do, or why it lets nobody in.
    pub allows: String,
    /// Names and addresses of the server that it is for.
    pub hosts: Vec<String>,
    /// The common name of the issuer.
    pub issuer: String,
    /// The first second of its time, since the epoch.
    pub not_before: i64,
    /// The last one.
    pub not_after: i64,
    /// The serial number.
    pub serial: Vec<u8>,
    /// SHA-256 of all of it.
    pub fingerprint: Vec<u8>,
}

impl CertificateSummary {
    /// Reads the first certificate of a PEM text; `None` where there is none.
    pub fn read(pem: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let certificate = Certificate::read(&der)?;
        let allows = match CertificateIdentity::read(&der) {
            Ok(identity) => identity.grant.to_string(),
            Err(_) if certificate.is_authority => "signs certificates of others".to_owned(),
            Err(error) => format!("nothing: {error}"),
        };
        Some(Self {
            name: certificate.common_names().join(", "),
            allows,
            hosts: certificate.alternatives.iter().filter_map(host).collect(),
            issuer: certificate.issuer_names().join(", "),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            serial: certificate.serial.to_vec(),
            fingerprint: digest(&SHA256, &der).as_ref().to_vec(),
        })
    }
}

fn host(name: &AlternativeName<'_>) -> Option<String> {
    match name {
        AlternativeName::Dns(name) => Some((*name).to_owned()),
        AlternativeName::Address(bytes) => match **bytes {
            [a, b, c, d] => Some(IpAddr::from([a, b, c, d]).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        AlternativeName::Uri(_) | AlternativeName::Other => None,
    }
}
