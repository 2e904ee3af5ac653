//! How a server is started.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tapebook::Durability;

use crate::Limits;
use crate::access::AuditOptions;
use crate::cluster::ClusterOptions;
use crate::tls::TlsFiles;

/// The name of the audit log in the data directory.
const AUDIT_NAME: &str = "audit.jsonl";

/// How a server is started.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The data directory.
    pub data: PathBuf,
    /// How the database is opened.
    pub database: tapebook::Options,
    /// Where gRPC is; `None`: nowhere. Default 127.0.0.1:7700.
    pub listen: Option<SocketAddr>,
    /// Where HTTP is; `None`: nowhere. Default 127.0.0.1:7701.
    pub http_listen: Option<SocketAddr>,
    /// The certificates; `None` (the default): no TLS.
    pub tls: Option<TlsFiles>,
    /// How often the files of the certificates are looked at. Default 10 s.
    pub tls_reload_every: Duration,
    /// Whether callers must say who they are.
    pub authentication: Authentication,
    /// True: listens on any address, with or without TLS and authentication.
    pub insecure: bool,
    /// Where the audit log lies. Default `audit.jsonl` in the data directory.
    pub audit: AuditOptions,
    /// The names besides `localhost` and addresses by which the HTTP port may be called.
    pub http_hosts: Vec<String>,
    /// Bounds.
    pub limits: Limits,
    /// When a writer is answered that does not say when. Default: when the batch is durable.
    pub durability: Durability,
    /// How it takes part in a cluster.
    pub cluster: ClusterOptions,
}

/// Whether callers must say who they are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Authentication {
    /// With TLS they must, without they need not.
    #[default]
    WithTls,
    /// They must.
    Required,
    /// They need not; everyone may do everything.
    Off,
}

/// The server would listen to strangers without a lock on the door.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{address} is not a loopback address, and {missing} missing there: give the server certificates (tls_cert, tls_key, tls_ca), \
     or say insecure = true where the network itself keeps strangers out"
)]
pub struct Exposed {
    /// The address.
    pub address: SocketAddr,
    /// What is missing, with its verb.
    pub missing: &'static str,
}

impl ServerOptions {
    /// The defaults for a data directory: loopback, without TLS.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        Self {
            audit: AuditOptions::new(data.join(AUDIT_NAME)),
            data,
            database: tapebook::Options::default(),
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 7700))),
            http_listen: Some(SocketAddr::from(([127, 0, 0, 1], 7701))),
            tls: None,
            tls_reload_every: Duration::from_secs(10),
            authentication: Authentication::default(),
            insecure: false,
            http_hosts: Vec::new(),
            limits: Limits::default(),
            durability: Durability::Synced,
            cluster: ClusterOptions::default(),
        }
    }

    /// True where callers must say who they are.
    pub fn authenticates(&self) -> bool {
        match self.authentication {
            Authentication::WithTls => self.tls.is_some(),
            Authentication::Required => true,
            Authentication::Off => false,
        }
    }

    /// Refuses an address where strangers could come, without TLS and authentication.
    pub fn check_exposure(&self) -> Result<(), Exposed> {
        let missing = match (self.tls.is_some(), self.authenticates()) {
            (true, true) => return Ok(()),
            (false, true) => "TLS is",
            (true, false) => "authentication is",
            (false, false) => "TLS and authentication are",
        };
        let addresses = [self.listen, self.http_listen];
        match addresses.into_iter().flatten().find(|address| !address.ip().is_loopback()) {
            Some(address) if !self.insecure => Err(Exposed { address, missing }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(listen: &str, tls: bool, authentication: Authentication, insecure: bool) -> ServerOptions {
        let files = TlsFiles { certificate: "c".into(), key: "k".into(), ca: None, revoked: None };
        ServerOptions {
            http_listen: Some(listen.parse().unwrap()),
            tls: tls.then_some(files),
            authentication,
            insecure,
            ..ServerOptions::new("db")
        }
    }

    #[test]
    fn strangers_find_no_open_door() {
        use Authentication::{Off, Required, WithTls};
        let missing = |tls, authentication, insecure| {
            let exposed = options("0.0.0.0:1", tls, authentication, insecure).check_exposure();
            exposed.map_err(|exposed| exposed.missing)
        };
        assert_eq!(missing(false, WithTls, false), Err("TLS and authentication are"));
        assert_eq!(missing(false, Off, false), Err("TLS and authentication are"));
        assert_eq!(missing(false, Required, false), Err("TLS is"));
        assert_eq!(missing(true, Off, false), Err("authentication is"));
        assert_eq!(missing(true, WithTls, false), Ok(()));
        assert_eq!(missing(true, Required, false), Ok(()));
        assert_eq!(missing(false, Off, true), Ok(()));
        for loopback in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
            assert_eq!(options(loopback, false, Off, false).check_exposure(), Ok(()));
        }
        for strangers in ["10.0.0.1:1", "[::]:1", "[fe80::1]:1"] {
            assert!(options(strangers, false, Off, false).check_exposure().is_err());
        }
    }
}
