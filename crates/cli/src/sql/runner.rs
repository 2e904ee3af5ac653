//! Runs one query after another and writes each result, batch by batch, as it comes.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tapebook::Db;
use tapebook_client::ClientOptions;
use tapebook_query::{Answer, SqlEngine, SqlOptions, SqlSession};
use tokio::runtime::Runtime;

use crate::clock::monotonic;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::OutputArgs;
use crate::server_sql::{ServerAnswer, ServerRows, ServerSql};

/// Runs statements on a database or a server, as one session. Queries have threads of their own.
#[derive(Debug)]
pub(crate) struct Runner {
    asked: Asked,
    runtime: Runtime,
    interrupt: Interrupt,
}

/// Who is asked.
#[derive(Debug)]
enum Asked {
    Database { db: Arc<Db>, session: SqlSession },
    Server(Box<ServerSql>),
}

/// The rows of one result.
struct Rows {
    columns: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, CliError>>,
}

/// What a statement did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    /// The rows of a query; `None` where a setting was changed.
    pub(crate) rows: Option<u64>,
    pub(crate) took: Duration,
}

impl Runner {
    /// Asks a database of this process.
    pub(crate) fn new(db: Arc<Db>, interrupt: Interrupt) -> Result<Self, CliError> {
        let engine = SqlEngine::new(&SqlOptions::default()).map_err(CliError::failed)?;
        let session = SqlSession::new(engine);
        Ok(Self { asked: Asked::Database { db, session }, runtime: runtime()?, interrupt })
    }

    /// Asks a server.
    pub(crate) fn connect(options: ClientOptions, interrupt: Interrupt) -> Result<Self, CliError> {
        let runtime = runtime()?;
        let server = wait(&runtime, &interrupt, ServerSql::connect(options))??;
        Ok(Self { asked: Asked::Server(Box::new(server)), runtime, interrupt })
    }

    /// True where a server is asked.
    pub(crate) fn asks_server(&self) -> bool {
        matches!(self.asked, Asked::Server(_))
    }

    /// What the user asks for while a query runs.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Runs a statement to its end, or until the user does not want it any more.
    pub(crate) fn run(&self, sql: &str, output: &OutputArgs) -> Result<Summary, CliError> {
        let begin = monotonic();
        let Some(mut result) = self.begin(sql)? else {
            return Ok(Summary { rows: None, took: monotonic().saturating_sub(begin) });
        };
        let mut writer = output.begin(&result.columns)?;
        let place = output.place();
        let mut rows = 0;
        while let Some(batch) = self.wait(result.batches.next())? {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            writer.write(&batch).map_err(|error| error.at(&place))?;
        }
        writer.finish().map_err(|error| error.at(&place))?.commit()?;
        Ok(Summary { rows: Some(rows), took: monotonic().saturating_sub(begin) })
    }

    /// The columns that a query gives.
    pub(crate) fn schema(&self, sql: &str) -> Result<SchemaRef, CliError> {
        match &self.asked {
            Asked::Database { .. } => Ok(self.rows(sql)?.columns),
            Asked::Server(server) => self.wait(server.schema(sql))?,
        }
    }

    /// All rows of a small result.
    pub(crate) fn collect(&self, sql: &str) -> Result<Vec<RecordBatch>, CliError> {
        let rows = self.rows(sql)?;
        self.wait(rows.batches.try_collect())?
    }

    fn rows(&self, sql: &str) -> Result<Rows, CliError> {
        self.begin(sql)?.ok_or_else(|| CliError::failed("the statement gives no rows"))
    }

    /// Begins a query; `None` where a setting was changed.
    fn begin(&self, sql: &str) -> Result<Option<Rows>, CliError> {
        match &self.asked {
            Asked::Database { db, session } => {
                match self.wait(session.execute(db, sql))?.map_err(CliError::failed)? {
                    Answer::Rows(rows) => {
                        let columns = rows.schema();
                        Ok(Some(Rows { columns, batches: rows.map_err(CliError::failed).boxed() }))
                    }
                    Answer::Set => Ok(None),
                }
            }
            Asked::Server(server) => match self.wait(server.execute(sql))?? {
                ServerAnswer::Rows(ServerRows { columns, batches }) => Ok(Some(Rows { columns, batches })),
                ServerAnswer::Set => Ok(None),
            },
        }
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, CliError> {
        wait(&self.runtime, &self.interrupt, work)
    }
}

fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("tapebook-query")
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("cannot start threads for queries: {error}")))
}

/// Waits for work, or until the user does not want it any more.
fn wait<T>(runtime: &Runtime, interrupt: &Interrupt, work: impl Future<Output = T>) -> Result<T, CliError> {
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupt.requested() => Err(CliError::failed("the query was cancelled")),
            done = work => Ok(done),
        }
    })
}
