//! `tapebook token`: access tokens, of a server or in a data directory that no server has open.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tapebook_proto::v1;
use tapebook_server::access::{Grant, Role, TokenError, TokenStore};

use crate::args::Shared;
use crate::clock::unix_nanos;
use crate::commands::backup::parse_time;
use crate::error::{CliError, stdout_error};
use crate::remote::RemoteArgs;
use crate::text::rfc3339;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Arguments of `tapebook token`.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Makes a token and prints it, once: only its hash is kept
    Create(CreateArgs),
    /// Shows all tokens and what they allow
    List {
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Ends a token; who is connected with it is cut off within a second
    Revoke {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// What its owner is called, in the audit log and elsewhere
    #[arg(value_name = "NAME")]
    name: String,
    /// What its owner may do: read, write or admin
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Only with this table; may be given several times
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
    /// Until when it is good [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "days")]
    expires: Option<i64>,
    /// For how many days it is good
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run(shared: &Shared, args: &TokenArgs) -> Result<(), CliError> {
    match &args.action {
        Action::Create(args) => create(shared, args),
        Action::List { remote } => list(shared, remote),
        Action::Revoke { name, remote } => revoke(shared, name, remote),
    }
}

fn create(shared: &Shared, args: &CreateArgs) -> Result<(), CliError> {
    if args.role == Role::Node {
        return Err(CliError::usage(
            "a node is known by its certificate; a token has the role read, write or admin",
        ));
    }
    let grant = Grant::new(args.role, args.table.iter().cloned()).map_err(CliError::usage)?;
    let after_days = |days| unix_nanos().saturating_add(nanos(DAY * days));
    let expires_at = args.expires.or(args.days.map(after_days));
    let request = v1::CreateTokenRequest {
        name: args.name.clone(),
        grant: Some(v1::Grant { role: v1::Role::from(args.role).into(), tables: args.table.clone() }),
        expires_at: expires_at.unwrap_or(0),
    };
    let text = match args.remote.administer(async |mut admin| admin.create_token(request).await)? {
        Some(text) => text,
        None => with_store(shared, |store| {
            store.create(&args.name, grant, expires_at).map(|text| text.reveal().to_owned())
        })?,
    };
    writeln!(io::stdout(), "{text}").map_err(|error| stdout_error(&error))?;
    shared.log(format!("token {}; it is not shown again", args.name));
    Ok(())
}

fn list(shared: &Shared, remote: &RemoteArgs) -> Result<(), CliError> {
    let lines = match remote.administer(async |mut admin| admin.list_tokens().await)? {
        Some(tokens) => tokens.into_iter().map(line_of_remote).collect::<Vec<_>>(),
        None => with_store(shared, |store| {
            let tokens = store.list();
            let lines = tokens
                .iter()
                .map(|token| line(&token.name, &token.grant.to_string(), token.created_at, token.expires_at));
            Ok::<_, TokenError>(lines.collect())
        })?,
    };
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}").map_err(|error| stdout_error(&error))?;
    }
    Ok(())
}

fn revoke(shared: &Shared, name: &str, remote: &RemoteArgs) -> Result<(), CliError> {
    let asked = remote.administer(async |mut admin| admin.revoke_token(name).await)?;
    if asked.is_none() {
        with_store(shared, |store| store.revoke(name))?;
    }
    shared.log(format!("token {name} is revoked"));
    Ok(())
}

/// Does something with the tokens of the data directory, which is locked meanwhile.
fn with_store<T, E: std::fmt::Display>(
    shared: &Shared,
    act: impl FnOnce(&TokenStore) -> Result<T, E>,
) -> Result<T, CliError> {
    let db = shared.data_dir().open_existing()?;
    let store = TokenStore::open(Arc::clone(db.vfs()), db.layout().root()).map_err(CliError::failed)?;
    let acted = act(&store).map_err(CliError::failed);
    db.close().map_err(CliError::failed)?;
    acted
}

fn line_of_remote(token: v1::Token) -> String {
    let grant = token.grant.unwrap_or_default();
    let role = format!("{:?}", grant.role()).to_ascii_lowercase();
    let allows = match grant.tables.is_empty() {
        true => role,
        false => format!("{role} of {}", grant.tables.join(", ")),
    };
    line(&token.name, &allows, token.created_at, Some(token.expires_at).filter(|at| *at != 0))
}

fn line(name: &str, allows: &str, created_at: i64, expires_at: Option<i64>) -> String {
    let expires = expires_at.map_or("never".to_owned(), rfc3339);
    format!("{name}  {allows}  made {}  expires {expires}", rfc3339(created_at))
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
