//! Bulk ingest: Arrow batches of a client, appended to a table.
//!
//! Columns find their place as those of an imported file do: by name or one of the usual aliases. A column without a place
//! is refused, not dropped; only `seq`, which the database gives itself, may be there and is left out, so that what was read
//! can be written back. Rows become batches of the journal in their order, each durable as a whole. There is no transaction
//! around them: where a row is refused, those before it are there, and the error says how many.
//!
//! The stream is decoded on the server's runtime and turned into rows on a thread that may block, which waits for the disk.
//! A few batches may lie between the two, so a fast client waits for a slow disk and memory is bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tapebook::{AppendError, Batch, Db, Durability, PendingAppend, TableSchema};
use tapebook_import::{ImportError, ImportFailure, ImportOptions, SinkError, import_arrow};
use tapebook_query::{CATALOG, SCHEMA};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tonic::Status;

use super::parameters::of_flight;
use super::service::{FlightSql, no_transaction};
use super::status;
use crate::access::{Caller, Right};
use crate::journal::refusal;

/// Ingests at one time. Each has a thread.
const INGESTS_MAX: usize = 32;
/// Arrow batches that wait to be turned into rows.
const BATCHES_AHEAD_MAX: usize = 2;
/// Batches of the journal whose receipts may be outstanding.
const RECEIPTS_AHEAD_MAX: usize = 64;
/// A client that sends nothing for so long is given up.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How often it is asked whether the caller still may.
const AUTHORIZE_EVERY: Duration = Duration::from_secs(1);

/// What the rows are called in errors.
const NAME: &str = "ingest";

/// Bounds how many run.
#[derive(Debug)]
pub(super) struct Ingests(Arc<Semaphore>);

impl Default for Ingests {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(INGESTS_MAX)))
    }
}

/// What comes from the client.
enum Piece {
    Batch(RecordBatch),
    /// Nothing more: without it the stream was cut off.
    End,
    /// What is wrong with the stream.
    Fault(String),
}

/// How an ingest ended: the rows that are durable, and why there are no more.
struct Written {
    rows: u64,
    seqs: Option<(u64, u64)>,
    fault: Option<Fault>,
}

enum Fault {
    Append(AppendError),
    Import(ImportError),
}

impl FlightSql {
    /// Appends the rows of a stream; how many there were.
    pub(super) async fn ingest(
        &self,
        caller: &Caller,
        command: &CommandStatementIngest,
        data: BoxStream<'static, Result<FlightData, Status>>,
    ) -> Result<i64, Status> {
        let node = &self.node;
        no_transaction(command.transaction_id.as_ref())?;
        let authorize = || {
            let allowed = node.access.authorize(caller, Right::Write, Some(&command.table));
            allowed.map_err(|error| status::denied(&error))
        };
        authorize()?;
        let table = target(&node.db, command)?;
        let Ok(_turn) = Arc::clone(&self.ingests.0).try_acquire_owned() else {
            return Err(Status::resource_exhausted(format!(
                "{INGESTS_MAX} ingests are under way, which is all the server takes; try again later"
            )));
        };
        let data = data.map_err(|status| FlightError::Tonic(Box::new(status)));
        let mut batches = FlightRecordBatchStream::new_from_flight_data(data);
        let Some(first) = next(&mut batches, Instant::now() + IDLE_MAX).await? else { return Ok(0) };
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
        let (db, columns) = (Arc::clone(&node.db), first.schema());
        let writing = tokio::task::spawn_blocking(move || write(&db, &table, &columns, receiver));
        let fed = feed(first, &mut batches, &sender, authorize).await;
        // Cut off where the client was: the thread ends with what it has.
        drop(sender);
        let written = writing.await.map_err(|_| Status::internal("the ingest failed inside the server"))?;
        node.metrics.ingested(written.rows);
        if let Some(Fault::Append(error)) = &written.fault {
            node.metrics.append_refused(refusal::of_append(error).reason());
        }
        match (fed, &written.fault) {
            (Err(status), _) => {
                Err(Status::new(status.code(), format!("{}{}", status.message(), written.kept())))
            }
            (Ok(()), Some(fault)) => Err(told(fault, &written)),
            (Ok(()), None) => Ok(i64::try_from(written.rows).unwrap_or(i64::MAX)),
        }
    }
}

/// The next batch, if the client sends it in time.
async fn next(batches: &mut FlightRecordBatchStream, until: Instant) -> Result<Option<RecordBatch>, Status> {
    match timeout_at(until, batches.next()).await {
        Ok(next) => next.transpose().map_err(of_flight),
        Err(_) => Err(Status::deadline_exceeded(format!("nothing came for {} s", IDLE_MAX.as_secs()))),
    }
}

/// Hands what comes to the thread that writes it.
async fn feed(
    first: RecordBatch,
    batches: &mut FlightRecordBatchStream,
    sender: &mpsc::Sender<Piece>,
    authorize: impl Fn() -> Result<(), Status>,
) -> Result<(), Status> {
    let mut ask = interval(AUTHORIZE_EVERY);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = first;
    loop {
        // Where nobody takes it, the thread has ended with an error of its own.
        if sender.send(Piece::Batch(batch)).await.is_err() {
            return Ok(());
        }
        let until = Instant::now() + IDLE_MAX;
        let next = loop {
            tokio::select! {
                _ = ask.tick() => authorize()?,
                next = next(batches, until) => break next,
            }
        };
        batch = match next {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                let _ = sender.send(Piece::End).await;
                return Ok(());
            }
            Err(status) => {
                let _ = sender.send(Piece::Fault(status.message().to_owned())).await;
                return Err(status);
            }
        };
    }
}

/// The table that a command means.
fn target(db: &Db, command: &CommandStatementIngest) -> Result<Arc<TableSchema>, Status> {
    let invalid = Status::invalid_argument;
    if command.temporary {
        return Err(invalid("there are no temporary tables; append to one that is there"));
    }
    let known = |given: &Option<String>, ours: &str| {
        given.as_deref().is_none_or(|given| given.is_empty() || given == ours)
    };
    if !known(&command.catalog, CATALOG) || !known(&command.schema, SCHEMA) {
        return Err(invalid("rows can be written to tables of tapebook.public and nowhere else"));
    }
    let options = command.table_definition_options.unwrap_or_default();
    match options.if_exists() {
        TableExistsOption::Append => {}
        TableExistsOption::Replace => {
            return Err(invalid(
                "a table cannot be replaced: the journal keeps what was written; use mode `append`",
            ));
        }
        TableExistsOption::Fail | TableExistsOption::Unspecified => {
            return Err(invalid("a table cannot be created here, only appended to; use mode `append`"));
        }
    }
    let table = db.snapshot().schemas().by_name(&command.table).map(Arc::clone);
    table.ok_or_else(|| {
        let name: String = command.table.chars().take(80).collect();
        match options.if_not_exist() {
            TableNotExistOption::Create => {
                Status::invalid_argument(format!("there is no table {name:?}, and none can be created here"))
            }
            _ => Status::not_found(format!("there is no table {name:?}")),
        }
    })
}

/// Turns what comes into rows and waits until they are durable.
fn write(db: &Db, table: &TableSchema, columns: &SchemaRef, mut pieces: mpsc::Receiver<Piece>) -> Written {
    let mut options = ImportOptions::new(db.vfs().clock().unix_nanos());
    options.strict = true;
    options.ignore = vec!["seq".to_owned()];
    let mut over = false;
    let batches = std::iter::from_fn(|| {
        if over {
            return None;
        }
        match pieces.blocking_recv() {
            Some(Piece::Batch(batch)) => return Some(Ok(batch)),
            Some(Piece::Fault(reason)) => {
                over = true;
                return Some(Err(reason));
            }
            Some(Piece::End) => over = true,
            None => {
                over = true;
                return Some(Err("the client went away".to_owned()));
            }
        }
        None
    });
    let mut receipts = Receipts { db, outstanding: VecDeque::new(), rows: 0, seqs: None };
    let mut sink = |batch: Batch| receipts.append(&batch).map_err(SinkError::from);
    let imported = import_arrow(NAME, columns, batches, table, &options, &mut sink);
    let drained = receipts.drain();
    let fault = match (drained, imported) {
        (Err(error), _) => Some(Fault::Append(error)),
        (Ok(()), Ok(_)) => None,
        (Ok(()), Err(failure)) => {
            let ImportFailure { error, .. } = *failure;
            Some(match error {
                ImportError::Sink(source) => match source.downcast::<AppendError>() {
                    Ok(error) => Fault::Append(*error),
                    Err(source) => Fault::Import(ImportError::Sink(source)),
                },
                error => Fault::Import(error),
            })
        }
    };
    Written { rows: receipts.rows, seqs: receipts.seqs, fault }
}

/// Batches on their way to the disk, and what is there.
struct Receipts<'a> {
    db: &'a Db,
    outstanding: VecDeque<(u64, PendingAppend)>,
    rows: u64,
    seqs: Option<(u64, u64)>,
}

impl Receipts<'_> {
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        if self.outstanding.len() >= RECEIPTS_AHEAD_MAX {
            self.wait_for_oldest()?;
        }
        let pending = self.db.append_encoded(batch.encode(), Durability::Buffered)?;
        self.outstanding.push_back((batch.len() as u64, pending));
        Ok(())
    }

    fn drain(&mut self) -> Result<(), AppendError> {
        while !self.outstanding.is_empty() {
            self.wait_for_oldest()?;
        }
        Ok(())
    }

    fn wait_for_oldest(&mut self) -> Result<(), AppendError> {
        let Some((rows, pending)) = self.outstanding.pop_front() else { return Ok(()) };
        let receipt = pending.wait()?;
        self.rows += rows;
        let first = self.seqs.map_or(receipt.first_seq, |(first, _)| first);
        self.seqs = Some((first, receipt.last_seq));
        Ok(())
    }
}

impl Written {
    /// What is there in spite of an error.
    fn kept(&self) -> String {
        match self.seqs {
            None => "; nothing was written".to_owned(),
            Some((first, last)) => {
                format!("; {} rows before that are written, seq {first}..{last}", self.rows)
            }
        }
    }
}

/// How a fault is told to the client.
fn told(fault: &Fault, written: &Written) -> Status {
    let kept = written.kept();
    match fault {
        Fault::Append(AppendError::Closed) => Status::unavailable(format!("the server is stopping{kept}")),
        Fault::Append(error @ (AppendError::FlushFailing(_) | AppendError::Busy)) => {
            Status::unavailable(format!("{error}{kept}"))
        }
        Fault::Append(error @ (AppendError::Log(_) | AppendError::Interrupted)) => {
            Status::internal(format!("{error}{kept}"))
        }
        Fault::Append(error) => Status::invalid_argument(format!("{error}{kept}")),
        Fault::Import(ImportError::Unplaced { table, columns, .. }) => Status::invalid_argument(format!(
            "no place in table {table} for: {columns}; rename or drop them before they are sent"
        )),
        Fault::Import(error) => Status::invalid_argument(format!("{error}{kept}")),
    }
}
