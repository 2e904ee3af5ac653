//! A CA and its certificates, made by the command itself.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tapebook_client::{ClientOptions, Tls};

use crate::support::Ran;

/// Only what asks nodes who they are has this id; no cluster takes it in.
const OBSERVER: u64 = 1_000;

/// A directory with a CA.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    pub(crate) fn new(dir: PathBuf) -> Self {
        let certificates = Self { dir };
        certificates.make("init", &[]);
        certificates.make("issue", &["--client", "admin", "--role", "admin"]);
        certificates.make("issue", &["--client", "writer", "--role", "write"]);
        certificates.issue(OBSERVER, "observer");
        certificates
    }

    /// A certificate for a node that is reached at an address.
    pub(crate) fn issue_node(&self, node_id: u64, host: Ipv4Addr) {
        self.issue(node_id, &host.to_string());
    }

    fn issue(&self, node_id: u64, host: &str) {
        self.make("issue", &["--node", &node_id.to_string(), "--host", host]);
    }

    fn make(&self, action: &str, args: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapebook"));
        command.args(["cert", action]).arg(&self.dir).args(args);
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// The files that the holder of a certificate shows, as flags.
    fn flags(&self, name: &str) -> Vec<String> {
        let path = |file: &str| self.dir.join(file).display().to_string();
        let (certificate, key) = (path(&format!("{name}.crt")), path(&format!("{name}.key")));
        ["--tls-ca", &path("ca.crt"), "--tls-cert", &certificate, "--tls-key", &key].map(str::to_owned).into()
    }

    pub(crate) fn node_flags(&self, node_id: u64) -> Vec<String> {
        self.flags(&format!("node-{node_id}"))
    }

    pub(crate) fn admin_flags(&self) -> Vec<String> {
        self.flags("admin")
    }

    fn options(&self, name: &str, url: &str) -> ClientOptions {
        let path = |end: &str| self.dir.join(format!("{name}.{end}"));
        let own: (&Path, &Path) = (&path("crt"), &path("key"));
        let tls = Tls::from_files(&self.dir.join("ca.crt"), Some(own)).unwrap();
        ClientOptions::from_url(url).unwrap().tls(tls)
    }

    pub(crate) fn admin(&self, url: &str) -> ClientOptions {
        self.options("admin", url)
    }

    pub(crate) fn writer(&self, url: &str) -> ClientOptions {
        self.options("writer", url)
    }

    /// One that only nodes answer to: who they are.
    pub(crate) fn observer(&self, url: &str) -> ClientOptions {
        self.options(&format!("node-{OBSERVER}"), url)
    }
}
