//! `tapebook cert`: a CA for development and for installations that have no other, and its certificates.

#![allow(clippy::disallowed_methods, reason = "reads and writes the user's own files")]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tapebook_server::access::{Grant, Role};
use tapebook_server::tls::{Authority, CertificateSummary, Issued, Subject};

use crate::args::Shared;
use crate::clock::unix_nanos;
use crate::error::{CliError, stdout_error};
use crate::text::rfc3339;

const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const CA_REVOKED: &str = "ca.crl";
const FILE_BYTES_MAX: u64 = 16 << 20;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Arguments of `tapebook cert`.
#[derive(Debug, clap::Args)]
pub(crate) struct CertArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Makes a CA: ca.crt, its key ca.key, and ca.crl, the list of what it has revoked
    Init {
        /// Where to
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// How long it is good
        #[arg(long, value_name = "N", default_value_t = 3650)]
        days: u32,
    },
    /// Makes a certificate and its key beside the CA
    Issue(IssueArgs),
    /// Adds certificates to the list of what the CA has revoked, which servers read again by themselves
    Revoke {
        /// The directory of the CA
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// The certificates
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// How long the list is good
        #[arg(long, value_name = "N", default_value_t = 3650)]
        days: u32,
    },
    /// Shows whose certificate it is and what it allows
    Show {
        /// The certificate
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["node", "client"]))]
struct IssueArgs {
    /// The directory of the CA
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// For the server with this id: node-N.crt, node-N.key
    #[arg(long, value_name = "N", requires = "host")]
    node: Option<u64>,
    /// The names and addresses under which clients reach the server
    #[arg(long, value_name = "HOST", num_args = 1.., requires = "node")]
    host: Vec<String>,
    /// For a client: NAME.crt, NAME.key
    #[arg(long, value_name = "NAME", requires = "role")]
    client: Option<String>,
    /// What the client may do: read, write or admin
    #[arg(long, value_name = "ROLE", requires = "client")]
    role: Option<Role>,
    /// Only with this table; may be given several times
    #[arg(long, value_name = "TABLE", requires = "client")]
    table: Vec<String>,
    /// How long it is good
    #[arg(long, value_name = "N", default_value_t = 825)]
    days: u32,
}

pub(crate) fn run(shared: &Shared, args: &CertArgs) -> Result<(), CliError> {
    match &args.action {
        Action::Init { dir, days } => init(shared, dir, *days),
        Action::Issue(args) => issue(shared, args),
        Action::Revoke { dir, files, days } => revoke(shared, dir, files, *days),
        Action::Show { file } => show(file),
    }
}

fn init(shared: &Shared, dir: &Path, days: u32) -> Result<(), CliError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| cannot("make", dir, &error))?;
    let (authority, issued) = Authority::create(now(), days).map_err(CliError::failed)?;
    let list = authority.revoke(None, &[], now(), days).map_err(CliError::failed)?;
    let (certificate, key, revoked) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY), dir.join(CA_REVOKED));
    must_be_new(&[&certificate, &key, &revoked])?;
    write_pair(&certificate, &key, &issued)?;
    create(&revoked, &list, 0o644)?;
    shared.log(format!(
        "{}: a CA for {days} days; whoever has {} can let anybody in",
        certificate.display(),
        key.display()
    ));
    Ok(())
}

fn issue(shared: &Shared, args: &IssueArgs) -> Result<(), CliError> {
    let (name, subject) = match (&args.client, args.node) {
        (Some(name), _) => {
            let role = args.role.unwrap_or(Role::Read);
            let grant = Grant::new(role, args.table.iter().cloned()).map_err(CliError::usage)?;
            (name.clone(), Subject::Client { name: name.clone(), grant })
        }
        (None, node) => {
            let id = node.unwrap_or_default();
            (format!("node-{id}"), Subject::Node { id, hosts: args.host.clone() })
        }
    };
    let issued = authority(&args.dir)?.issue(&subject, now(), args.days).map_err(CliError::usage)?;
    let (certificate, key) = (args.dir.join(format!("{name}.crt")), args.dir.join(format!("{name}.key")));
    must_be_new(&[&certificate, &key])?;
    write_pair(&certificate, &key, &issued)?;
    shared.log(format!("{} and {}: good for {} days", certificate.display(), key.display(), args.days));
    Ok(())
}

fn revoke(shared: &Shared, dir: &Path, files: &[PathBuf], days: u32) -> Result<(), CliError> {
    let summaries = files.iter().map(|file| read_summary(file)).collect::<Result<Vec<_>, _>>()?;
    let serials: Vec<Vec<u8>> = summaries.iter().map(|summary| summary.serial.clone()).collect();
    let path = dir.join(CA_REVOKED);
    let before = read(&path)?;
    let list = authority(dir)?.revoke(Some(&before), &serials, now(), days);
    let list = list.map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
    // A server may read it at any moment.
    let whole = tempfile::Builder::new().tempfile_in(dir).map_err(|error| cannot("write in", dir, &error))?;
    let written = whole.as_file().write_all(list.as_bytes()).and_then(|()| whole.as_file().sync_all());
    written.map_err(|error| cannot("write", whole.path(), &error))?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    whole.as_file().set_permissions(readable).map_err(|error| cannot("write", whole.path(), &error))?;
    whole.persist(&path).map_err(|error| cannot("replace", &path, &error.error))?;
    for (summary, file) in summaries.iter().zip(files) {
        shared.log(format!("{}: {} is revoked; {} has it", file.display(), summary.name, path.display()));
    }
    Ok(())
}

fn show(file: &Path) -> Result<(), CliError> {
    let summary = read_summary(file)?;
    let mut out = io::stdout().lock();
    let mut line =
        |name: &str, value: &str| writeln!(out, "{name:<12} {value}").map_err(|error| stdout_error(&error));
    line("name", &summary.name)?;
    line("allows", &summary.allows)?;
    line("hosts", &summary.hosts.join(", "))?;
    line("issuer", &summary.issuer)?;
    line("from", &rfc3339(summary.not_before.saturating_mul(NANOS_PER_SECOND)))?;
    line("to", &rfc3339(summary.not_after.saturating_mul(NANOS_PER_SECOND)))?;
    line("serial", &colons(&summary.serial))?;
    line("SHA-256", &colons(&summary.fingerprint))
}

fn read_summary(file: &Path) -> Result<CertificateSummary, CliError> {
    CertificateSummary::read(&read(file)?)
        .ok_or_else(|| CliError::failed(format!("{}: no certificate in PEM", file.display())))
}

fn authority(dir: &Path) -> Result<Authority, CliError> {
    let (certificate, key) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY));
    let absent = |error: CliError| match certificate.exists() {
        true => error,
        false => CliError::failed(format!(
            "{}: there is no CA; `tapebook cert init {}` makes one",
            certificate.display(),
            dir.display()
        )),
    };
    let (certificate, key) = (read(&certificate).map_err(absent)?, read(&key)?);
    Authority::load(&certificate, &key)
        .map_err(|error| CliError::failed(format!("{}: the CA cannot be used: {error}", dir.display())))
}

/// Refuses to write over a key: what it was for would be locked out.
fn must_be_new(paths: &[&Path]) -> Result<(), CliError> {
    match paths.iter().find(|path| path.exists()) {
        Some(path) => {
            let path = path.display();
            Err(CliError::failed(format!(
                "{path}: exists already; remove it, or choose another directory or name"
            )))
        }
        None => Ok(()),
    }
}

fn write_pair(certificate: &Path, key: &Path, issued: &Issued) -> Result<(), CliError> {
    create(key, &issued.key, 0o600)?;
    create(certificate, &issued.certificate, 0o644)
}

fn create(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| cannot("write", path, &error))
}

fn read(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| cannot("read", path, &error))?;
    Ok(text)
}

fn cannot(operation: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("{}: cannot {operation}: {error}", path.display()))
}

fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Seconds since the epoch.
fn now() -> i64 {
    unix_nanos() / NANOS_PER_SECOND
}
