//! From the text of a statement to a query that can run.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use tapebook_query::{PlannedQuery, Reads, Statement};
use tokio::sync::watch;

use super::{QueryError, QueryRows, SQL_BYTES_MAX, rows};
use crate::Node;
use crate::access::{Caller, Denied, Right};

/// What somebody asks.
#[derive(Clone, Debug)]
pub struct Question {
    /// The statement.
    pub sql: String,
    /// One row of parameters, where it has any.
    pub parameters: Option<RecordBatch>,
    /// Reads what was known when the journal had reached this sequence.
    pub as_of_seq: Option<u64>,
}

/// What a statement is, without its parameters.
#[derive(Clone, Debug)]
pub struct Understood {
    /// The columns of its result.
    pub columns: SchemaRef,
    /// Its parameters, in order.
    pub parameters: Schema,
}

/// A query that the caller may ask, planned and not begun. It holds the snapshot that it will read.
#[derive(Debug)]
pub struct ReadyQuery {
    pub(super) planned: PlannedQuery,
    pub(super) caller: Caller,
    pub(super) reads: BTreeSet<Reads>,
    pub(super) cancelled: watch::Receiver<bool>,
    cancel: CancelHandle,
}

/// Cancels a query, also before it begins. Clones are for the same query.
#[derive(Clone, Debug)]
pub struct CancelHandle(watch::Sender<bool>);

/// Says what a statement is, if the caller may read what it reads.
pub async fn understand(node: &Arc<Node>, caller: &Caller, sql: &str) -> Result<Understood, QueryError> {
    let question = Question { sql: sql.to_owned(), parameters: None, as_of_seq: None };
    let done = prepared(node, caller, question, async |statement, _, _, _| {
        Ok::<_, QueryError>(Understood { columns: statement.schema(), parameters: statement.parameters()? })
    });
    done.await.inspect_err(|error| node.metrics.query_outcome(error.outcome()))
}

/// Plans a query, if the caller may read what it reads.
pub async fn plan(node: &Arc<Node>, caller: &Caller, question: Question) -> Result<ReadyQuery, QueryError> {
    let done = prepared(node, caller, question, async |statement, reads, caller, parameters| {
        let planned = statement.plan(parameters.as_ref()).await?;
        let (cancel, cancelled) = watch::channel(false);
        Ok::<_, QueryError>(ReadyQuery { planned, caller, reads, cancelled, cancel: CancelHandle(cancel) })
    });
    done.await.inspect_err(|error| node.metrics.query_outcome(error.outcome()))
}

/// Understands and authorises a statement and goes on with it, all on the threads of queries.
async fn prepared<T, F>(
    node: &Arc<Node>,
    caller: &Caller,
    question: Question,
    go_on: impl FnOnce(Statement, BTreeSet<Reads>, Caller, Option<RecordBatch>) -> F + Send + 'static,
) -> Result<T, QueryError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, QueryError>> + Send + 'static,
{
    let Question { sql, parameters, as_of_seq } = question;
    if sql.len() > SQL_BYTES_MAX {
        return Err(QueryError::TooLong { bytes: sql.len(), bytes_max: SQL_BYTES_MAX });
    }
    let queries = &node.queries;
    let deadline = queries.deadline();
    let turn = queries.turn(deadline).await?;
    let (node, caller) = (Arc::clone(node), caller.clone());
    let work = async move {
        let _turn = turn;
        let statement = node.sql.prepare(&node.db, &sql, as_of_seq).await?;
        let reads = statement.reads()?;
        authorize(&node, &caller, &reads)?;
        go_on(statement, reads, caller, parameters).await
    };
    queries.work(deadline, work).await
}

/// Refuses what the caller may not read. The tables of schema `sys` show names, sizes and what others ask, so they are for
/// administrators; a statement that reads no table at all needs the right to read, whatever it is.
pub(super) fn authorize(node: &Node, caller: &Caller, reads: &BTreeSet<Reads>) -> Result<(), Denied> {
    let mut all = reads.iter().map(|reads| match reads {
        Reads::Table(table) => node.access.authorize(caller, Right::Read, Some(table)),
        Reads::System(_) => node.access.authorize(caller, Right::Admin, None),
    });
    all.try_for_each(|one| one)?;
    node.access.authorize(caller, Right::Read, None)
}

impl ReadyQuery {
    /// The columns of the result, exactly as they come.
    pub fn columns(&self) -> SchemaRef {
        self.planned.schema()
    }

    /// Cancels it, now or while it runs.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Begins it, as soon as it is its turn. Dropping the rows ends it.
    pub fn run(self, node: &Arc<Node>) -> QueryRows {
        rows::begin(node, self)
    }
}

impl CancelHandle {
    /// Cancels the query; nothing happens where it has ended.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// True once the query has ended, one way or another.
    pub fn is_over(&self) -> bool {
        self.0.receiver_count() == 0
    }
}
