//! `tapebook config`: the settings of the server, each with where it comes from.

use std::io::{self, Write};

use crate::args::Shared;
use crate::error::{CliError, stdout_error};
use crate::settings::SettingArgs;

/// Arguments of `tapebook config`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Shows every setting that `serve` would have with the same flags; the output is a file of settings
    Show(Box<ShowArgs>),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    settings: SettingArgs,
}

pub(crate) fn run(shared: &Shared, args: &ConfigArgs) -> Result<(), CliError> {
    let Action::Show(args) = &args.action;
    let resolved = args.settings.resolve(shared)?;
    for warning in &resolved.warnings {
        shared.log(warning);
    }
    let mut out = io::stdout().lock();
    for (setting, value, origin) in resolved.all() {
        let line = format!("{} = {}", setting.key(), as_toml(&value));
        writeln!(out, "{line:<48} # {origin}").map_err(|error| stdout_error(&error))?;
    }
    Ok(())
}

/// A number or a switch as it is, everything else as a text.
fn as_toml(value: &str) -> String {
    if value.parse::<i64>().is_ok() || value.parse::<bool>().is_ok() {
        return value.to_owned();
    }
    toml::Value::String(value.to_owned()).to_string()
}
