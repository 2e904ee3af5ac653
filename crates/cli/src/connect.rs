//! A connection to the server that the user named.

use tapebook_client::{Client, ClientOptions};
use tokio::runtime::{Builder, Runtime};

use crate::error::CliError;
use crate::remote::RemoteArgs;

/// How the server is reached, for a command that is of no use without one.
pub(crate) fn required(remote: &RemoteArgs) -> Result<ClientOptions, CliError> {
    remote.options()?.ok_or_else(|| CliError::usage("which server? name it with --url"))
}

/// A connection, and the runtime that it lives in.
pub(crate) fn connect(options: ClientOptions) -> Result<(Runtime, Client), CliError> {
    let runtime = runtime()?;
    let client = runtime.block_on(Client::connect(options)).map_err(CliError::failed)?;
    Ok((runtime, client))
}

/// Where connections live.
pub(crate) fn runtime() -> Result<Runtime, CliError> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| CliError::failed(format!("cannot start the network's threads: {error}")))
}
