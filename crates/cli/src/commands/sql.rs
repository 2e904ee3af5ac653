//! `tapebook sql`: one query, a file of statements, what comes through a pipe, or the interactive shell.

#![allow(clippy::disallowed_methods, reason = "reads the user's own file of statements")]

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::args::Shared;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::OutputArgs;
use crate::remote::RemoteArgs;
use crate::sql::{Runner, Shell};

/// Files of statements may have this many bytes.
const SCRIPT_BYTES_MAX: u64 = 64 << 20;

/// Arguments of `tapebook sql`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without QUERY and --file, statements come from standard input; on a terminal that is a shell \
                        with history and completion, where \\? lists its commands."
)]
pub(crate) struct SqlArgs {
    /// The query
    #[arg(conflicts_with = "file")]
    query: Option<String>,
    /// Runs the statements of this file, separated by semicolons
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run(shared: &Shared, args: &SqlArgs) -> Result<(), CliError> {
    args.output.check()?;
    let text = match (&args.query, &args.file) {
        (Some(query), _) => Some(query.clone()),
        (None, Some(file)) => Some(read_script(file)?),
        (None, None) => None,
    };
    let (runner, place) = match args.remote.options()? {
        Some(options) => {
            let place = args.remote.url.clone().unwrap_or_default();
            (Runner::connect(options, Interrupt::install()?)?, place)
        }
        None => {
            let dir = shared.data_dir();
            let db = Arc::new(dir.open_existing()?);
            (Runner::new(db, Interrupt::install()?)?, dir.path().display().to_string())
        }
    };
    let mut shell = Shell::new(&runner, &args.output, shared.quiet);
    match text {
        Some(text) => shell.run_text(&text),
        None if io::stdin().is_terminal() && io::stdout().is_terminal() => {
            shared.log(format!("tapebook {}, {place}; \\? shows help", env!("CARGO_PKG_VERSION")));
            shell.run_interactive()
        }
        None => shell.run_input(io::stdin().lock()),
    }
}

fn read_script(path: &Path) -> Result<String, CliError> {
    let fail = |reason: &dyn std::fmt::Display| {
        CliError::failed(format!("{}: cannot read: {reason}; name a file of SQL statements", path.display()))
    };
    let bytes = std::fs::metadata(path).map_err(|error| fail(&error))?.len();
    if bytes > SCRIPT_BYTES_MAX {
        return Err(fail(&format!("it has {bytes} bytes, {SCRIPT_BYTES_MAX} are possible")));
    }
    std::fs::read_to_string(path).map_err(|error| fail(&error))
}
