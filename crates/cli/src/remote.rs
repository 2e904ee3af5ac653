//! The server that the user named, and how it is reached.

use std::path::PathBuf;

use tapebook_client::{Address, Admin, Client, ClientError, ClientOptions, Tls};

use crate::connect;
use crate::error::CliError;

/// Where a server is, and who calls.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RemoteArgs {
    /// The server: grpc://HOST:PORT, or with TLS grpcs://HOST:PORT[,HOST:PORT…]
    #[arg(long, value_name = "URL", env = "TAPEBOOK_URL")]
    pub url: Option<String>,
    /// The certificates of the authorities that servers are vouched for by
    #[arg(long, value_name = "FILE", env = "TAPEBOOK_TLS_CA")]
    pub tls_ca: Option<PathBuf>,
    /// The client's own certificate
    #[arg(long, value_name = "FILE", env = "TAPEBOOK_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", env = "TAPEBOOK_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// An access token; better in the environment, where others do not see it
    #[arg(long, value_name = "TOKEN", env = "TAPEBOOK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

impl RemoteArgs {
    /// How the server is reached; `None` where none was named.
    pub(crate) fn options(&self) -> Result<Option<ClientOptions>, CliError> {
        let Some(url) = self.url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let mut options = ClientOptions::from_url(url).map_err(CliError::usage)?;
        match (&mut options.tls, &self.tls_ca) {
            (Some(_), None) => {
                return Err(CliError::usage(
                    "grpcs:// needs --tls-ca, the authority that the server is vouched for by",
                ));
            }
            (None, Some(_)) => {
                return Err(CliError::usage("--tls-ca is for grpcs://; this URL asks for no TLS"));
            }
            (Some(tls), Some(ca)) => {
                let own = self.tls_cert.as_deref().zip(self.tls_key.as_deref());
                *tls = Tls::from_files(ca, own).map_err(CliError::failed)?;
            }
            (None, None) => {}
        }
        options.token = self.token.clone().filter(|token| !token.is_empty());
        if options.token.is_some()
            && options.tls.is_none()
            && !options.addresses.iter().all(Address::is_loopback)
        {
            return Err(CliError::usage(format!(
                "{url}: a token would cross the network in clear; use grpcs:// and --tls-ca"
            )));
        }
        Ok(Some(options))
    }

    /// Asks the server for one administrative action; `None` where none was named.
    pub(crate) fn administer<T>(
        &self,
        ask: impl AsyncFnOnce(Admin) -> Result<T, ClientError>,
    ) -> Result<Option<T>, CliError> {
        let Some(options) = self.options()? else { return Ok(None) };
        let asked = connect::runtime()?.block_on(async {
            let client = Client::connect(options).await?;
            ask(client.admin().await?).await
        });
        asked.map(Some).map_err(CliError::failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_cross_the_network_in_clear() {
        let args = |url: &str| RemoteArgs {
            url: Some(url.to_owned()),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            token: Some("tbk_x".to_owned()),
        };
        for local in ["grpc://127.0.0.1:7700", "grpc://localhost:1", "grpc://[::1]:1,127.0.0.1:2"] {
            assert!(args(local).options().is_ok(), "{local}");
        }
        for far in [
            "grpc://10.0.0.1:7700",
            "grpc://db:1",
            "grpc://127.0.0.1:1,db:1",
            "grpc://localhost.evil:1",
            "grpc://127.evil:1",
        ] {
            assert!(args(far).options().is_err(), "{far}");
        }
    }
}
