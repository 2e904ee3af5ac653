//! `tapebook bench`: load for a server, and how long it makes clients wait.
//!
//! Every connection is one of the client library, so what is measured is what a program sees that uses it, on this machine and
//! over this network.

mod append;
mod query;
mod read;
mod report;
mod subscribe;

use std::time::Duration;

use crate::connect;
use crate::error::CliError;
use crate::remote::RemoteArgs;

/// Arguments of `tapebook bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Synced appends: how many, and how long from the call to the receipt
    Append(append::AppendArgs),
    /// Rows by their keys, or scans of a series
    Read(read::ReadArgs),
    /// One query, again and again: how long until its first rows, and until the last
    Query(query::QueryArgs),
    /// Subscribers: how long from the commit until each one has a batch
    Subscribe(subscribe::SubscribeArgs),
}

/// What every measurement takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    remote: RemoteArgs,
    /// Ends after so many seconds
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How the result looks
    #[arg(long, value_enum, default_value = "text")]
    format: report::ReportFormat,
}

impl Common {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

pub(crate) fn run(args: &BenchArgs) -> Result<(), CliError> {
    let runtime = connect::runtime()?;
    let (report, format) = match &args.what {
        What::Append(args) => (runtime.block_on(append::run(args))?, args.common.format),
        What::Read(args) => (runtime.block_on(read::run(args))?, args.common.format),
        What::Query(args) => (runtime.block_on(query::run(args))?, args.common.format),
        What::Subscribe(args) => (runtime.block_on(subscribe::run(args))?, args.common.format),
    };
    report.print(format)
}
