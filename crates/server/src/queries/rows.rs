//! A query that runs, and its rows as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::{Stream, StreamExt};
use tapebook_query::QueryStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::ready::authorize;
use super::{QueryError, ReadyQuery};
use crate::Node;

/// Batches that wait for whoever fetches them.
const BATCHES_AHEAD_MAX: usize = 2;

/// How often it is asked whether the caller still may.
const AUTHORIZE_EVERY: Duration = Duration::from_secs(1);

/// The rows of a query, in batches. The last item is the error where there is one. Dropping it ends the query.
#[derive(Debug)]
pub struct QueryRows {
    columns: SchemaRef,
    batches: mpsc::Receiver<RecordBatch>,
    /// The one task that sends them; it ends with the set.
    task: JoinSet<Result<(), QueryError>>,
}

impl QueryRows {
    /// The columns of the result.
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }
}

impl Stream for QueryRows {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = ready!(self.batches.poll_recv(context)) {
            return Poll::Ready(Some(Ok(batch)));
        }
        // No more batches: the task has ended or is about to.
        Poll::Ready(match ready!(self.task.poll_join_next(context)) {
            None | Some(Ok(Ok(()))) => None,
            Some(Ok(Err(error))) => Some(Err(error)),
            Some(Err(_)) => Some(Err(QueryError::Panicked)),
        })
    }
}

/// Begins a query on the threads of queries.
pub(super) fn begin(node: &Arc<Node>, query: ReadyQuery) -> QueryRows {
    let (sender, batches) = mpsc::channel(BATCHES_AHEAD_MAX);
    let columns = query.columns();
    let mut task = JoinSet::new();
    task.spawn_on(run(Arc::clone(node), query, sender), node.queries.handle());
    QueryRows { columns, batches, task }
}

/// Runs a query until its end, its deadline, or the wish of somebody.
async fn run(
    node: Arc<Node>,
    query: ReadyQuery,
    sender: mpsc::Sender<RecordBatch>,
) -> Result<(), QueryError> {
    let queries = &node.queries;
    let deadline = queries.deadline();
    let _turn =
        queries.turn(deadline).await.inspect_err(|error| node.metrics.query_outcome(error.outcome()))?;
    let mut counted = Counted::begin(&node);
    let ReadyQuery { planned, caller, reads, mut cancelled, .. } = query;
    let work = async {
        // What was asked for before it was its turn may have become too much.
        authorize(&node, &caller, &reads)?;
        let stream = planned.run_listed(&caller.name, node.db.vfs().clock().unix_nanos())?;
        send(stream, &sender, &mut counted.rows).await
    };
    let still_allowed = async {
        loop {
            sleep(AUTHORIZE_EVERY).await;
            if let Err(denied) = authorize(&node, &caller, &reads) {
                return denied;
            }
        }
    };
    let outcome = tokio::select! {
        biased;
        () = until_true(&mut cancelled) => Err(QueryError::Cancelled),
        () = sleep_until(deadline) => Err(queries.too_slow()),
        denied = still_allowed => Err(denied.into()),
        () = sender.closed() => Err(QueryError::Abandoned),
        done = work => done,
    };
    counted.outcome = outcome.as_ref().map_or_else(QueryError::outcome, |()| "done");
    outcome
}

/// Sends all rows as fast as they are fetched.
async fn send(
    mut stream: QueryStream,
    sender: &mpsc::Sender<RecordBatch>,
    rows: &mut u64,
) -> Result<(), QueryError> {
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        *rows += batch.num_rows() as u64;
        sender.send(batch).await.map_err(|_| QueryError::Abandoned)?;
    }
    Ok(())
}

async fn until_true(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|flag| *flag).await.is_err() {
        // Nobody is left who could cancel it.
        std::future::pending::<()>().await;
    }
}

/// Counts a query, however it ends.
struct Counted<'a> {
    node: &'a Node,
    began: Instant,
    rows: u64,
    outcome: &'static str,
}

impl<'a> Counted<'a> {
    fn begin(node: &'a Node) -> Self {
        node.metrics.query_began();
        // The task is dropped in the middle where its caller goes away.
        Self { node, began: Instant::now(), rows: 0, outcome: QueryError::Abandoned.outcome() }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() { QueryError::Panicked.outcome() } else { self.outcome };
        self.node.metrics.query_ended(outcome, self.began.elapsed(), self.rows);
    }
}
