//! Queries by many connections, each answered to its last row.

use std::time::Duration;

use futures::TryStreamExt;
use tapebook_client::ClientOptions;

use super::Common;
use super::report::Report;
use crate::clock::monotonic;
use crate::connect;
use crate::error::CliError;
use crate::latency::Latency;
use crate::server_sql::{ServerAnswer, ServerSql};

/// Arguments of `tapebook bench query`.
#[derive(Debug, clap::Args)]
pub(super) struct QueryArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The query
    sql: String,
    /// Connections, each with one query at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: u32,
}

pub(super) async fn run(args: &QueryArgs) -> Result<Report, CliError> {
    let options = connect::required(&args.common.remote)?;
    let begin = monotonic();
    let until = begin + args.common.time();
    let connections: Vec<_> =
        (0..args.connections).map(|_| tokio::spawn(ask(options.clone(), args.sql.clone(), until))).collect();
    let (mut rows, mut answer, mut first) = (0, Latency::new(), Latency::new());
    for connection in connections {
        let done = connection.await.map_err(CliError::failed)??;
        rows += done.rows;
        answer.add(&done.answer);
        first.add(&done.first);
    }
    let took = monotonic().saturating_sub(begin);
    let latencies = vec![("first_rows", first), ("answer", answer)];
    Ok(Report { name: "query", took, operations: latencies[1].1.total(), rows, latencies })
}

/// What one connection did.
struct Done {
    rows: u64,
    /// Until the first rows were there.
    first: Latency,
    /// Until the last ones were.
    answer: Latency,
}

/// Asks until it is time to end.
async fn ask(options: ClientOptions, sql: String, until: Duration) -> Result<Done, CliError> {
    let server = ServerSql::connect(options).await?;
    let mut done = Done { rows: 0, first: Latency::new(), answer: Latency::new() };
    while monotonic() < until {
        let since = monotonic();
        let ServerAnswer::Rows(mut answer) = server.execute(&sql).await? else {
            return Err(CliError::usage(format!("{sql:?} is no query")));
        };
        let mut has_first = false;
        while let Some(batch) = answer.batches.try_next().await? {
            if !std::mem::replace(&mut has_first, true) {
                done.first.record(monotonic().saturating_sub(since));
            }
            done.rows += batch.num_rows() as u64;
        }
        done.answer.record(monotonic().saturating_sub(since));
    }
    Ok(done)
}
