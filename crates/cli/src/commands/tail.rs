//! `tapebook tail`: the rows of a table in the order of the journal, from a server or from a data directory.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tapebook::projection::Projection;
use tapebook::{JournalStart, RawRecord, Schemas, TableId, TableSchema};
use tapebook_client::{Client, Event, Start, SubscribeOptions};

use crate::args::Shared;
use crate::connect;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::{Format, OutputArgs, ResultWriter};
use crate::remote::RemoteArgs;

/// Arguments of `tapebook tail`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Rows come in the order in which they became durable, with their sequence last. Without --from-seq and --from \
                        the tail begins with the oldest row that the journal keeps; with --follow alone it begins with what comes. \
                        Times are RFC 3339, or nanoseconds since the epoch, and are those of the commit."
)]
pub(crate) struct TailArgs {
    /// The table, such as trades or quotes
    table: String,
    /// Only rows of this symbol; may be given several times
    #[arg(long, value_name = "NAME")]
    symbol: Vec<String>,
    /// Begins with this sequence
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    from_seq: Option<u64>,
    /// Begins with what was committed at this time
    #[arg(long, value_name = "TIME", value_parser = commit_time, conflicts_with = "from_seq")]
    from: Option<i64>,
    /// Goes on with what comes, until Ctrl-C; needs --url
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(shared: &Shared, args: &TailArgs) -> Result<(), CliError> {
    args.output.check()?;
    match args.remote.options()? {
        Some(options) => {
            let (runtime, client) = connect::connect(options)?;
            runtime.block_on(from_server(&client, args))
        }
        None if args.follow => Err(CliError::usage(
            "--follow needs --url: nobody else writes to a data directory while this command has it open",
        )),
        None => from_directory(shared, args),
    }
}

/// Prints until the end, or with `--follow` until the user wants to stop.
async fn from_server(client: &Client, args: &TailArgs) -> Result<(), CliError> {
    let interrupt = Interrupt::install()?;
    let mut rows = Rows::begin(args, &Schemas::standard())?;
    let start = match (args.from_seq, args.from) {
        (Some(seq), _) => Start::Seq(seq),
        (None, Some(time)) => Start::Time(time),
        (None, None) if args.follow => Start::Latest,
        // From the oldest that is kept.
        (None, None) => Start::Time(i64::MIN),
    };
    let options =
        SubscribeOptions { symbols: args.symbol.clone(), ..SubscribeOptions::new(start).table(&*args.table) };
    let mut journal = client.subscribe(options);
    loop {
        let event = tokio::select! {
            event = journal.next() => event.map_err(CliError::failed)?,
            () = interrupt.requested() => break,
        };
        match event {
            Event::Batch(batch) => {
                let records: Vec<RawRecord<'_>> = batch.records().map(|(_, record)| record).collect();
                rows.write(&records)?;
            }
            Event::Progress { live: true, .. } if !args.follow => break,
            // Whoever watches wants to see what there is.
            Event::Progress { .. } => rows.flush()?,
            Event::Gap(gap) => eprintln!(
                "the feed of producer {} lacks {}..={}, seen at seq {}",
                gap.producer_id, gap.first_feed_seq, gap.last_feed_seq, gap.seen_seq
            ),
        }
        if args.follow {
            rows.flush()?;
        }
    }
    rows.finish()
}

/// Prints what the journal of a data directory keeps.
fn from_directory(shared: &Shared, args: &TailArgs) -> Result<(), CliError> {
    let interrupt = Interrupt::install()?;
    let db = Arc::new(shared.data_dir().open_existing()?);
    let mut rows = Rows::begin(args, db.snapshot().schemas())?;
    let start = match (args.from_seq, args.from) {
        (Some(seq), _) => JournalStart::Seq(seq),
        (None, time) => JournalStart::Time(time.unwrap_or(i64::MIN)),
    };
    let mut follower = db.follow(start).map_err(CliError::failed)?;
    let from_seq = args.from_seq.unwrap_or(0);
    while let Some(found) = follower.try_next().map_err(CliError::failed)? {
        let stored = found.batch.rows();
        let places =
            (0..found.batch.len()).filter_map(|place| stored.get(place, found.first_seq + place as u64));
        let wanted =
            places.filter(|(table, record)| record.seq >= from_seq && rows.takes(*table, record.symbol));
        let records: Vec<RawRecord<'_>> = wanted.map(|(_, record)| record).collect();
        rows.write(&records)?;
        if interrupt.is_requested() {
            break;
        }
    }
    rows.finish()
}

/// Turns rows into what is printed.
struct Rows {
    table: TableId,
    symbols: BTreeSet<String>,
    projection: Projection,
    writer: Box<dyn ResultWriter>,
}

impl Rows {
    fn begin(args: &TailArgs, schemas: &Schemas) -> Result<Self, CliError> {
        let schema: Arc<TableSchema> = super::import::find_table(schemas, &args.table)?;
        let columns: Vec<usize> = (0..schema.columns.len() + 5).collect();
        let projection = Projection::new(&schema, &columns);
        // A table waits for its first rows before it decides how wide it is; a tail does not wait.
        let format = match args.output.format() {
            Format::Table if args.follow && args.output.format.is_none() => Format::Csv,
            format => format,
        };
        let output = OutputArgs { format: Some(format), ..args.output.clone() };
        let writer = output.begin(projection.schema())?;
        Ok(Self { table: schema.id, symbols: args.symbol.iter().cloned().collect(), projection, writer })
    }

    fn takes(&self, table: TableId, symbol: &str) -> bool {
        table == self.table && (self.symbols.is_empty() || self.symbols.contains(symbol))
    }

    fn write(&mut self, records: &[RawRecord<'_>]) -> Result<(), CliError> {
        if records.is_empty() {
            return Ok(());
        }
        self.projection.append(records);
        let batch = self.projection.finish();
        self.writer.write(&batch).map_err(|error| error.at("the output"))
    }

    fn flush(&mut self) -> Result<(), CliError> {
        self.writer.flush().map_err(|error| error.at("the output"))
    }

    fn finish(self) -> Result<(), CliError> {
        self.writer.finish().map_err(|error| error.at("the output"))?.commit()
    }
}

/// A time as RFC 3339 or as nanoseconds since the epoch.
fn commit_time(text: &str) -> Result<i64, String> {
    if let Ok(nanos) = text.parse() {
        return Ok(nanos);
    }
    let time: Timestamp = text.parse().map_err(|error| format!("not a time: {error}"))?;
    i64::try_from(time.as_nanosecond()).map_err(|_| "not a time that the journal can have".to_owned())
}
