//! Runs one query after another and writes each result, batch by batch, as it comes.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tapebook::Db;
use tapebook_query::{Answer, QueryStream, SqlEngine, SqlOptions, SqlSession};
use tokio::runtime::Runtime;

use crate::clock::monotonic;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::OutputArgs;

/// Runs statements on a database, as one session. Queries have threads of their own.
#[derive(Debug)]
pub(crate) struct Runner {
    db: Arc<Db>,
    session: SqlSession,
    runtime: Runtime,
    interrupt: Interrupt,
}

/// What a statement did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    /// The rows of a query; `None` where a setting was changed.
    pub(crate) rows: Option<u64>,
    pub(crate) took: Duration,
}

impl Runner {
    pub(crate) fn new(db: Arc<Db>, interrupt: Interrupt) -> Result<Self, CliError> {
        let engine = SqlEngine::new(&SqlOptions::default()).map_err(CliError::failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("tapebook-query")
            .enable_time()
            .build()
            .map_err(|error| CliError::failed(format!("cannot start threads for queries: {error}")))?;
        let session = SqlSession::new(engine);
        Ok(Self { db, session, runtime, interrupt })
    }

    /// The database that the queries read.
    pub(crate) fn db(&self) -> &Arc<Db> {
        &self.db
    }

    /// What the user asks for while a query runs.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Runs a statement to its end, or until the user does not want it any more.
    pub(crate) fn run(&self, sql: &str, output: &OutputArgs) -> Result<Summary, CliError> {
        let begin = monotonic();
        let Answer::Rows(mut stream) = self.begin(sql)? else {
            return Ok(Summary { rows: None, took: monotonic().saturating_sub(begin) });
        };
        let mut writer = output.begin(&stream.schema())?;
        let place =
            output.output.as_ref().map_or("standard output".to_owned(), |path| path.display().to_string());
        let mut rows = 0;
        while let Some(batch) = self.wait(stream.next())? {
            let batch = batch.map_err(CliError::failed)?;
            rows += batch.num_rows() as u64;
            writer.write(&batch).map_err(|error| error.at(&place))?;
        }
        writer.finish().map_err(|error| error.at(&place))?.commit()?;
        Ok(Summary { rows: Some(rows), took: monotonic().saturating_sub(begin) })
    }

    /// The columns that a query gives.
    pub(crate) fn schema(&self, sql: &str) -> Result<SchemaRef, CliError> {
        Ok(self.rows(sql)?.schema())
    }

    /// All rows of a small result.
    pub(crate) fn collect(&self, sql: &str) -> Result<Vec<arrow::record_batch::RecordBatch>, CliError> {
        let stream = self.rows(sql)?;
        self.wait(stream.collect())?.map_err(CliError::failed)
    }

    fn rows(&self, sql: &str) -> Result<QueryStream, CliError> {
        match self.begin(sql)? {
            Answer::Rows(stream) => Ok(stream),
            Answer::Set => Err(CliError::failed("the statement gives no rows")),
        }
    }

    fn begin(&self, sql: &str) -> Result<Answer, CliError> {
        self.wait(self.session.execute(&self.db, sql))?.map_err(CliError::failed)
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, CliError> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.interrupt.requested() => Err(CliError::failed("the query was cancelled")),
                done = work => Ok(done),
            }
        })
    }
}
