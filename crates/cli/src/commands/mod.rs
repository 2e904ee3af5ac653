//! One module per command; each turns its arguments into one call of `run`.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod cert;
pub(crate) mod checkpoint;
pub(crate) mod cluster;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod flush;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod retract;
pub(crate) mod serve;
pub(crate) mod sql;
pub(crate) mod tail;
pub(crate) mod token;
mod verify;

use crate::args::{Arguments, Command};
use crate::error::CliError;

/// Runs the command that the arguments name.
pub(crate) fn run(arguments: Arguments) -> Result<(), CliError> {
    let Arguments { shared, command } = arguments;
    match command {
        Command::Demo(args) => demo::run(&shared, &args),
        Command::Serve(args) => serve::run(&shared, &args),
        Command::Import(args) => import::run(&shared, &args),
        Command::Retract(args) => retract::run(&shared, &args),
        Command::Sql(args) => sql::run(&shared, &args),
        Command::Tail(args) => tail::run(&shared, &args),
        Command::Bench(args) => bench::run(&args),
        Command::Verify => verify::run(&shared),
        Command::Inspect(args) => inspect::run(&args),
        Command::Compact(args) => compact::run(&shared, &args),
        Command::Flush(args) => flush::run(&shared, &args),
        Command::Checkpoint(args) => checkpoint::run(&shared, &args),
        Command::Backup(args) => backup::run(&shared, &args),
        Command::Cluster(args) => cluster::run(&shared, &args),
        Command::Cert(args) => cert::run(&shared, &args),
        Command::Token(args) => token::run(&shared, &args),
        Command::Config(args) => config::run(&shared, &args),
        Command::Completions(args) => completions::run(&args),
    }
}
