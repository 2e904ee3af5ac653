//! Reads by many connections: rows by their keys, or whole scans.

use std::sync::Arc;
use std::time::Duration;

use tapebook_client::{Client, ClientOptions, ScanOptions};
use tapebook_market::random::Random;

use super::Common;
use super::report::Report;
use crate::clock::monotonic;
use crate::connect;
use crate::error::CliError;
use crate::latency::Latency;

/// Keys that are looked for, the newest of the series.
const KEYS_MAX: u64 = 100_000;

/// Arguments of `tapebook bench read`.
#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The table
    #[arg(long, value_name = "TABLE", default_value = "trades")]
    table: String,
    /// The symbol
    #[arg(long, value_name = "NAME")]
    symbol: String,
    /// Reads the newest N rows in one scan instead of one row by its key
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    scan: Option<u64>,
    /// Connections, each with one call at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: u32,
}

pub(super) async fn run(args: &ReadArgs) -> Result<Report, CliError> {
    let options = connect::required(&args.common.remote)?;
    let client = Client::connect(options.clone()).await.map_err(CliError::failed)?;
    let series = ScanOptions { newest_first: true, ..ScanOptions::new(&*args.table, &*args.symbol) };
    let keys = Arc::new(keys(&client, ScanOptions { limit: Some(KEYS_MAX), ..series.clone() }).await?);
    if keys.is_empty() {
        let (table, symbol) = (&args.table, &args.symbol);
        return Err(CliError::failed(format!("{table} has no rows of {symbol}; choose another --symbol")));
    }
    let scan = args.scan.map(|rows| ScanOptions { limit: Some(rows), ..series.clone() });
    let begin = monotonic();
    let until = begin + args.common.time();
    let connections: Vec<_> = (0..u64::from(args.connections))
        .map(|seed| {
            tokio::spawn(read(options.clone(), series.clone(), scan.clone(), Arc::clone(&keys), seed, until))
        })
        .collect();
    let (mut rows, mut latency) = (0, Latency::new());
    for connection in connections {
        let (found, took) = connection.await.map_err(CliError::failed)??;
        rows += found;
        latency.add(&took);
    }
    let name = if args.scan.is_some() { "scan" } else { "get" };
    let took = monotonic().saturating_sub(begin);
    Ok(Report { name, took, operations: latency.total(), rows, latencies: vec![(name, latency)] })
}

async fn keys(client: &Client, series: ScanOptions) -> Result<Vec<(i64, u64)>, CliError> {
    let mut keys = Vec::new();
    let mut pieces = client.scan(series).await.map_err(CliError::failed)?;
    while let Some(piece) = pieces.next().await.map_err(CliError::failed)? {
        keys.extend(piece.records().map(|row| (row.ts, row.seq)));
    }
    Ok(keys)
}

/// Reads until it is time to end; how many rows, and how long each call took.
async fn read(
    options: ClientOptions,
    series: ScanOptions,
    scan: Option<ScanOptions>,
    known: Arc<Vec<(i64, u64)>>,
    seed: u64,
    until: Duration,
) -> Result<(u64, Latency), CliError> {
    let client = Client::connect(options).await.map_err(CliError::failed)?;
    let mut random = Random::new(seed);
    let (mut rows, mut latency) = (0, Latency::new());
    while monotonic() < until {
        let since = monotonic();
        rows += match &scan {
            Some(scan) => keys(&client, scan.clone()).await?.len() as u64,
            None => {
                let (ts, seq) = known[random.below(known.len() as u64) as usize];
                let found = client.get(&series.table, &series.symbol, ts, seq).await;
                u64::from(found.map_err(CliError::failed)?.is_some())
            }
        };
        latency.record(monotonic().saturating_sub(since));
    }
    Ok((rows, latency))
}
