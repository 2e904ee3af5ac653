//! The arguments that all commands share, and how wrong ones are refused.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use tapebook::RetentionOptions;

use crate::commands::{
    backup, bench, cert, checkpoint, cluster, compact, completions, config, demo, flush, import, inspect,
    retract, serve, sql, tail, token,
};
use crate::data_dir::DataDir;
use crate::text::one_line;

/// A journal and history database for trading systems.
#[derive(Debug, Parser)]
#[command(name = "tapebook", version, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Shared {
    /// The data directory [env: TAPEBOOK_DATA] [default: ./tapebook-data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// How much of each table is kept, by age and by bytes of history, as in trades=90d,quotes=30d/200GiB,*=1y; older
    /// days go whole. Unless it is set, nothing does
    #[arg(
        long,
        value_name = "TEXT",
        global = true,
        env = "TAPEBOOK_RETENTION",
        hide_env_values = true,
        value_parser = crate::retention::parse
    )]
    pub retention: Option<RetentionOptions>,
    /// Prints nothing but data and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Shared {
    /// The data directory that the user chose, in one way or another.
    pub(crate) fn data_dir(&self) -> DataDir {
        let from_environment =
            || std::env::var_os("TAPEBOOK_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = self.data.clone().or_else(from_environment);
        self.data_dir_at(path.unwrap_or_else(|| PathBuf::from("./tapebook-data")))
    }

    /// What the flag says of retention, where that is not what the environment says.
    pub(crate) fn retention_flag(&self) -> Option<&RetentionOptions> {
        let variable =
            std::env::var("TAPEBOOK_RETENTION").ok().and_then(|text| crate::retention::parse(&text).ok());
        self.retention.as_ref().filter(|retention| variable.as_ref() != Some(*retention))
    }

    /// A data directory of another name.
    pub(crate) fn data_dir_at(&self, path: PathBuf) -> DataDir {
        DataDir::new(path, self.quiet, self.retention.clone().unwrap_or_default())
    }

    /// Tells the user something that is neither data nor an error.
    pub(crate) fn log(&self, message: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{message}");
        }
    }
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a simulated market against a fresh database and shows live queries
    Demo(demo::DemoArgs),
    /// Serves a database to programs (gRPC, Flight SQL) and people (HTTP)
    Serve(Box<serve::ServeArgs>),
    /// Reads files (CSV, Parquet; .gz, .zst and .zip) into a table
    Import(Box<import::ImportArgs>),
    /// Hides a range of sequences of a table and says why, or shows it again
    Retract(retract::RetractArgs),
    /// Runs SQL: one query, a file of statements, or an interactive shell
    Sql(sql::SqlArgs),
    /// Prints the rows of a table in the order of the journal
    Tail(tail::TailArgs),
    /// Measures a server: how many appends, reads and messages, and how long each takes
    Bench(bench::BenchArgs),
    /// Checks every checksum, chain and count of a data directory
    Verify,
    /// Shows what is in a file of the database
    Inspect(inspect::InspectArgs),
    /// Writes what is in memory to SSTables
    Flush(flush::FlushArgs),
    /// Flushes, then moves and merges SSTables until every row lies in order in its time partition
    Compact(compact::CompactArgs),
    /// Makes a copy of the database as it stands: a data directory of its own
    Checkpoint(checkpoint::CheckpointArgs),
    /// Makes, lists, checks and restores backups
    Backup(backup::BackupArgs),
    /// Shows the nodes of a cluster and changes who belongs to it
    Cluster(cluster::ClusterArgs),
    /// Makes a CA, certificates of servers and clients, and lists of what is revoked
    Cert(cert::CertArgs),
    /// Makes, lists and revokes access tokens
    Token(token::TokenArgs),
    /// Shows the settings of the server and where each comes from
    Config(config::ConfigArgs),
    /// Prints a script that completes commands and options in a shell
    Completions(completions::CompletionsArgs),
}

/// Prints help where it was asked for; else says in one line what is wrong with the arguments.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A reader that went away is no reason to complain.
            let _ = error.print();
        }
        _ => eprintln!("tapebook: {}", on_one_line(&error.render().to_string())),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// The parts of a usage error one after another: what is wrong, tips, usage.
fn on_one_line(rendered: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let rendered = rendered.strip_prefix("error: ").unwrap_or(rendered);
    for paragraph in rendered.split("\n\n").map(one_line) {
        if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            parts.push(format!("usage: {usage}"));
        } else if paragraph.starts_with("For more information") {
            parts.push("--help says more".to_owned());
        } else if !paragraph.is_empty() {
            parts.push(paragraph);
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_usage_error_is_one_line() {
        let error = Arguments::try_parse_from(["tapebook", "import"]).unwrap_err();
        let line = on_one_line(&error.render().to_string());
        assert!(
            !line.contains('\n') && line.contains("<TABLE>") && line.contains("usage: tapebook import"),
            "{line}"
        );
    }
}
