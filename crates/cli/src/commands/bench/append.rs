//! Appends by many connections.

use std::collections::VecDeque;
use std::time::Duration;

use tapebook::Batch;
use tapebook_client::{Client, ClientOptions, ProducerOptions};
use tapebook_market::generator::{Ticks, ticks};

use super::Common;
use super::report::Report;
use crate::clock::{monotonic, unix_nanos};
use crate::connect;
use crate::error::CliError;
use crate::latency::Latency;

/// Arguments of `tapebook bench append`.
#[derive(Debug, clap::Args)]
pub(super) struct AppendArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// Connections, each a producer of its own
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: u32,
    /// Batches of a connection that wait for their receipts at one time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    in_flight: u32,
    /// Rows of a batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_500))]
    rows: u32,
    /// The id of the first producer; the others follow it
    #[arg(long, value_name = "ID", default_value_t = 900_000_000)]
    producer: u64,
}

/// What one connection did.
pub(super) struct Done {
    operations: u64,
    rows: u64,
    latency: Latency,
}

pub(super) async fn run(args: &AppendArgs) -> Result<Report, CliError> {
    let options = connect::required(&args.common.remote)?;
    let begin = monotonic();
    let until = begin + args.common.time();
    let connections: Vec<_> = (0..args.connections)
        .map(|n| {
            let load =
                Load { rows: args.rows as usize, in_flight: args.in_flight as usize, pause: Duration::ZERO };
            tokio::spawn(append(options.clone(), args.producer + u64::from(n), load, until))
        })
        .collect();
    let (mut operations, mut rows, mut latency) = (0, 0, Latency::new());
    for connection in connections {
        let done = connection.await.map_err(CliError::failed)??;
        operations += done.operations;
        rows += done.rows;
        latency.add(&done.latency);
    }
    let took = monotonic().saturating_sub(begin);
    Ok(Report { name: "append", took, operations, rows, latencies: vec![("receipt", latency)] })
}

/// How one connection writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) rows: usize,
    pub(super) in_flight: usize,
    /// Between two batches.
    pub(super) pause: Duration,
}

/// Appends batches until it is time to end.
pub(super) async fn append(
    options: ClientOptions,
    id: u64,
    load: Load,
    until: Duration,
) -> Result<Done, CliError> {
    let client = Client::connect(options).await.map_err(CliError::failed)?;
    let producer = client.producer(ProducerOptions::new(id)).await.map_err(CliError::failed)?;
    let mut ticks = ticks(id, 16, 1.0).map_err(CliError::failed)?.start(unix_nanos());
    let mut done = Done { operations: 0, rows: 0, latency: Latency::new() };
    let mut waiting = VecDeque::with_capacity(load.in_flight);
    loop {
        let ends = monotonic() >= until;
        if ends && waiting.is_empty() {
            return Ok(done);
        }
        if ends || waiting.len() == load.in_flight {
            let Some((since, appended)) = waiting.pop_front() else { continue };
            let appended: tapebook_client::AppendedBatch = appended;
            let receipt = appended.await.map_err(CliError::failed)?;
            done.latency.record(monotonic().saturating_sub(since));
            done.operations += 1;
            done.rows += receipt.last_seq - receipt.first_seq + 1;
            continue;
        }
        let batch = batch(&mut ticks, load.rows)?;
        waiting.push_back((monotonic(), producer.append(batch).await.map_err(CliError::failed)?));
        if !load.pause.is_zero() {
            tokio::time::sleep(load.pause).await;
        }
    }
}

fn batch(ticks: &mut Ticks, rows: usize) -> Result<Batch, CliError> {
    let mut batch = Batch::new();
    ticks.fill_batch(&mut batch, rows).map_err(CliError::failed)?;
    Ok(batch)
}

impl Done {
    pub(super) fn latency(&self) -> &Latency {
        &self.latency
    }
}
