//! A database with a directory of its own, and its answers as text.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tapebook::{Batch, Db, Durability, Options, Quote, Trade};
use tapebook_query::{Answer, SqlEngine, SqlError, SqlOptions, SqlSession};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A database, and a session that asks about it.
pub struct Place {
    pub db: Db,
    pub engine: SqlEngine,
    pub runtime: Runtime,
    session: SqlSession,
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let engine =
            SqlEngine::new(&SqlOptions { partitions: 2, ..SqlOptions::default() }).expect("an engine");
        Self {
            db: Db::open_with(dir.path().join("db"), options).expect("a new database"),
            session: SqlSession::new(engine.clone()),
            engine,
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            dir,
        }
    }

    /// Closes the database and opens it with other options.
    pub fn reopen(&mut self, options: Options) {
        let elsewhere = Db::open(self.dir.path().join("elsewhere")).expect("a new database");
        std::mem::replace(&mut self.db, elsewhere).close().expect("closing");
        self.db = Db::open_with(self.dir.path().join("db"), options).expect("a database");
    }

    /// Appends trades of one symbol whose prices are their numbers.
    pub fn append_trades(&self, symbol: &str, numbers: std::ops::Range<u32>) {
        let mut batch = Batch::new();
        for number in numbers {
            let (ts, price) = (i64::from(number), Some(f64::from(number)));
            batch.push(Trade { symbol, ts, price, ..Trade::default() }).expect("a valid row");
        }
        self.append(batch);
    }

    pub fn append_quote(&self, symbol: &str, ts: i64) {
        let mut batch = Batch::new();
        batch.push(Quote { symbol, ts, ..Quote::default() }).expect("a valid row");
        self.append(batch);
    }

    fn append(&self, batch: Batch) {
        self.db.append(batch, Durability::Synced).expect("a log").wait().expect("a receipt");
    }

    /// The rows of a query of the session; none where the statement changes a setting.
    pub fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, SqlError> {
        self.runtime.block_on(async {
            match self.session.execute(&self.db, sql).await? {
                Answer::Rows(stream) => stream.collect().await,
                Answer::Set => Ok(Vec::new()),
            }
        })
    }

    /// The rows of a result, values separated by blanks, rows by bars; NULL is `-`.
    pub fn rows(&self, sql: &str) -> String {
        let batches = self.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let options = FormatOptions::new().with_null("-");
        let mut rows: Vec<String> = Vec::new();
        for batch in &batches {
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).expect("a column that can be shown"))
                .collect();
            for row in 0..batch.num_rows() {
                let values: Vec<String> =
                    columns.iter().map(|column| column.value(row).to_string()).collect();
                rows.push(values.join(" "));
            }
        }
        rows.join(" | ")
    }

    /// The message of a query that is refused.
    pub fn refusal(&self, sql: &str) -> String {
        self.query(sql).expect_err(sql).to_string()
    }
}
