//! Subscribers, and one connection that writes for them.
//!
//! Each batch carries the commit clock of the server, which is read before the batch is synced; the difference to the clock of
//! whoever gets it is what a subscriber waits, sync included. On two machines it is only as right as their clocks.

use std::time::Duration;

use tapebook_client::{Client, ClientOptions, Event, Start, SubscribeOptions};

use super::Common;
use super::append::{Load, append};
use super::report::Report;
use crate::clock::{monotonic, unix_nanos};
use crate::connect;
use crate::error::CliError;
use crate::latency::Latency;

/// Arguments of `tapebook bench subscribe`.
#[derive(Debug, clap::Args)]
pub(super) struct SubscribeArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// Connections that follow
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    subscribers: u32,
    /// Batches that are written in a second, at most; 0: none, others write
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    rate: u32,
    /// Rows of a batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_500))]
    rows: u32,
    /// The id of the producer
    #[arg(long, value_name = "ID", default_value_t = 900_000_000)]
    producer: u64,
}

pub(super) async fn run(args: &SubscribeArgs) -> Result<Report, CliError> {
    let options = connect::required(&args.common.remote)?;
    let begin = monotonic();
    let until = begin + args.common.time();
    let followers: Vec<_> =
        (0..args.subscribers).map(|_| tokio::spawn(follow(options.clone(), until))).collect();
    let mut latencies = Vec::new();
    if args.rate > 0 {
        let pause = Duration::from_secs(1) / args.rate;
        let load = Load { rows: args.rows as usize, in_flight: 64, pause };
        let written = append(options, args.producer, load, until).await?;
        latencies.push(("receipt", written.latency().clone()));
    }
    let (mut batches, mut rows, mut latency) = (0, 0, Latency::new());
    for follower in followers {
        let followed = follower.await.map_err(CliError::failed)??;
        batches += followed.latency.total();
        rows += followed.rows;
        latency.add(&followed.latency);
    }
    latencies.push(("commit_to_subscriber", latency));
    Ok(Report {
        name: "subscribe",
        took: monotonic().saturating_sub(begin),
        operations: batches,
        rows,
        latencies,
    })
}

/// What one subscriber got.
struct Followed {
    rows: u64,
    latency: Latency,
}

async fn follow(options: ClientOptions, until: Duration) -> Result<Followed, CliError> {
    let client = Client::connect(options).await.map_err(CliError::failed)?;
    let mut journal = client.subscribe(SubscribeOptions::new(Start::Latest));
    let mut followed = Followed { rows: 0, latency: Latency::new() };
    loop {
        let left = until.saturating_sub(monotonic());
        if left.is_zero() {
            return Ok(followed);
        }
        let Ok(event) = tokio::time::timeout(left, journal.next()).await else { return Ok(followed) };
        if let Event::Batch(batch) = event.map_err(CliError::failed)? {
            let waited = unix_nanos().saturating_sub(batch.commit_time());
            followed.latency.record(Duration::from_nanos(u64::try_from(waited).unwrap_or(0)));
            followed.rows += batch.batch().len() as u64;
        }
    }
}
