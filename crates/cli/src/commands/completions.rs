//! `tapebook completions`: the script that lets a shell complete commands and options.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::error::{CliError, stdout_error};

/// Arguments of `tapebook completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "bash: source <(tapebook completions bash)\nfish: tapebook completions fish | source")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), CliError> {
    // Generated in memory first: the generator panics where a pipe closes.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "tapebook", &mut script);
    io::stdout().write_all(&script).map_err(|error| stdout_error(&error))
}
